"""The base of methods that are fitted without a network, and the linear algebra that they share. NumPy, float64."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np
from scipy.cluster.vq import kmeans2  # type: ignore[import-untyped]

from hashbench.errors import HashbenchError
from hashbench.learning.inputs import features_of, require_bits
from hashbench.learning.session import Session
from hashbench.seeding import numpy_generator
from hashbench.types import Array, FitLog, ItemView, Paper, TrainView

_ROWS_AT_ONCE = 1024


class ShallowMethod(ABC):
    """A method whose k-th bit says whether a score s_k(x) of the pooled feature x of one image is at least 0.

    A subclass says how the arrays that the scores need are found (`learn`) and what the scores are (`scores`);
    encoding, saving and loading are here.
    """

    title: ClassVar[str]
    paper: ClassVar[Paper]
    deviations: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[frozenset[str]] = frozenset({"pooled"})

    state: dict[str, Array]

    @abstractmethod
    def learn(self, features: Array, n_bits: int, generator: np.random.Generator) -> tuple[dict[str, Array], FitLog]:
        """The state fitted to the train features (n, d), and what the fit reports. All draws from `generator`."""

    @abstractmethod
    def scores(self, rows: Array) -> Array:
        """The scores of features (m, d), float64: (m, n_bits)."""

    def fit(self, train: TrainView, n_bits: int, seed: int, session: Session) -> FitLog:
        """See `Method.fit`. On a processor, whatever the session's device."""
        require_bits(n_bits)
        self.state, log = self.learn(features_of(train, "pooled"), n_bits, numpy_generator(seed))
        return log

    def encode(self, items: ItemView) -> Array:
        """See `Method.encode`."""
        bits: Array = row_by_row(self.scores, features_of(items, "pooled")) >= 0
        return bits

    def state_dict(self) -> dict[str, Array]:
        """See `Method.state_dict`."""
        return dict(self.state)

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """See `Method.load_state_dict`."""
        self.state = {name: np.array(value) for name, value in state.items()}


def row_by_row(function: Callable[[Array], Array], features: Array) -> Array:
    """`function` of features (m, d), which maps rows to rows: (m, ...), to the last bit the same for any company.

    Rows pass through as float64 in blocks of one fixed size, the last one filled up with zeros: matrix products round
    differently at different sizes, and a code must not depend on which other items are encoded with it.
    """
    blocks = []
    for start in range(0, max(len(features), 1), _ROWS_AT_ONCE):
        rows = features[start : start + _ROWS_AT_ONCE]
        padded = np.zeros((_ROWS_AT_ONCE, features.shape[1]))
        padded[: len(rows)] = rows
        blocks.append(function(padded)[: len(rows)])
    return np.concatenate(blocks)


def squared_distances(rows: Array, centres: Array) -> Array:
    """Squared Euclidean distances between rows (m, d) and centres (k, d): (m, k), never below 0."""
    products = -2 * rows @ centres.T
    products += (rows**2).sum(axis=1, keepdims=True)
    products += (centres**2).sum(axis=1)
    distances: Array = np.maximum(products, 0)
    return distances


def mean_of(features: Array) -> Array:
    """The mean row of features (n, d), float64 (d,)."""
    mean: Array = features.mean(axis=0, dtype=np.float64)
    return mean


def covariance_of(features: Array, mean: Array) -> Array:
    """The covariance matrix of features (n, d) around their `mean`, float64 (d, d)."""
    total = np.zeros((features.shape[1], features.shape[1]))
    for start in range(0, len(features), _ROWS_AT_ONCE):
        centred = features[start : start + _ROWS_AT_ONCE] - mean
        total += centred.T @ centred
    return total / max(len(features) - 1, 1)


def most_components(features: Array) -> tuple[int, str]:
    """How many principal components features (n, d) have, min(d, n - 1), and why: the arguments of `require_bits`."""
    n, d = features.shape
    return min(d, n - 1), f"one bit per principal component of {n} train rows with {d} features"


def principal_directions(features: Array, mean: Array, k: int) -> Array:
    """The k directions of largest variance of features (n, d), as orthonormal columns (d, k), largest first.

    An eigenvector's sign is arbitrary; here its entry of largest magnitude is positive, so that one data set gives one
    answer. Raises HashbenchError where all features are equal.
    """
    if (features.min(axis=0) == features.max(axis=0)).all():
        raise HashbenchError("all train features are equal, so they have no principal directions; check the features")
    vectors = np.linalg.eigh(covariance_of(features, mean))[1][:, ::-1][:, :k]
    largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])]
    directions: Array = vectors * np.where(largest < 0, -1.0, 1.0)
    return directions


def k_means(
    features: Array, mean: Array, k: int, iterations: int, generator: np.random.Generator
) -> tuple[Array, Array]:
    """Lloyd's k-means of features (n, d) relative to `mean`, started from k random rows.

    Returns the centres relative to `mean`, float64 (at most k, d), and how many rows are nearest to each, int64: a
    group without rows is left out. Raises HashbenchError where there are fewer than k rows.
    """
    if k > len(features):
        raise HashbenchError(
            f"k-means cannot form {k} groups of {len(features)} train rows; use fewer bits or more rows"
        )
    centred = np.subtract(features, mean, dtype=np.float32)
    start = centred[generator.choice(len(features), size=k, replace=False)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="One of the clusters is empty")
        centres = kmeans2(centred, start, iter=iterations, minit="matrix")[0].astype(np.float64)
    nearest = row_by_row(lambda rows: squared_distances(rows - mean, centres).argmin(axis=1), features)
    members = np.bincount(nearest, minlength=k)
    return centres[members > 0], members[members > 0]
