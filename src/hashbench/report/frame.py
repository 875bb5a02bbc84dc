"""Run records as a pandas table, and means and spreads over seeds of it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import pandas as pd

from hashbench.records import Cell, CellSeconds, EvaluationSummary, RunRecord

CELL = ["dataset", "backbone", "method", "bits"]  # what runs share that differ in their seed alone
_RULES = ("k", "denominator", "empty")


def frame_of(records: Iterable[RunRecord]) -> pd.DataFrame:
    """One row a run, sorted by data set, backbone, method, bits and seed.

    Columns: profile, dataset, split, split_digest, n_query, n_database, n_train, backbone, features, method, bits,
    seed, made_by; the rules k (<NA>: no cut-off), denominator, empty; every number of the evaluation that is a single
    one, its measures by their names; asymmetric_map, asymmetric_map_optimistic, asymmetric_map_pessimistic,
    asymmetric_ndcg, NaN for a method that gives no logits; map_low and map_high, the ends of the 95 % interval of map
    over queries; precision_at_<rank> and recall_at_<rank>, NaN where a run was not evaluated at the rank; derived_seed,
    fingerprint, evaluator.
    """
    ordered = sorted(records, key=lambda record: record.cell)
    ranks = sorted({rank for record in ordered for rank in record.evaluation.ranks})
    return pd.DataFrame([_row(record, ranks) for record in ordered]).astype({"k": "Int64"})


def _row(record: RunRecord, ranks: Iterable[int]) -> dict[str, object]:
    evaluation = record.evaluation
    low, high = evaluation.map_ci95
    precision = dict(zip(evaluation.ranks, evaluation.precision_at, strict=True))
    recall = dict(zip(evaluation.ranks, evaluation.recall_at, strict=True))
    return {
        "profile": record.profile,
        "dataset": record.dataset,
        "split": record.split,
        "split_digest": record.split_digest,
        "n_query": record.n_query,
        "n_database": record.n_database,
        "n_train": record.n_train,
        "backbone": record.backbone,
        "features": record.fit.features,
        "method": record.method,
        "bits": record.bits,
        "seed": record.seed,
        "made_by": record.made_by,
        **{rule: getattr(evaluation, rule) for rule in _RULES},
        **{name: getattr(evaluation, name) for name in _NUMBERS},
        **evaluation.measures,
        **_asymmetric(record),
        "map_low": low,
        "map_high": high,
        **{f"precision_at_{rank}": precision.get(rank, math.nan) for rank in ranks},
        **{f"recall_at_{rank}": recall.get(rank, math.nan) for rank in ranks},
        "derived_seed": record.fit.seed,
        "fingerprint": record.fingerprint,
        "evaluator": record.evaluator,
    }


def _asymmetric(record: RunRecord) -> dict[str, float]:
    found = record.evaluation.asymmetric
    return {
        f"asymmetric_{name}": math.nan if found is None else getattr(found, name)
        for name in ("map", "map_optimistic", "map_pessimistic", "ndcg")
    }


_NUMBERS = tuple(
    name
    for name, field in EvaluationSummary.model_fields.items()
    if field.annotation in (int, float) and name not in _RULES
)


def with_seconds(frame: pd.DataFrame, seconds: Mapping[Cell, CellSeconds]) -> pd.DataFrame:
    """The frame with what each run cost: fit_seconds, encoded_per_second (images, from extracted features), code_bytes,
    evaluate_seconds; NaN where a run's seconds are not known or too short to divide by."""
    cells = [Cell(*key) for key in frame[list(Cell._fields)].itertuples(index=False, name=None)]
    unknown = CellSeconds(fit=math.nan, encode=math.nan, evaluate=math.nan)
    known = [seconds.get(cell, unknown) for cell in cells]
    encode = pd.Series([of.encode for of in known], index=frame.index, dtype=float)
    return frame.assign(
        fit_seconds=[of.fit for of in known],
        encoded_per_second=(frame["n_query"] + frame["n_database"]) / encode.where(encode > 0),
        code_bytes=(frame["bits"] + 7) // 8,
        evaluate_seconds=[of.evaluate for of in known],
    )


def exact_mean(values: Iterable[float]) -> float:
    """The mean, exact before rounding, so that it depends neither on order nor on the machine."""
    return statistics.fmean(values)


def sample_spread(values: Iterable[float]) -> float:
    """The sample standard deviation (n - 1); NaN of fewer than two values or where one is not finite."""
    found = list(values)
    if len(found) < 2 or not all(map(math.isfinite, found)):
        return math.nan
    return statistics.stdev(found)


class OverSeeds(NamedTuple):
    """A number of a cell: mean and sample standard deviation over `seeds` runs; NaN where there is none."""

    mean: float
    spread: float
    seeds: int


class SeedStatistics:
    """Mean and spread over seeds of each column of a frame, computed once a column when first asked for."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._cells = frame.groupby(CELL, sort=False)
        self._columns = frozenset(frame.columns)
        self._known: dict[str, dict[tuple[str, str, str, int], OverSeeds]] = {}

    def of(self, dataset: str, backbone: str, method: str, bits: int, column: str) -> OverSeeds:
        """The numbers of one cell; no seeds where it was not run or the frame has no such column."""
        if column not in self._known:
            self._known[column] = self._over_seeds(column) if column in self._columns else {}
        return self._known[column].get((dataset, backbone, method, bits), OverSeeds(math.nan, math.nan, 0))

    def _over_seeds(self, column: str) -> dict[tuple[str, str, str, int], OverSeeds]:
        # Not the 'mean' of pandas: its sum rounds, and so depends on the order of the rows.
        found = self._cells[column].agg([exact_mean, sample_spread, "size"])
        return {key: OverSeeds(*row) for key, row in zip(found.index, found.itertuples(index=False), strict=True)}
