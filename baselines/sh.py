"""SH: the sines of lowest frequency along the principal axes of the data's bounding box."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hashbench.learning.shallow import ShallowMethod, mean_of, principal_directions, row_by_row
from hashbench.types import Array, FitLog, Paper


class SH(ShallowMethod):
    """Spectral hashing (Weiss, Torralba, Fergus, NIPS 2008).

    Relaxes min Σ_ij A_ij ‖b_i - b_j‖² over balanced, uncorrelated bits to the eigenfunctions of the Laplacian of a
    uniform distribution on a box. On the p = min(b, d) principal directions, y = Vᵀ(x - μ), the box has its corner at
    l_i = min y_i - ε and the sides R_i = max y_i - min y_i + 2ε over the train rows. An eigenfunction is a pair of an
    axis i and a mode k >= 1, with the value cos(πk (y_i - l_i) / R_i) and an eigenvalue that grows with k / R_i. The
    b pairs of smallest k / R_i become the bits: [cos(...) >= 0].
    """

    title: ClassVar[str] = "SH"
    paper: ClassVar[Paper] = Paper(
        key="weiss2008spectral",
        authors="Yair Weiss and Antonio Torralba and Rob Fergus",
        title="Spectral Hashing",
        venue="Advances in Neural Information Processing Systems (NIPS)",
        year=2008,
        url="https://proceedings.neurips.cc/paper/2008/hash/d58072be2820e8682c0a27c0518e805e-Abstract.html",
    )
    deviations: ClassVar[tuple[str, ...]] = ()

    def learn(self, features: Array, n_bits: int, generator: np.random.Generator) -> tuple[dict[str, Array], FitLog]:
        """See `ShallowMethod.learn`. Nothing is drawn: every seed gives the same codes."""
        mean = mean_of(features)
        directions = principal_directions(features, mean, n_bits)
        components = row_by_row(lambda rows: (rows - mean) @ directions, features)
        epsilon = np.finfo(np.float64).eps
        low = components.min(axis=0) - epsilon
        sides = components.max(axis=0) + epsilon - low
        axes, modes = lowest_modes(sides, n_bits)
        return {
            "mean": mean,
            "directions": directions[:, axes],
            "low": low[axes],
            "frequencies": np.pi * modes / sides[axes],
        }, FitLog()

    def scores(self, rows: Array) -> Array:
        """cos(πk (y_i - l_i) / R_i); a y_i outside the box of the train rows is used as it is."""
        components = (rows - self.state["mean"]) @ self.state["directions"]
        values: Array = np.cos(self.state["frequencies"] * (components - self.state["low"]))
        return values


def lowest_modes(sides: Array, n_bits: int) -> tuple[Array, Array]:
    """The `n_bits` pairs (axis, mode >= 1) of smallest mode / side, smallest first: axes and modes, int64 (n_bits,).

    No axis can have more modes among them than its share of the longest side, ceil((b + 1) R_i / max R) - 1.
    """
    most = np.ceil((n_bits + 1) * sides / sides.max()).astype(np.int64) - 1
    axes = np.repeat(np.arange(len(sides)), most)
    modes = np.concatenate([np.arange(1, count + 1) for count in most])
    order = np.argsort(modes / sides[axes], kind="stable")[:n_bits]
    return axes[order], modes[order]
