"""Which row of the database each query is, so that an item is not found for itself."""

from __future__ import annotations

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.evaluation.readers.files import read_file
from hashbench.evaluation.readers.found import rows_where, some
from hashbench.evaluation.readers.names import split_source
from hashbench.evaluation.readers.reading import Items
from hashbench.types import Array

_FLAG = "--query-rows"


def read_query_rows(text: str, file: str | None, items: Items) -> Array:
    """Row numbers int64 (n_q,) of the database, counted from 0, from `FILE[:KEY]` or `:KEY` of `file`.

    Raises HashbenchError where they are no such numbers, or where a query's code is another than its row's.
    """
    path, key = split_source(text, file, _FLAG)
    arrays = read_file(path)
    key = key or (next(iter(arrays)) if len(arrays) == 1 else "")
    if key not in arrays:
        raise HashbenchError(
            f"{path.name} has {some(list(arrays))}: say which holds the rows by {_FLAG} {path.name}:KEY"
        )
    rows = np.asarray(arrays[key]).reshape(-1)
    n_query, n_database = len(items.query_codes), len(items.database_codes)
    where = f"{_FLAG} {path.name}{':' * bool(key)}{key}"
    if rows.dtype.kind not in "iuf" or (rows % 1 != 0).any() or len(rows) != n_query:
        raise HashbenchError(f"{where} must hold {n_query} whole numbers, one a query, got {len(rows)} of {rows.dtype}")
    outside = (rows < 0) | (rows >= n_database)
    if outside.any():
        hint = "; subtract 1 from rows that count from 1" if rows.min() >= 1 and rows.max() == n_database else ""
        raise HashbenchError(
            f"{where} names rows outside 0 to {n_database - 1} of the database in {rows_where(outside)}{hint}"
        )
    rows = rows.astype(np.int64)
    other = (items.database_codes.packed[rows] != items.query_codes.packed).any(axis=1)
    if other.any():
        raise HashbenchError(
            f"{where} names rows of the database whose codes are not the query's, in {rows_where(other)}: rows count "
            "from 0; subtract 1 from those that count from 1"
        )
    return rows
