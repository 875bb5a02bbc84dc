"""Features and checks that the tests of the baselines share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hashbench.learning.session import Session
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


@pytest.fixture(scope="session")
def clusters() -> Callable[[int, int], tuple[Array, Array]]:
    """Draws n rows of eight noisy clusters, non-negative as after a ReLU: float32 (n, 40), cluster (n,)."""
    centres = np.random.default_rng(0).normal(size=(8, 40)) * 0.8

    def draw(n: int, seed: int) -> tuple[Array, Array]:
        rng = np.random.default_rng(seed)
        groups = rng.integers(8, size=n)
        # Half of the noise lies in a few directions that tell nothing about the cluster.
        noise = rng.normal(size=(n, 40)) + rng.normal(size=(n, 4)) @ rng.permutation(np.eye(4, 40) * 2, axis=1)
        return np.maximum(centres[groups] + 0.5 * noise + 0.3, 0).astype(np.float32), groups

    return draw


@pytest.fixture(scope="session")
def mean_average_precision() -> Callable[[Array, Array], float]:
    """mAP of bits (m, b) whose every row is a query against the others; ties in the order of a fixed shuffle."""

    def measure(bits: Array, groups: Array) -> float:
        order = np.random.default_rng(0).permutation(len(bits))
        bits, groups = bits[order], groups[order]
        precisions = []
        for query in range(len(bits)):
            others = np.arange(len(bits)) != query
            distances = (bits[others] != bits[query]).sum(axis=1)
            relevant = (groups[others] == groups[query])[np.argsort(distances, kind="stable")]
            precisions.append((relevant.cumsum() / np.arange(1, len(relevant) + 1))[relevant].mean())
        return float(np.mean(precisions))

    return measure


@pytest.fixture(scope="session")
def gain_over_random_projections(
    clusters: Callable[[int, int], tuple[Array, Array]], mean_average_precision: Callable[[Array, Array], float]
) -> Callable[[Any], float]:
    """Fits a method to 300 clustered rows: its mAP on 200 others less that of random projections, at 16 bits."""

    def gain(method: Any) -> float:
        (fitted_on, _), (held_out, groups) = clusters(300, 1), clusters(200, 2)
        shifts = np.random.default_rng(3).normal(size=(2, 300, 40)) * 0.2
        views = np.maximum(fitted_on + shifts, 0)
        method.fit(
            TrainView(np.arange(300), pooled=fitted_on, views=views.astype(np.float32)), 16, seed=0, session=Session()
        )
        learned = mean_average_precision(method.encode(ItemView(np.arange(200), pooled=held_out)), groups)
        draws = [np.random.default_rng(seed).normal(size=(40, 16)) for seed in range(5)]
        random = [mean_average_precision((held_out - fitted_on.mean(axis=0)) @ draw >= 0, groups) for draw in draws]
        return learned - float(np.mean(random))

    return gain


@pytest.fixture(scope="session")
def unmoved() -> Callable[..., list[str]]:
    """Names the trainable parameters of a method's head that one epoch leaves as they were (there should be none).

    `make(epochs)` gives the method.
    """

    def names(make: Callable[[int], Any], view: TrainView) -> list[str]:
        before, after = make(0), make(1)
        for method in (before, after):
            method.fit(view, 6, seed=0, session=Session())
        pairs = zip(before.head.named_parameters(), after.head.named_parameters(), strict=True)
        return [name for (name, start), (_, end) in pairs if bool((start == end).all())]

    return names
