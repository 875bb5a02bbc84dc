"""Codes and labels as somebody gives them: the one door by which files of codes are read to compare and explain."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.evaluation.command import read_arrays
from hashbench.evaluation.packing import pack_codes
from hashbench.types import Array, Codes

ROWS = ("query_rows", "db_rows")
OUTPUTS = "query_outputs"


@dataclass(frozen=True)
class GivenLabels:
    """Labels of queries and database, each in one of the forms that `evaluate` accepts."""

    query_labels: Array
    database_labels: Array

    @property
    def labels(self) -> tuple[Array, Array]:
        """Those of the queries and of the database, as arrays."""
        return np.asarray(self.query_labels), np.asarray(self.database_labels)


@dataclass(frozen=True)
class GivenCodes(GivenLabels):
    """Codes (n_q, b) and (n_db, b) with their labels.

    `query_rows` (n_q,), `database_rows` (n_db,): row numbers of the data set, where the file has them.
    `query_outputs` (n_q, b): real numbers of which the query codes are the signs, likewise.
    """

    query_codes: Array | Codes
    database_codes: Array | Codes
    query_rows: Array | None = None
    database_rows: Array | None = None
    query_outputs: Array | None = None

    @property
    def n_bits(self) -> int:
        """The code length. Raises HashbenchError where the database's codes are none."""
        return pack_codes(self.database_codes, "database_codes")[1]


def read_given(path: Path) -> GivenCodes:
    """The codes and labels of a file. Raises HashbenchError, which names the file, where it does not hold them."""
    arrays = read_arrays(path)  # which looks at the whole archive, also for bombs
    try:
        with np.load(path, allow_pickle=False) as archive:
            query_rows, database_rows, outputs = (archive.get(name) for name in (*ROWS, OUTPUTS))
    except Exception as error:  # a hostile header of an array can raise nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise HashbenchError(
            f"{path}: {', '.join((*ROWS, OUTPUTS))} cannot be read as plain arrays ({reason!a})"
        ) from None
    if (query_rows is None) != (database_rows is None):
        raise HashbenchError(f"{path} has one of the arrays {' and '.join(ROWS)}: it must have both, or none")
    if outputs is not None and (outputs.dtype.kind != "f" or outputs.shape != arrays["query_codes"].shape):
        raise HashbenchError(f"{path}: {OUTPUTS} must be a real number for each bit of the query codes")
    return GivenCodes(
        query_labels=arrays["query_labels"],
        database_labels=arrays["db_labels"],
        query_codes=arrays["query_codes"],
        database_codes=arrays["db_codes"],
        query_rows=query_rows,
        database_rows=database_rows,
        query_outputs=outputs,
    )


def label_matrices(given: GivenLabels) -> tuple[Array, Array, list[str]]:
    """Labels of queries and database as bool (n_q, c) and (n_db, c), and the classes' names (c,).

    Class numbers (n,) become one-hot, a column for each that occurs, ascending, named by it; a multi-hot matrix keeps
    the columns in which any item has a label, each named by its place.
    """
    query, database = given.labels
    if query.ndim == database.ndim == 1:
        classes = np.union1d(query, database)
        return query[:, None] == classes, database[:, None] == classes, [str(each) for each in classes.tolist()]
    if query.ndim != 2 or database.ndim != 2 or query.shape[1] != database.shape[1]:
        raise HashbenchError(f"labels of queries and database have the shapes {query.shape} and {database.shape}")
    used = np.flatnonzero((query != 0).any(axis=0) | (database != 0).any(axis=0))
    return query[:, used] != 0, database[:, used] != 0, [str(each) for each in used.tolist()]


def split_difference(a: GivenLabels, b: GivenLabels) -> str:
    """How the labels of two files tell that their splits are not the same; empty where they do not.

    The splits are the same where queries and database have the same labels in the same order: codes carry no names of
    images. Names of classes do not count, their order does.
    """
    (query_a, database_a, _), (query_b, database_b, _) = label_matrices(a), label_matrices(b)
    for part, labels_a, labels_b in (("queries", query_a, query_b), ("database", database_a, database_b)):
        if len(labels_a) != len(labels_b):
            return f"{part} of {len(labels_a):,} against {len(labels_b):,} items"
        if labels_a.shape[1] != labels_b.shape[1]:
            return f"labels of {labels_a.shape[1]} against {labels_b.shape[1]} classes"
        others = np.flatnonzero((labels_a != labels_b).any(axis=1))
        if len(others):
            return f"{part} whose labels differ in {len(others):,} items, first in item {others[0]}"
    return ""
