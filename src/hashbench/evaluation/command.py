"""`hashbench evaluate`: evaluate codes from files of any kind, wherever they were trained."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.evaluation.protocol import evaluate
from hashbench.evaluation.readers import Items, Reading, Sources, read_items
from hashbench.evaluation.readers.rows import read_query_rows
from hashbench.evaluation.results import CodeStatistics, Evaluation
from hashbench.evaluation.rules import check_ranks
from hashbench.evaluation.significance import bootstrap_interval
from hashbench.evaluation.statistics import code_statistics

_SEED = 0  # of the bootstrap: the same file gives the same output
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
    form: Literal["table", "json", "csv"] = "table"


def run(sources: Sources, how: Reading, asked: Asked) -> str:
    """What the command prints: a table, CSV with a line for each k, or JSON with every number of the evaluation.

    Raises HashbenchError where files or options are not what `read_items` and `evaluate` accept.
    """
    items = read_items(sources, how)
    for radius in asked.radii:
        if radius > items.query_codes.n_bits:
            raise HashbenchError(f"--radius {radius} is beyond the {items.query_codes.n_bits} bits of the codes")
    statistics = code_statistics(items.database_codes)
    measured = [summary(evaluation, statistics) for evaluation in _evaluations(items, sources, asked)]
    if asked.form == "json":
        evaluations = [_without_nan(numbers) for numbers in measured]
        return json.dumps({"read": items.told, "evaluations": evaluations}, indent=1)
    if asked.form == "csv":
        return as_csv(measured, asked.radii)
    read = [f"{role.replace('_', ' '):<17}{told}" for role, told in items.told.items()]
    return "\n".join([table(measured, asked.radii), "", *read])


def _evaluations(items: Items, sources: Sources, asked: Asked) -> list[Evaluation]:
    """One for each k, all with the same ranks for precision and recall."""
    n_database = len(items.database_codes)
    rows = None if asked.query_rows is None else read_query_rows(asked.query_rows, sources.file, items)
    ranks = np.unique(np.concatenate([check_ranks(None, k, n_database) for k in asked.ks]))
    return [
        evaluate(
            items.query_codes,
            items.database_codes,
            items.query_labels,
            items.database_labels,
            k=k,
            denominator=asked.denominator,
            empty=asked.empty,
            order=asked.order,
            ranks=ranks,
            query_rows=rows,
            database_rows=None if rows is None else np.arange(n_database),
        )
        for k in asked.ks
    ]


def summary(evaluation: Evaluation, statistics: CodeStatistics) -> dict[str, Any]:
    """All numbers of an evaluation, by name; `statistics` are those of the database codes."""
    counted = np.nan_to_num(evaluation.ap) if evaluation.empty == "zero" else evaluation.ap
    interval = bootstrap_interval(counted, seed=_SEED) if np.isfinite(counted).any() else (math.nan, math.nan)
    off_diagonal = ~np.eye(evaluation.n_bits, dtype=np.bool_)
    correlations = np.abs(statistics.correlation[off_diagonal])
    return {
        "map": evaluation.map,
        "map_optimistic": evaluation.map_optimistic,
        "map_pessimistic": evaluation.map_pessimistic,
        "map_ci95": list(interval),
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


def _recall(numbers: dict[str, Any], radius: int) -> str:
    return f"recall {numbers['radius_recall'][radius]:.4f}"


def as_csv(measured: list[dict[str, Any]], radii: tuple[int, ...]) -> str:
    """All numbers that are single ones, a line for each k, with the ends of the interval and the radii asked for."""
    rows = []
    for numbers in measured:
        row = {name: value for name, value in numbers.items() if not isinstance(value, list | dict)}
        row["map_low"], row["map_high"] = numbers["map_ci95"]
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
