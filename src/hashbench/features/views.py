"""Which augmented views a data set has."""

from __future__ import annotations

from hashbench.seeding import run_seed


def views_seed(base_seed: int, dataset: str) -> int:
    """The seed of every augmented view of a data set."""
    return run_seed(base_seed, "views", dataset)
