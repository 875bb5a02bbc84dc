"""Evaluation of any number of queries, a block at a time; finished blocks are kept where a folder for them is given."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.evaluation import metrics
from hashbench.evaluation.packing import to_numpy
from hashbench.evaluation.protocol import evaluate
from hashbench.evaluation.results import Evaluation
from hashbench.progress import track
from hashbench.types import Array, Codes

_PLACES = 1 << 21  # queries times distances of a block: what an evaluation holds of it stays below half a gigabyte
_OF_QUERIES = ("n_relevant", "ap", "ap_optimistic", "ap_pessimistic", "ndcg")
_OVER_ANSWERABLE = ("precision_at", "recall_at", "radius_precision", "radius_recall")
_SUMS = ("relevant_histogram", "other_histogram")


def evaluate_in_blocks(
    query_codes: Codes,
    database_codes: Codes,
    query_labels: Any,
    database_labels: Any,
    *,
    query_rows: Any = None,
    folder: Path | None = None,
    queries_at_once: int | None = None,
    **rules: Any,
) -> Evaluation:
    """What `evaluate` says of the same codes, labels and rules, in memory that does not grow with the queries.

    Numbers of a query are the same to the bit; means over queries are sums of sums, the same to rounding. With a
    `folder`, each finished block is kept in it, and one that is there already is not computed again.
    `queries_at_once`: the size of a block, by default as many as half a gigabyte has room for.
    Raises HashbenchError as `evaluate` does, and where the folder holds blocks of other codes, labels or rules.
    """
    query_labels, database_labels = to_numpy(query_labels, "query_labels"), to_numpy(database_labels, "database_labels")
    size = queries_at_once or max(1, _PLACES // (query_codes.n_bits + 1))
    starts = range(0, len(query_codes), size)
    if folder is not None:
        arrays = (query_codes.packed, database_codes.packed, query_labels, database_labels, query_rows)
        _begin(folder, _digest(arrays, {**rules, "n_bits": query_codes.n_bits, "queries_at_once": size}))

    def block(start: int) -> Evaluation:
        kept = None if folder is None else folder / f"{start:012}.npz"
        if kept is not None and kept.is_file():
            return _read(kept)
        part = slice(start, start + size)
        found = evaluate(
            Codes(query_codes.packed[part], query_codes.n_bits, query_codes.rows[part]),
            database_codes,
            query_labels[part],
            database_labels,
            query_rows=None if query_rows is None else query_rows[part],
            database_rows=None if query_rows is None else np.arange(len(database_codes)),
            **rules,
        )
        if kept is not None:
            _write(kept, found)
        return found

    blocks = [block(start) for start in (track(starts, "evaluate") if len(starts) > 1 else starts)]
    return blocks[0] if len(blocks) == 1 else joined(blocks)


def joined(blocks: Sequence[Evaluation]) -> Evaluation:
    """One evaluation of all queries from those of parts of them, by the same rules over the same database."""
    first = blocks[0]
    n_queries = np.array([len(block.ap) for block in blocks])
    n_answerable = np.array([np.count_nonzero(block.n_relevant) for block in blocks])
    counted = n_queries if first.empty == "zero" else n_answerable
    said: dict[str, Any] = {field.name: getattr(first, field.name) for field in fields(Evaluation)}
    for name in _OF_QUERIES:
        said[name] = np.concatenate([getattr(block, name) for block in blocks])
    for name in _OVER_ANSWERABLE:
        said[name] = _mean([getattr(block, name) for block in blocks], counted)
    for name in _SUMS:
        said[name] = np.sum([getattr(block, name) for block in blocks], axis=0)
    said["measures"] = {
        name: float(_mean([block.measures[name] for block in blocks], n_queries if _always(name) else counted))
        for name in first.measures
    }
    return Evaluation(**said)


def _mean(means: Sequence[Any], counts: Array) -> Any:
    """The mean of all from the means of parts; a part that counts nothing has none."""
    counted = [(count, mean) for count, mean in zip(counts, means, strict=True) if count]
    return sum(count * mean for count, mean in counted) / counts.sum() if counted else means[0]


def _always(measure: str) -> bool:
    """Whether a measure has a value of a query that has nothing relevant in the database."""
    found = metrics.MEASURES[measure](np.zeros((1, 1), np.int64), np.ones((1, 1), np.int64))
    return bool(np.isfinite(found[0]))


def _digest(arrays: Sequence[Array | None], said: Mapping[str, Any]) -> str:
    sha = hashlib.sha256(
        json.dumps({name: np.asarray(value).tolist() for name, value in sorted(said.items())}).encode()
    )
    for array in arrays:
        sha.update(b"none" if array is None else f"{array.dtype}{array.shape}".encode())
        if array is not None:
            sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()


def _begin(folder: Path, digest: str) -> None:
    """Make the folder of blocks, or check that it is of the same evaluation."""
    note, said = folder / "evaluation.json", json.dumps({"inputs": digest}) + "\n"
    if note.is_file():
        if note.read_bytes() != said.encode():
            raise HashbenchError(f"{folder} holds blocks of other codes, labels or rules; name another folder")
    elif folder.exists() and any(folder.iterdir()):
        raise HashbenchError(f"{folder} is not empty and holds no blocks of an evaluation; name another folder")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        note.write_text(said, encoding="utf-8")


def _write(path: Path, evaluation: Evaluation) -> None:
    said = {field.name: getattr(evaluation, field.name) for field in fields(Evaluation)}
    arrays = {name: value for name, value in said.items() if isinstance(value, np.ndarray)}
    rest = {name: value for name, value in said.items() if name not in arrays}
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        np.savez(file, allow_pickle=False, rest=np.array(json.dumps(rest)), **arrays)
    unfinished.replace(path)


def _read(path: Path) -> Evaluation:
    with np.load(path, allow_pickle=False) as file:
        rest: Mapping[str, Any] = json.loads(str(file["rest"]))
        return Evaluation(**rest, **{name: file[name] for name in file.files if name != "rest"})
