"""AGH with one layer: signs of the anchor graph's leading eigenvectors."""

from __future__ import annotations

from typing import ClassVar

from hashbench.learning.anchors import AnchorGraphMethod, eigenvector_weights
from hashbench.types import Array


class OneLayerAGH(AnchorGraphMethod):
    """Anchor graph hashing, one layer (Liu, Wang, Kumar, Chang, ICML 2011, section 3).

    Relaxes min tr(YᵀLY) over balanced, uncorrelated codes Y, with L = I - ZΛ⁻¹Zᵀ the Laplacian of the anchor graph, to
    its eigenvectors, extended to any image: b(x) = [Wᵀz(x) >= 0] with z(x) (m,) the affinities to the anchors and W
    (m, b). There can be fewer bits than anchors only.
    """

    title: ClassVar[str] = "AGH (1 layer)"

    def layers(self, affinities: Array, n_bits: int) -> dict[str, Array]:
        """See `AnchorGraphMethod.layers`."""
        return {"weights": eigenvector_weights(affinities, n_bits, self.title)}

    def scores(self, rows: Array) -> Array:
        """Wᵀz(x)."""
        values: Array = self.affinities(rows) @ self.state["weights"]
        return values
