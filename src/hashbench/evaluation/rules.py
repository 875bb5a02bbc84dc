"""The rules that an evaluation follows, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.types import Array

Denominator = Literal["relevant_in_top_k", "min_k_relevant", "relevant"]
Empty = Literal["zero", "nan"]
Order = Literal["random", "database", "argsort"]
Engine = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Rules:
    """`evaluate`'s keywords of the same names. Raises HashbenchError where one has no such value."""

    k: int | None
    denominator: Denominator
    empty: Empty
    order: Order

    def __post_init__(self) -> None:
        k = self.k
        if k is not None and (isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1):
            raise HashbenchError(f"k must be a whole number of at least 1, or None for the whole database, got {k!r}")
        check_choice("denominator", self.denominator, get_args(Denominator))
        check_choice("empty", self.empty, get_args(Empty))
        check_choice("order", self.order, get_args(Order))


def check_choice(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Raise HashbenchError unless `value` is one of `allowed`."""
    if value not in allowed:
        raise HashbenchError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")


def check_ranks(ranks: Any, k: int | None, n_database: int) -> Array:
    """The ranks at which precision and recall are taken, ascending int64; None stands for 1, 2, 5, 10, ..., k, n_db."""
    if ranks is None:
        grid = [step * 10**power for power in range(len(str(n_database))) for step in (1, 2, 5)]
        ranks = [*(rank for rank in (*grid, k or 1) if rank <= n_database), n_database]
    array = np.unique(np.asarray(ranks))
    if array.dtype.kind not in "iu" or array.size == 0 or array[0] < 1 or array[-1] > n_database:
        raise HashbenchError(f"ranks must be whole numbers from 1 to {n_database}, the number of database items")
    return array.astype(np.int64)
