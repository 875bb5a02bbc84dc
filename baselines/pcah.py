"""PCAH: signs of principal components."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hashbench.learning.inputs import require_bits
from hashbench.learning.shallow import ShallowMethod, mean_of, most_components, principal_directions
from hashbench.types import Array, FitLog, Paper


class PCAH(ShallowMethod):
    """PCA hashing (the baseline of Wang, Kumar, Chang, TPAMI 2012).

    b(x) = [Vᵀ(x - μ) >= 0] with μ (d,) the mean train feature and V (d, b) the maximiser of tr(VᵀCV) under VᵀV = I,
    the eigenvectors of the train covariance C (d, d) with the b largest eigenvalues. There are at most min(d, n - 1)
    bits.
    """

    title: ClassVar[str] = "PCAH"
    paper: ClassVar[Paper] = Paper(
        key="wang2012semi",
        authors="Jun Wang and Sanjiv Kumar and Shih-Fu Chang",
        title="Semi-Supervised Hashing for Large-Scale Search",
        venue="IEEE Transactions on Pattern Analysis and Machine Intelligence",
        year=2012,
        url="https://doi.org/10.1109/TPAMI.2012.48",
    )
    deviations: ClassVar[tuple[str, ...]] = ()

    def learn(self, features: Array, n_bits: int, generator: np.random.Generator) -> tuple[dict[str, Array], FitLog]:
        """See `ShallowMethod.learn`. Nothing is drawn: every seed gives the same codes."""
        require_bits(n_bits, *most_components(features))
        mean = mean_of(features)
        return {"mean": mean, "directions": principal_directions(features, mean, n_bits)}, FitLog()

    def scores(self, rows: Array) -> Array:
        """Vᵀ(x - μ)."""
        projections: Array = (rows - self.state["mean"]) @ self.state["directions"]
        return projections
