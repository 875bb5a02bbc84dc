"""`hashbench evaluate`: evaluate codes from files of any kind, wherever they were trained."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.evaluation.asymmetric import evaluate_asymmetric
from hashbench.evaluation.blocks import evaluate_in_blocks
from hashbench.evaluation.readers import Items, Reading, Sources, read_items
from hashbench.evaluation.readers.logits import read_query_logits
from hashbench.evaluation.readers.rows import read_query_rows
from hashbench.evaluation.results import CodeStatistics, Evaluation, Ranked
from hashbench.evaluation.rules import check_ranks
from hashbench.evaluation.significance import bootstrap_interval
from hashbench.evaluation.statistics import code_statistics
from hashbench.types import Array

_SEED = 0  # of the bootstrap: the same file gives the same output
_RESAMPLES, _DRAWS = 10_000, 10**9  # of the bootstrap: fewer resamples where there are more queries than 100,000
_ORDERS = {
    "random": "expectation over random order inside ties",
    "database": "the database's order inside ties",
    "argsort": "NumPy's argsort inside ties",
}


@dataclass(frozen=True)
class Asked:
    """What is to be measured and printed: the options of `hashbench evaluate` of the same names."""

    ks: tuple[int | None, ...] = (None,)
    denominator: str = "relevant_in_top_k"
    empty: str = "zero"
    order: str = "random"
    radii: tuple[int, ...] = ()
    query_rows: str | None = None
    query_logits: str | None = None
    resume: Path | None = None
    form: Literal["table", "json", "csv"] = "table"


def run(sources: Sources, how: Reading, asked: Asked) -> str:
    """What the command prints: a table, CSV with a line for each k, or JSON with every number of the evaluation.

    Where the queries come with logits, items are ranked by these too, asymmetrically, and these numbers told apart.
    Raises HashbenchError where files or options are not what `read_items` and `evaluate` accept.
    """
    items = read_items(sources, how)
    for radius in asked.radii:
        if radius > items.query_codes.n_bits:
            raise HashbenchError(f"--radius {radius} is beyond the {items.query_codes.n_bits} bits of the codes")
    statistics = code_statistics(items.database_codes)
    asymmetric = _asymmetric(items, sources, asked)
    measured = [summary(evaluation, statistics) for evaluation in _evaluations(items, sources, asked)]
    for numbers, ranked in zip(measured, asymmetric, strict=bool(asymmetric)):
        numbers["asymmetric"] = _asymmetric_summary(ranked)
    if asked.form == "json":
        evaluations = [_without_nan(numbers) for numbers in measured]
        return json.dumps({"read": items.told, "evaluations": evaluations}, indent=1)
    if asked.form == "csv":
        return as_csv(measured, asked.radii)
    read = [f"{role.replace('_', ' '):<17}{told}" for role, told in items.told.items()]
    return "\n".join([table(measured, asked.radii), "", *read])


def _evaluations(items: Items, sources: Sources, asked: Asked) -> list[Evaluation]:
    """One for each k, all with the same ranks for precision and recall."""
    rows = None if asked.query_rows is None else read_query_rows(asked.query_rows, sources.file, items)
    ranks = _ranks(items, asked)
    return [
        evaluate_in_blocks(
            items.query_codes,
            items.database_codes,
            items.query_labels,
            items.database_labels,
            query_rows=rows,
            folder=None if asked.resume is None else asked.resume / f"k-{k or 'all'}",
            k=k,
            denominator=asked.denominator,
            empty=asked.empty,
            order=asked.order,
            ranks=ranks,
        )
        for k in asked.ks
    ]


def _asymmetric(items: Items, sources: Sources, asked: Asked) -> list[Ranked]:
    """The ranking by the logits of the queries, one for each k; none where no logits are named."""
    if asked.query_logits is None:
        return []
    if asked.query_rows is not None or asked.order != "random":
        raise HashbenchError(
            "the ranking by --query-logits is the expectation over random order inside ties, and of the whole "
            "database: leave out --query-rows and --order, or --query-logits"
        )
    query = read_query_logits(asked.query_logits, sources.file, items)
    return [
        evaluate_asymmetric(
            query.logits,
            items.database_codes,
            items.query_labels,
            items.database_labels,
            k=k,
            denominator=asked.denominator,
            empty=asked.empty,
            ranks=_ranks(items, asked),
        )
        for k in asked.ks
    ]


def _ranks(items: Items, asked: Asked) -> Array:
    return np.unique(np.concatenate([check_ranks(None, k, len(items.database_codes)) for k in asked.ks]))


def _asymmetric_summary(ranked: Ranked) -> dict[str, Any]:
    return {
        "map": ranked.map,
        "map_optimistic": ranked.map_optimistic,
        "map_pessimistic": ranked.map_pessimistic,
        "map_ci95": _interval(ranked),
        "ndcg": ranked.mean_ndcg,
        "precision_at": ranked.precision_at.tolist(),
        "recall_at": ranked.recall_at.tolist(),
    }


def _interval(ranked: Ranked) -> list[float]:
    counted = np.nan_to_num(ranked.ap) if ranked.empty == "zero" else ranked.ap
    if not np.isfinite(counted).any():
        return [math.nan, math.nan]
    resamples = max(100, min(_RESAMPLES, _DRAWS // len(counted)))
    return list(bootstrap_interval(counted, seed=_SEED, resamples=resamples))


def summary(evaluation: Evaluation, statistics: CodeStatistics) -> dict[str, Any]:
    """All numbers of an evaluation, by name; `statistics` are those of the database codes."""
    off_diagonal = ~np.eye(evaluation.n_bits, dtype=np.bool_)
    correlations = np.abs(statistics.correlation[off_diagonal])
    return {
        "map": evaluation.map,
        "map_optimistic": evaluation.map_optimistic,
        "map_pessimistic": evaluation.map_pessimistic,
        "map_ci95": _interval(evaluation),
        "ndcg": evaluation.mean_ndcg,
        "measures": evaluation.measures,
        "k": evaluation.k,
        "denominator": evaluation.denominator,
        "empty": evaluation.empty,
        "order": evaluation.order,
        "n_bits": evaluation.n_bits,
        "n_queries": len(evaluation.ap),
        "queries_without_relevant": int(np.count_nonzero(evaluation.n_relevant == 0)),
        "ranks": evaluation.ranks.tolist(),
        "precision_at": evaluation.precision_at.tolist(),
        "recall_at": evaluation.recall_at.tolist(),
        "radius_precision": evaluation.radius_precision.tolist(),
        "radius_recall": evaluation.radius_recall.tolist(),
        "relevant_histogram": evaluation.relevant_histogram.tolist(),
        "other_histogram": evaluation.other_histogram.tolist(),
        "distinct_codes": statistics.distinct,
        "largest_bucket": statistics.largest_bucket,
        "bit_balance": statistics.balance.tolist(),
        "bit_entropy": statistics.entropy.tolist(),
        "bit_correlation": float(correlations.mean()) if len(correlations) else 0.0,
    }


def table(measured: list[dict[str, Any]], radii: tuple[int, ...]) -> str:
    """The numbers that matter most, as aligned text: those of each k, then what is the same for all."""
    numbers = measured[0]
    lines = [
        *(line for each in measured for line in _lines_at(each)),
        *(
            (f"precision@{rank}", f"{precision:.4f}", f"recall {recall:.4f}")
            for rank, precision, recall in zip(
                numbers["ranks"], numbers["precision_at"], numbers["recall_at"], strict=True
            )
        ),
        *((name.replace("_", " "), f"{value:.4f}", "") for name, value in numbers["measures"].items()),
        *(
            (
                f"precision within radius {radius}",
                f"{numbers['radius_precision'][radius]:.4f}",
                _recall(numbers, radius),
            )
            for radius in radii
        ),
        ("distinct database codes", str(numbers["distinct_codes"]), f"largest bucket {numbers['largest_bucket']}"),
        ("mean bit entropy", f"{np.mean(numbers['bit_entropy']):.4f}", ""),
        ("mean |bit correlation|", f"{numbers['bit_correlation']:.4f}", ""),
        *(line for each in measured for line in _asymmetric_lines(each)),
    ]
    rows = [f"{name:<26}{value:>10}  {remark}".rstrip() for name, value, remark in lines]
    empty = "count 0" if numbers["empty"] == "zero" else "are left out"
    notes = [
        f"{numbers['n_queries']} queries, {numbers['n_bits']} bits; {_ORDERS[numbers['order']]}; "
        f"AP denominator {numbers['denominator']};",
        f"{numbers['queries_without_relevant']} queries have nothing relevant in the database and {empty}",
    ]
    return "\n".join([*rows, "", *notes])


def _lines_at(numbers: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What depends on k."""
    at = "all" if numbers["k"] is None else str(numbers["k"])
    low, high = numbers["map_ci95"]
    return [
        (f"mAP@{at}", f"{numbers['map']:.4f}", f"95% over queries {low:.4f} to {high:.4f}"),
        ("  relevant first in ties", f"{numbers['map_optimistic']:.4f}", ""),
        ("  relevant last in ties", f"{numbers['map_pessimistic']:.4f}", ""),
        (f"NDCG@{at}", f"{numbers['ndcg']:.4f}", ""),
    ]


