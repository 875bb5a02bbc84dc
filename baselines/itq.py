"""ITQ: principal components, rotated so that rounding them to ±1 loses least."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hashbench.learning.hyperparameters import Count
from hashbench.learning.inputs import require_bits
from hashbench.learning.shallow import ShallowMethod, mean_of, most_components, principal_directions, row_by_row
from hashbench.types import Array, FitLog, Paper


class ITQ(ShallowMethod):
    """Iterative quantisation (Gong, Lazebnik, CVPR 2011).

    With V (n, b) the centred train features on their b principal directions P (d, b), minimises ‖B - VR‖² over codes
    B in {-1, +1}^(n x b) and rotations R (b, b), RᵀR = I, by turns: B = sign(VR); then, with the singular value
    decomposition BᵀV = SΩŜᵀ, R = ŜSᵀ. b(x) = [RᵀPᵀ(x - μ) >= 0]. There are at most min(d, n - 1) bits.

    The curve `quantisation error` is ‖B - VR‖² / n after each of the `iterations`; it never rises.
    """

    title: ClassVar[str] = "ITQ"
    paper: ClassVar[Paper] = Paper(
        key="gong2011iterative",
        authors="Yunchao Gong and Svetlana Lazebnik",
        title="Iterative Quantization: A Procrustean Approach to Learning Binary Codes",
        venue="IEEE Conference on Computer Vision and Pattern Recognition (CVPR)",
        year=2011,
        url="https://doi.org/10.1109/CVPR.2011.5995432",
    )
    deviations: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, iterations: Count) -> None:
        self.iterations = iterations

    def learn(self, features: Array, n_bits: int, generator: np.random.Generator) -> tuple[dict[str, Array], FitLog]:
        """See `ShallowMethod.learn`."""
        require_bits(n_bits, *most_components(features))
        mean = mean_of(features)
        directions = principal_directions(features, mean, n_bits)
        components = row_by_row(lambda rows: (rows - mean) @ directions, features)
        start = np.linalg.svd(generator.standard_normal((n_bits, n_bits)))[0]
        rotation, errors = rotate_to_signs(components, start, self.iterations)
        state = {"mean": mean, "projection": directions @ rotation}
        return state, FitLog({"quantisation error": errors})

    def scores(self, rows: Array) -> Array:
        """RᵀPᵀ(x - μ)."""
        projections: Array = (rows - self.state["mean"]) @ self.state["projection"]
        return projections


def rotate_to_signs(components: Array, rotation: Array, iterations: int) -> tuple[Array, list[float]]:
    """Alternate B = sign(VR) and the Procrustes rotation R for V = `components` (n, b), from `rotation` (b, b).

    Returns the last R and ‖B - VR‖² / n after each iteration.
    """
    errors = []
    rotated = components @ rotation
    for _ in range(iterations):
        codes = np.where(rotated >= 0, 1.0, -1.0)
        left, _, right_transposed = np.linalg.svd(codes.T @ components)
        rotation = right_transposed.T @ left.T
        rotated = components @ rotation
        errors.append(float(((codes - rotated) ** 2).sum()) / len(components))
    return rotation, errors
