"""SpH: membership in balanced, independent balls."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.methods.base import Paper
from hashbench.methods.shallow import ShallowMethod, mean_of, row_by_row, squared_distances
from hashbench.progress import track
from hashbench.types import Array, FitLog


class SpH(ShallowMethod):
    """Spherical hashing (Heo, Lee, He, Chang, Yoon, CVPR 2012).

    b_k(x) = [‖x - p_k‖ <= t_k] with pivots p (b, d) and radii t (b,). With o_k train rows inside ball k and o_kl inside
    both balls k and l, the aims are o_k = n / 2, which the radii give, and o_kl = n / 4, towards which the pivots are
    pushed: each pair by f_kl = (o_kl - n/4) / (n/4) (p_k - p_l) / 2, of which p_k gets f_kl / b and p_l gets -f_kl / b.
    A pivot starts as the mean of `pivot_rows` random train rows. The fit ends when mean |o_kl - n/4| <=
    `mean_tolerance` n/4 and std o_kl <= `std_tolerance` n/4 over the pairs, or after `iterations` rounds of pushing.

    The curves `overlap error` and `overlap spread` are that mean and that deviation as shares of n/4, one value a round.
    """

    title: ClassVar[str] = "SpH"
    paper: ClassVar[Paper] = Paper(
        key="heo2012spherical",
        authors="Jae-Pil Heo and Youngwoon Lee and Junfeng He and Shih-Fu Chang and Sung-Eui Yoon",
        title="Spherical Hashing",
        venue="IEEE Conference on Computer Vision and Pattern Recognition (CVPR)",
        year=2012,
        url="https://doi.org/10.1109/CVPR.2012.6248024",
    )
    deviations: ClassVar[tuple[str, ...]] = (
        "Codes are ranked by plain Hamming distance, as those of every other method here; the paper also proposes a "
        "spherical Hamming distance.",
        "The fit stops after a given number of rounds, converged or not, and says which; published code warns and goes "
        "on.",
    )

    def __init__(self, *, pivot_rows: int, mean_tolerance: float, std_tolerance: float, iterations: int) -> None:
        self.pivot_rows = pivot_rows
        self.mean_tolerance = mean_tolerance
        self.std_tolerance = std_tolerance
        self.iterations = iterations

    def learn(self, features: Array, n_bits: int, generator: np.random.Generator) -> tuple[dict[str, Array], FitLog]:
        """See `ShallowMethod.learn`."""
        n = len(features)
        if n < self.pivot_rows:
            raise HashbenchError(f"SpH's pivots are means of {self.pivot_rows} train rows, and there are only {n}")
        pairs = np.triu_indices(n_bits, 1)
        mean = mean_of(features)
        drawn = [generator.choice(n, self.pivot_rows, replace=False) for _ in range(n_bits)]
        pivots = np.stack([features[np.sort(rows)].mean(axis=0, dtype=np.float64) for rows in drawn]) - mean
        errors: list[float] = []
        spreads: list[float] = []
        for _ in track(range(self.iterations), "SpH"):
            radii, overlaps = balanced_balls(features, mean, pivots)
            pivots = pivots + forces(overlaps, pivots, n)
            radii, overlaps = balanced_balls(features, mean, pivots)
            errors.append(float(np.abs(overlaps[pairs] - n / 4).sum()) / max(len(pairs[0]), 1) / (n / 4))
