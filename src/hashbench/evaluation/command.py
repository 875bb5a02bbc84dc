"""`hashbench evaluate FILE.npz`: evaluate codes wherever they were trained."""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.evaluation.protocol import evaluate
from hashbench.evaluation.results import CodeStatistics, Evaluation
from hashbench.evaluation.significance import bootstrap_interval
from hashbench.evaluation.statistics import code_statistics
from hashbench.types import Array

NAMES = ("query_codes", "db_codes", "query_labels", "db_labels")
_SEED = 0  # of the bootstrap: the same file gives the same output
_MAX_RATIO = 100  # unpacked over packed, where more than _RATIO_FROM bytes come out
_RATIO_FROM = 1 << 28


def run(file: str | Path, k: int | None, empty: str, *, as_json: bool) -> str:
    """What the command prints: a table, or JSON with every number of the evaluation.

    `file`: an .npz with the arrays `query_codes`, `db_codes`, `query_labels`, `db_labels` in the forms that `evaluate`
    accepts. Raises HashbenchError where it is not.
    """
    arrays = read_arrays(Path(file))
    evaluation = evaluate(*(arrays[name] for name in NAMES), k=k, empty=empty)
    numbers = summary(evaluation, code_statistics(arrays["db_codes"]))
    return json.dumps(_without_nan(numbers), indent=1) if as_json else table(numbers)


def read_arrays(path: Path) -> dict[str, Array]:
    """The four arrays of an .npz file. Raises HashbenchError where it is missing, damaged, or lacks one of them."""
    if not path.is_file():
        raise HashbenchError(f"{path} is missing: give an .npz file with the arrays {', '.join(NAMES)}")
    try:
        if not zipfile.is_zipfile(path):
            raise HashbenchError(f"{path} is no .npz file: write one with numpy.savez, with {', '.join(NAMES)}")
        with np.load(path, allow_pickle=False) as archive:
            missing = [name for name in NAMES if name not in archive]
            if missing:
                raise HashbenchError(f"{path} lacks the array {missing[0]}: it must hold {', '.join(NAMES)}")
            _refuse_bomb(path, archive.zip)
            return {name: archive[name] for name in NAMES}
    except HashbenchError:
        raise
    except Exception as error:  # a member's header is read as Python source: a hostile one can raise nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise HashbenchError(
            f"{path} cannot be read as plain arrays ({reason!a}): write it anew with numpy.savez"
        ) from None


def _refuse_bomb(path: Path, archive: zipfile.ZipFile) -> None:
    """Raise HashbenchError where a small file would fill the memory."""
    unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > _MAX_RATIO * max(path.stat().st_size, _RATIO_FROM / _MAX_RATIO):
        raise HashbenchError(
            f"{path} would unpack to {unpacked:,} bytes, more than {_MAX_RATIO} times its size: refused as a bomb; "
            "write it anew with numpy.savez"
        )


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
        "ties": "expectation over random order",
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


def table(numbers: dict[str, Any]) -> str:
    """The numbers that matter most, as aligned text."""
    at = "all" if numbers["k"] is None else str(numbers["k"])
    low, high = numbers["map_ci95"]
    lines = [
        (f"mAP@{at}", f"{numbers['map']:.4f}", f"95% over queries {low:.4f} to {high:.4f}"),
        ("  relevant first in ties", f"{numbers['map_optimistic']:.4f}", ""),
        ("  relevant last in ties", f"{numbers['map_pessimistic']:.4f}", ""),
        (f"NDCG@{at}", f"{numbers['ndcg']:.4f}", ""),
        *(
            (f"precision@{rank}", f"{precision:.4f}", f"recall {recall:.4f}")
            for rank, precision, recall in zip(
                numbers["ranks"], numbers["precision_at"], numbers["recall_at"], strict=True
            )
        ),
        *((name.replace("_", " "), f"{value:.4f}", "") for name, value in numbers["measures"].items()),
        ("distinct database codes", str(numbers["distinct_codes"]), f"largest bucket {numbers['largest_bucket']}"),
        ("mean bit entropy", f"{np.mean(numbers['bit_entropy']):.4f}", ""),
        ("mean |bit correlation|", f"{numbers['bit_correlation']:.4f}", ""),
    ]
    rows = [f"{name:<26}{value:>10}  {remark}".rstrip() for name, value, remark in lines]
    empty = "count 0" if numbers["empty"] == "zero" else "are left out"
    notes = [
        f"{numbers['n_queries']} queries, {numbers['n_bits']} bits; expectation over random order inside ties; "
        f"AP denominator {numbers['denominator']};",
        f"{numbers['queries_without_relevant']} queries have nothing relevant in the database and {empty}",
    ]
    return "\n".join([*rows, "", *notes])


def _without_nan(numbers: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: null stands for a mean over no query."""

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(each) for each in value]
        if isinstance(value, dict):
            return {name: plain(each) for name, each in value.items()}
        return None if isinstance(value, float) and math.isnan(value) else value

    return {name: plain(value) for name, value in numbers.items()}
