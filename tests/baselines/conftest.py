"""Features that the tests of the shallow baselines share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hashbench.types import Array, ItemView, TrainView


@pytest.fixture(scope="session")
def features() -> Array:
    """Six Gaussian groups in 12 dimensions with unequal variances, away from the origin: float32 (150, 12)."""
    rng = np.random.default_rng(7)
    centres = rng.normal(size=(6, 12)) * 3 + 5
    rows = centres[rng.integers(6, size=150)] + rng.normal(size=(150, 12)) * np.linspace(0.2, 1.5, 12)
    return rows.astype(np.float32)


@pytest.fixture(scope="session")
def train() -> Callable[[Array], TrainView]:
    """Makes a train view of features."""
    return lambda pooled: TrainView(np.arange(len(pooled)), pooled=pooled)


@pytest.fixture(scope="session")
def items() -> Callable[[Array], ItemView]:
    """Makes an item view of features."""
    return lambda pooled: ItemView(np.arange(len(pooled)), pooled=pooled)
