"""Rankings whose ties are broken as published code breaks them; they exist to compare with what such code prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from hashbench.evaluation.packing import PackedItems
from hashbench.evaluation.rules import Order
from hashbench.types import Array


def rankings(query: PackedItems, database: PackedItems, order: Order, excluded: Array) -> Iterator[tuple[Array, Array]]:
    """For each query the counts of a ranking without ties: int64 (1, n_db) relevant and total, nearest item first.

    `order` "database" sorts stably, so that the earlier row of the database comes first. "argsort" is NumPy's default
    `argsort` of float32 distances, as nearly all published codes call it: it depends on the version of NumPy and on
    the processor's vector unit. `excluded` int64 (pairs, 2): (query, database) positions to leave out.
    """
    kind: Literal["stable"] | None = "stable" if order == "database" else None
    for position in range(len(query)):
        different = np.bitwise_count(database.codes ^ query.codes[position]).sum(axis=1)
        relevant = (database.labels & query.labels[position]).any(axis=1)
        own = excluded[excluded[:, 0] == position, 1]
        distance, relevant = np.delete(different, own).astype(np.float32), np.delete(relevant, own)
        ranked = relevant[np.argsort(distance, kind=kind)].astype(np.int64)[np.newaxis]
        yield ranked, np.ones_like(ranked)
