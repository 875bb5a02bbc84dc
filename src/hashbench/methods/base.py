"""What a hashing method is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol, runtime_checkable

from hashbench.learning.session import Session
from hashbench.types import Array, FitLog, ItemView, Paper, TrainView


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

    def fit(self, train: TrainView, n_bits: int, seed: int, session: Session) -> FitLog:
        """Learn to hash into `n_bits` bits; every random draw comes from generators seeded by `seed`.

        `session` says on which device and at which precision to compute, and keeps the checkpoints.
        """

    def encode(self, items: ItemView) -> Array:
        """The codes of `items`: bool (m, n_bits). The code of an item never depends on the other items."""

    def state_dict(self) -> dict[str, Array]:
        """Everything `encode` needs, as arrays."""

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Become the fitted method that `state` was taken from."""


@runtime_checkable
class GivesLogits(Protocol):
    """A method that also tells the real values behind the bits of a code.

    For a method whose published numbers rank database codes by the real values of a query, which is asymmetric; see
    `evaluate_asymmetric`. Such numbers stand apart from those of Hamming distances.
    """

    def logits(self, items: ItemView) -> Array:
        """Values z of `items`, finite float32 (m, n_bits), whose signs are the bits of `encode`; sigmoid(z) ranks."""
