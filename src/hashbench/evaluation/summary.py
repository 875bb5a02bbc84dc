"""Everything that is kept of one evaluation: its numbers, from codes and labels alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hashbench.evaluation.asymmetric import evaluate_asymmetric
from hashbench.evaluation.protocol import evaluate
from hashbench.evaluation.results import Evaluation, Ranked
from hashbench.evaluation.significance import bootstrap_interval
from hashbench.evaluation.statistics import code_statistics
from hashbench.records import AsymmetricSummary, EvaluationSummary
from hashbench.types import Array, Codes, Split

RESAMPLES = 2000


@dataclass(frozen=True)
class EvaluationRules:
    """By which rules a data set is evaluated: see `evaluate`. Ranks beyond the database are left out."""

    k: int | None
    denominator: str
    empty: Literal["zero", "nan"]
    ranks: Sequence[int]


def evaluate_codes(query: Codes, database: Codes, split: Split, rules: EvaluationRules) -> Evaluation:
    """Evaluate query and database codes against the labels of their rows."""
    return evaluate(
        query,
        database,
        split.labels[split.query],
        split.labels[split.database],
        k=rules.k,
        denominator=rules.denominator,
        empty=rules.empty,
        ranks=[rank for rank in rules.ranks if rank <= len(split.database)],
    )


def evaluate_logits(query: Codes, database: Codes, split: Split, rules: EvaluationRules) -> Ranked | None:
    """Evaluate database codes by the logits of the queries, which is asymmetric; None where there are none."""
    if query.logits is None:
        return None
    return evaluate_asymmetric(
        query.logits,
        database,
        split.labels[split.query],
        split.labels[split.database],
        k=rules.k,
        denominator=rules.denominator,
        empty=rules.empty,
        ranks=[rank for rank in rules.ranks if rank <= len(split.database)],
    )


def summarise(
    evaluation: Evaluation, database: Codes, seed: int, asymmetric: Ranked | None = None
) -> EvaluationSummary:
    """The numbers of an evaluation, of an asymmetric one beside it, and of the database's codes.

    `seed` draws the bootstrap's resamples.
    """
    statistics = code_statistics(database)
    off_diagonal = ~np.eye(database.n_bits, dtype=np.bool_)
    return EvaluationSummary(
        k=evaluation.k,
        denominator=evaluation.denominator,
        empty=evaluation.empty,
        map=evaluation.map,
        map_optimistic=evaluation.map_optimistic,
        map_pessimistic=evaluation.map_pessimistic,
        map_ci95=_interval(evaluation, seed),
        ndcg=evaluation.mean_ndcg,
        ranks=evaluation.ranks.tolist(),
        precision_at=evaluation.precision_at.tolist(),
        recall_at=evaluation.recall_at.tolist(),
        radius_precision=evaluation.radius_precision.tolist(),
        radius_recall=evaluation.radius_recall.tolist(),
        measures=evaluation.measures,
        relevant_histogram=evaluation.relevant_histogram.tolist(),
        other_histogram=evaluation.other_histogram.tolist(),
        bit_balance=statistics.balance.tolist(),
        bit_entropy=statistics.entropy.tolist(),
        bit_correlation=float(np.abs(statistics.correlation[off_diagonal]).mean()),
        distinct_codes=statistics.distinct,
        largest_bucket=statistics.largest_bucket,
        asymmetric=None if asymmetric is None else _summarise_asymmetric(asymmetric, seed),
    )


def _summarise_asymmetric(evaluation: Ranked, seed: int) -> AsymmetricSummary:
    return AsymmetricSummary(
        map=evaluation.map,
        map_optimistic=evaluation.map_optimistic,
        map_pessimistic=evaluation.map_pessimistic,
        map_ci95=_interval(evaluation, seed),
        ndcg=evaluation.mean_ndcg,
        precision_at=evaluation.precision_at.tolist(),
        recall_at=evaluation.recall_at.tolist(),
    )


def _interval(evaluation: Ranked, seed: int) -> tuple[float, float]:
    ap = np.nan_to_num(evaluation.ap) if evaluation.empty == "zero" else evaluation.ap
    return bootstrap_interval(ap, seed=seed, resamples=RESAMPLES)


def ap_of_queries(evaluation: Evaluation, asymmetric: Ranked | None = None) -> dict[str, Array]:
    """The average precision of each query: its expectation and both bounds, and the expectation where asymmetric."""
    found = {name: getattr(evaluation, name) for name in ("ap", "ap_optimistic", "ap_pessimistic")}
    return found if asymmetric is None else {**found, "ap_asymmetric": asymmetric.ap}
