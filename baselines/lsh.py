"""LSH: signs of random projections."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hashbench.learning.shallow import ShallowMethod, mean_of
from hashbench.types import Array, FitLog, Paper


class LSH(ShallowMethod):
    """Locality-sensitive hashing by random hyperplanes (Charikar, STOC 2002, section 3).

    b(x) = [Wᵀ(x - μ) >= 0] with μ (d,) the mean train feature and W (d, b) of independent N(0, 1) entries. Nothing is
    optimised: P(b_k(x) = b_k(y)) = 1 - θ / π for two vectors at the angle θ as seen from μ.
    """

    title: ClassVar[str] = "LSH"
    paper: ClassVar[Paper] = Paper(
        key="charikar2002similarity",
        authors="Moses S. Charikar",
        title="Similarity Estimation Techniques from Rounding Algorithms",
        venue="ACM Symposium on Theory of Computing (STOC)",
        year=2002,
        url="https://doi.org/10.1145/509907.509965",
    )
    deviations: ClassVar[tuple[str, ...]] = (
        "Features are centred by the mean train feature, dimension by dimension; the paper's hyperplanes pass through "
        "the origin, which leaves non-negative features in one orthant and the bits unbalanced.",
    )

    def learn(self, features: Array, n_bits: int, generator: np.random.Generator) -> tuple[dict[str, Array], FitLog]:
        """See `ShallowMethod.learn`."""
        normals = generator.standard_normal((features.shape[1], n_bits))
        return {"mean": mean_of(features), "normals": normals}, FitLog()

    def scores(self, rows: Array) -> Array:
        """Wᵀ(x - μ)."""
        projections: Array = (rows - self.state["mean"]) @ self.state["normals"]
        return projections
