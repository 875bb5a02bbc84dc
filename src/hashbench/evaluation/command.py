"""`hashbench evaluate FILE.npz`: evaluate codes wherever they were trained."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.evaluation.asymmetric import evaluate_asymmetric
from hashbench.evaluation.protocol import evaluate
from hashbench.evaluation.results import CodeStatistics, Evaluation, Ranked
from hashbench.evaluation.significance import bootstrap_interval
from hashbench.evaluation.statistics import code_statistics
from hashbench.types import Array

NAMES = ("query_codes", "db_codes", "query_labels", "db_labels")
LOGITS = "query_logits"  # may stand beside them
_SEED = 0  # of the bootstrap: the same file gives the same output
_MAX_RATIO = 100  # unpacked over packed, where more than _RATIO_FROM bytes come out
_RATIO_FROM = 1 << 28


def run(file: str | Path, k: int | None, empty: str, *, as_json: bool) -> str:
    """What the command prints: a table, or JSON with every number of the evaluation.

    `file`: an .npz with the arrays `query_codes`, `db_codes`, `query_labels`, `db_labels` in the forms that `evaluate`
    accepts, and `query_logits` where the queries come with real values: these are ranked by too, asymmetrically, and
    told apart. Raises HashbenchError where it is not.
    """
    arrays = read_arrays(Path(file))
    evaluation = evaluate(*(arrays[name] for name in NAMES), k=k, empty=empty)
    numbers = summary(evaluation, code_statistics(arrays["db_codes"]))
    if LOGITS in arrays:
        numbers["asymmetric"] = asymmetric_summary(arrays, k, empty)
    return json.dumps(_without_nan(numbers), indent=1) if as_json else table(numbers)


def read_arrays(path: Path) -> dict[str, Array]:
    """The four arrays of an .npz file, and the logits of its queries where it holds them.

    Raises HashbenchError where it is missing, damaged, or lacks one of the four.
    """
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
            return {name: archive[name] for name in (*NAMES, LOGITS) if name in archive}
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


def asymmetric_summary(arrays: Mapping[str, Array], k: int | None, empty: str) -> dict[str, Any]:
    """The numbers of the ranking by the logits of the queries, by name. Raises HashbenchError where bits differ."""
    codes, logits = arrays["query_codes"], arrays[LOGITS]
    found = evaluate_asymmetric(logits, *(arrays[name] for name in NAMES[1:]), k=k, empty=empty)
    if (np.where(codes > 0, logits, -logits) < 0).any():
        raise HashbenchError(f"{LOGITS} contradict query_codes: a bit is 1 where its logit is above 0, 0 where below")
    return {
        "map": found.map,
        "map_optimistic": found.map_optimistic,
        "map_pessimistic": found.map_pessimistic,
        "map_ci95": _interval(found),
        "ndcg": found.mean_ndcg,
        "precision_at": found.precision_at.tolist(),
        "recall_at": found.recall_at.tolist(),
    }


def _interval(evaluation: Ranked) -> list[float]:
    counted = np.nan_to_num(evaluation.ap) if evaluation.empty == "zero" else evaluation.ap
    return list(bootstrap_interval(counted, seed=_SEED) if np.isfinite(counted).any() else (math.nan, math.nan))


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
        "precision_within_2": evaluation.precision_within_2,
        "found_nothing_within_2": evaluation.found_nothing_within_2,
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
        (
            "precision within radius 2",
            f"{numbers['precision_within_2']:.4f}",
            f"{numbers['found_nothing_within_2']:.1%} of queries find nothing",
        ),
        ("distinct database codes", str(numbers["distinct_codes"]), f"largest bucket {numbers['largest_bucket']}"),
        ("mean bit entropy", f"{np.mean(numbers['bit_entropy']):.4f}", ""),
        ("mean |bit correlation|", f"{numbers['bit_correlation']:.4f}", ""),
        *_asymmetric_lines(numbers, at),
    ]
    rows = [f"{name:<26}{value:>10}  {remark}".rstrip() for name, value, remark in lines]
    empty = "count 0" if numbers["empty"] == "zero" else "are left out"
    notes = [
        f"{numbers['n_queries']} queries, {numbers['n_bits']} bits; expectation over random order inside ties; "
        f"AP denominator {numbers['denominator']};",
        f"{numbers['queries_without_relevant']} queries have nothing relevant in the database and {empty}",
    ]
    return "\n".join([*rows, "", *notes])


def _asymmetric_lines(numbers: Mapping[str, Any], at: str) -> list[tuple[str, str, str]]:
    """Of the ranking by real-valued queries, which is no Hamming ranking; none where there is none."""
    if (found := numbers.get("asymmetric")) is None:
        return []
    low, high = found["map_ci95"]
    return [
        (f"asymmetric mAP@{at}", f"{found['map']:.4f}", f"95% over queries {low:.4f} to {high:.4f}"),
        ("", "", "by sigmoid(query_logits) against database bits: not to be compared with mAP by Hamming distance"),
    ]


def _without_nan(numbers: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: null stands for a mean over no query."""

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(each) for each in value]
        if isinstance(value, dict):
            return _without_nan(value)
        return None if isinstance(value, float) and math.isnan(value) else value

    return {name: plain(value) for name, value in numbers.items()}
