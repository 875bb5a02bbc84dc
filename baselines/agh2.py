"""AGH with two layers: each of the anchor graph's leading eigenvectors is cut three times and gives two bits."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.learning.anchors import AnchorGraphMethod, eigenvector_weights
from hashbench.types import Array


class TwoLayerAGH(AnchorGraphMethod):
    """Anchor graph hashing, two layers (Liu, Wang, Kumar, Chang, ICML 2011, section 4).

    The first b / 2 bits are those of one layer: [y_k(x) >= 0] with y(x) = Wᵀz(x), W (m, b / 2) of b / 2 eigenvectors.
    The others cut each side of zero again: [y_k >= a_k] where y_k >= 0, [y_k <= c_k] where y_k < 0. The thresholds
    minimise fᵀLf over (a_k, c_k), where f_i = y_ik - a_k on the rows of the positive side and c_k - y_ik on the others
    and Σ f_i = 0, with L the Laplacian of the anchor graph. b must be even.
    """

    title: ClassVar[str] = "AGH (2 layers)"

    def layers(self, affinities: Array, n_bits: int) -> dict[str, Array]:
        """See `AnchorGraphMethod.layers`."""
        if n_bits % 2:
            raise HashbenchError(
                f"{self.title} cuts each eigenvector into two bits, so bits must be even, got {n_bits}"
            )
        # Scaled as in the authors' code: eigenvectors of mean square 1.
        weights = eigenvector_weights(affinities, n_bits // 2, self.title) * np.sqrt(len(affinities))
        thresholds = [second_thresholds(affinities, values) for values in (affinities @ weights).T]
        upper, lower = np.array(thresholds).T
        return {"weights": weights, "upper": upper, "lower": lower}

    def scores(self, rows: Array) -> Array:
        """y_k(x), then its distance beyond the threshold of its side."""
        first = self.affinities(rows) @ self.state["weights"]
        second = np.where(first >= 0, first - self.state["upper"], self.state["lower"] - first)
        return np.concatenate([first, second], axis=1)


def second_thresholds(affinities: Array, values: Array) -> tuple[float, float]:
    """The thresholds a > c for the two sides of one eigenvector, given Z (n, m) and its values y = Zw (n,).

    With f = |y| - (a on the positive side, -c on the negative side), minimises fᵀ(I - ZΛ⁻¹Zᵀ)f subject to Σ f = 0.
    """
    n, degrees = len(values), affinities.sum(axis=0)
    positive = values >= 0
    n_positive = positive.sum()
    n_negative = n - n_positive
    reach = affinities[positive].sum(axis=0)
    s1 = reach @ ((np.abs(values) @ affinities) / degrees)
    s2 = n_positive - (reach**2 / degrees).sum()
    s3 = values[positive].sum()
    slope = (s3 - s1) / s2
    return float((2 * s3 + n_negative * slope) / n), float((n_positive * slope - 2 * s3) / n)