def _asymmetric_lines(numbers: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Of the ranking by real-valued queries, which is no Hamming ranking; none where there is none."""
    if (found := numbers.get("asymmetric")) is None:
        return []
    at = "all" if numbers["k"] is None else str(numbers["k"])
    low, high = found["map_ci95"]
    return [
        (f"asymmetric mAP@{at}", f"{found['map']:.4f}", f"95% over queries {low:.4f} to {high:.4f}"),
        ("", "", "by sigmoid(query_logits) against database bits: not to be compared with mAP by Hamming distance"),
    ]


def _recall(numbers: dict[str, Any], radius: int) -> str:
    return f"recall {numbers['radius_recall'][radius]:.4f}"


def as_csv(measured: list[dict[str, Any]], radii: tuple[int, ...]) -> str:
    """All numbers that are single ones, a line for each k, with the ends of the interval and the radii asked for."""
    rows = []
    for numbers in measured:
        row = {name: value for name, value in numbers.items() if not isinstance(value, list | dict)}
        row["map_low"], row["map_high"] = numbers["map_ci95"]
        for name, value in numbers.get("asymmetric", {}).items():
            if not isinstance(value, list):
                row[f"asymmetric_{name}"] = value
        for radius in radii:
            row[f"radius_{radius}_precision"] = numbers["radius_precision"][radius]
            row[f"radius_{radius}_recall"] = numbers["radius_recall"][radius]
        rows.append({name: "all" if name == "k" and value is None else value for name, value in row.items()})
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().rstrip("\n")


def _without_nan(numbers: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: null stands for a mean over no query."""

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(each) for each in value]
        if isinstance(value, dict):
            return {name: plain(each) for name, each in value.items()}
        return None if isinstance(value, float) and math.isnan(value) else value

    return {name: plain(value) for name, value in numbers.items()}
