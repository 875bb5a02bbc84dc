"""Hashing-Baseline: signs of principal components after a random rotation."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hashbench.learning.inputs import features_of, require_bits
from hashbench.learning.shallow import ShallowMethod, mean_of, most_components, principal_directions, row_by_row
from hashbench.types import Array, FitLog, ItemView, Paper


class HashingBaseline(ShallowMethod):
    """Hashing-Baseline (Moummad, Zaher, Rauch, Joly, 2025): PCA and a random rotation, the start of ITQ.

    b(x) = [R Vᵀ(x - μ) >= 0] with μ (d,) the mean train feature, V (d, b) the eigenvectors of the train covariance
    with the b largest eigenvalues, R (b, b) uniform among the orthogonal matrices. There are at most min(d, n - 1)
    bits. Nothing is trained; another seed is another rotation.
    """

    title: ClassVar[str] = "Hashing-Baseline"
    paper: ClassVar[Paper] = Paper(
        key="moummad2025hashingbaseline",
        authors="Ilyass Moummad and Kawtar Zaher and Lukas Rauch and Alexis Joly",
        title="Hashing-Baseline: Rethinking Hashing in the Age of Pretrained Models",
        venue="arXiv",
        year=2025,
        url="https://arxiv.org/abs/2509.14427",
    )
    deviations: ClassVar[tuple[str, ...]] = (
        "Codes are ranked by Hamming distance, as those of all methods; the authors rank binary database codes by the "
        "real-valued sigmoid projections of a query, which is measured apart, as asymmetric.",
        "Principal components are exact; the official code approximates them by a randomised decomposition without "
        "oversampling.",
    )

    def learn(self, features: Array, n_bits: int, generator: np.random.Generator) -> tuple[dict[str, Array], FitLog]:
        """See `ShallowMethod.learn`."""
        require_bits(n_bits, *most_components(features))
        mean = mean_of(features)
        projection = principal_directions(features, mean, n_bits) @ random_rotation(n_bits, generator).T
        return {"mean": mean, "projection": projection}, FitLog()

    def scores(self, rows: Array) -> Array:
        """R Vᵀ(x - μ)."""
        projections: Array = (rows - self.state["mean"]) @ self.state["projection"]
        return projections

    def logits(self, items: ItemView) -> Array:
        """See `GivesLogits.logits`."""
        return row_by_row(self.scores, features_of(items, "pooled")).astype(np.float32)


def random_rotation(k: int, generator: np.random.Generator) -> Array:
    """A matrix drawn uniformly from all orthogonal ones (the Haar measure, reflections included): float64 (k, k)."""
    orthogonal, triangular = np.linalg.qr(generator.standard_normal((k, k)))
    # QR leaves the signs to the algorithm; with a positive diagonal the decomposition is unique, and Q uniform
    # (Mezzadri, Notices of the AMS 2007).
    rotation: Array = orthogonal * np.sign(np.diag(triangular))
    return rotation
