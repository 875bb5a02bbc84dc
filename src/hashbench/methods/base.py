"""What a hashing method is, and the checks that every method makes of its input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.types import Array, FitLog, ItemView, TrainView


@dataclass(frozen=True)
class Paper:
    """Where a method comes from: what `hashbench cite` prints. `key` is the BibTeX key; `url` is where to read it."""

    key: str
    authors: str
    title: str
    venue: str
    year: int
    url: str


@runtime_checkable
class Method(Protocol):
    """An unsupervised hashing method.

    Hyperparameters are keyword arguments of the constructor, and nothing else is. `needs` names the fields of
    `TrainView` / `ItemView` that it reads. `deviations` lists in full sentences where this implementation differs from
    the paper or the authors' code.
    """

    title: ClassVar[str]
    paper: ClassVar[Paper]
    needs: ClassVar[frozenset[str]]
    deviations: ClassVar[tuple[str, ...]]

    def fit(self, train: TrainView, n_bits: int, seed: int) -> FitLog:
        """Learn to hash into `n_bits` bits; every random draw comes from generators seeded by `seed`."""

    def encode(self, items: ItemView) -> Array:
        """The codes of `items`: bool (m, n_bits). The code of an item never depends on the other items."""

    def state_dict(self) -> dict[str, Array]:
        """Everything `encode` needs, as arrays."""

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Become the fitted method that `state` was taken from."""


def features_of(view: ItemView, name: str) -> Array:
    """The array `name` (`pooled`, `token_mean`, `views`, `view_tokens`) of a view, checked.

    Raises HashbenchError where the view has no such array, or holds a value that is not finite.
    """
    array: Array | None = getattr(view, name)
    if array is None:
        raise HashbenchError(
            f"this run provides no {name}; it provides {', '.join(sorted(view.provides)) or 'nothing'}"
        )
    # One block at a time: a memory-mapped array is never held whole.
    for start in range(0, len(array), 4096):
        if not np.isfinite(array[start : start + 4096]).all():
            raise HashbenchError(f"{name} holds values that are not finite; extract the features again")
    return array


def require_bits(n_bits: int, at_most: int | None = None, reason: str = "") -> None:
    """Refuse a code length that is no whole number of at least 1, or that is more than `at_most` for `reason`."""
    if not isinstance(n_bits, int | np.integer) or n_bits < 1:
        raise HashbenchError(f"bits must be a whole number of at least 1, got {n_bits!r}")
    if at_most is not None and n_bits > at_most:
        raise HashbenchError(f"bits must be at most {at_most} here ({reason}), got {n_bits}")
