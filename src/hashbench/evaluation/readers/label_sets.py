"""Labels of a known form as `evaluate` takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.evaluation.readers.found import Found, rows_where
from hashbench.types import Array


@dataclass(frozen=True)
class Labels:
    """Labels as `evaluate` takes them: both bool (n, c), or both class numbers int64 (n,).

    `form`: how the files had them, in words; `remark`: what else a reader should know.
    """

    query: Array
    database: Array
    form: str
    remark: str = ""


def of_numbers(sides: list[Found]) -> Labels:
    """Class numbers or names, as numbers from 0 on."""
    for side in sides:
        value: Array = side.value
        if value.dtype.kind in "fi" and (value < 0).any():
            raise side.refuse(
                f"holds negative class numbers in {rows_where(value < 0)}: a class is a whole number from 0; leave "
                "items without a label out, or give lists of labels"
            )
        if value.dtype.kind == "f" and (value % 1 != 0).any():
            raise side.refuse(
                f"holds {value[value % 1 != 0][0].item()!r} and other fractions in {rows_where(value % 1 != 0)}: a "
                "class number is whole"
            )
    query, database = (side.value for side in sides)
    if (query.dtype.kind == "U") != (database.dtype.kind == "U"):
        raise sides[0].refuse(
            f"holds {_kind(query)} and {sides[1].role} ({sides[1].place}) {_kind(database)}: give both alike, by "
            f"{sides[0].flag} and {sides[1].flag}"
        )
    classes, numbers = np.unique(np.concatenate([query, database]), return_inverse=True)
    numbers = numbers.astype(np.int64)
    labels = numbers[: len(query)], numbers[len(query) :]
    return Labels(*labels, f"class {_kind(query)}, {len(classes)} classes", _strangers(*labels))


def _kind(labels: Array) -> str:
    return "names" if labels.dtype.kind == "U" else "numbers"


def _strangers(query: Array, database: Array) -> str:
    missing = np.setdiff1d(query, database)
    if not len(missing):
        return ""
    return f"{len(missing)} of {len(np.unique(query))} classes of the queries have no item in the database"


def of_matrices(sides: list[Found]) -> Labels:
    widths = [side.value.shape[1] if not isinstance(side.value, list) else len(side.value[0]) for side in sides]
    if widths[0] != widths[1]:
        raise sides[0].refuse(
            f"has {widths[0]} classes and {sides[1].role} ({sides[1].place}) {widths[1]}: the columns must be the same "
            f"classes; name other arrays by {sides[0].flag} and {sides[1].flag}"
        )
    if any(hasattr(side.value, "tocsr") for side in sides):
        return of_lists([_columns_of(side.value) for side in sides], f"sparse, {widths[0]} classes")
    query, database = (np.asarray(side.value).astype(np.bool_) for side in sides)
    single = all(bool((labels.sum(axis=1) == 1).all()) for labels in (query, database))
    remark = _unlabelled(~query.any(axis=1), ~database.any(axis=1))
    return Labels(query, database, f"{'one' if single else 'multi'}-hot, {widths[0]} classes", remark)


def _unlabelled(queries: Any, items: Any) -> str:
    """Which items have no label, from bool (n_q,) and (n_db,)."""
    return "; ".join(
        f"{np.count_nonzero(rows):,} {name} have no label, {rows_where(rows)}"
        for name, rows in (("queries", queries), ("database items", items))
        if rows.any()
    )


def _columns_of(value: Any) -> list[list[int]]:
    """The columns that are 1 in each row of a sparse or dense matrix."""
    from scipy import sparse  # type: ignore[import-untyped]

    matrix = sparse.csr_matrix(value)
    matrix.eliminate_zeros()
    return [part.tolist() for part in np.split(matrix.indices, matrix.indptr[1:-1])]


def of_lists(sides: list[list[list[Any]]], form: str) -> Labels:
    """Multi-hot over the classes that both sides have: a class of one side alone makes nothing relevant."""
    kinds = {isinstance(label, str) for rows in sides for row in rows for label in row}
    if len(kinds) > 1:
        raise HashbenchError("the lists of labels hold numbers and texts: write every label alike, in both files")
    used = [{label for row in rows for label in row} for rows in sides]
    place = {label: number for number, label in enumerate(sorted(used[0] & used[1]))}
    hot = [np.zeros((len(rows), max(1, len(place))), np.bool_) for rows in sides]
    for matrix, rows in zip(hot, sides, strict=True):
        for row, labels in enumerate(rows):
            matrix[row, [place[label] for label in labels if label in place]] = True
    query, database = (np.array([not labels for labels in rows]) for rows in sides)
    return Labels(hot[0], hot[1], form, _unlabelled(query, database))
