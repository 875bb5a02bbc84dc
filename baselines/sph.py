"""SpH: membership in balanced, independent balls."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.learning.hyperparameters import Count, NotNegative
from hashbench.learning.shallow import ShallowMethod, mean_of, row_by_row, squared_distances
from hashbench.progress import track
from hashbench.types import Array, FitLog, Paper


class SpH(ShallowMethod):
    """Spherical hashing (Heo, Lee, He, Chang, Yoon, CVPR 2012).

    b_k(x) = [‖x - p_k‖ <= t_k] with pivots p (b, d) and radii t (b,). With o_k train rows inside ball k and o_kl inside
    both balls k and l, the aims are o_k = n / 2, which the radii give, and o_kl = n / 4, towards which the pivots are
    pushed: each pair by f_kl = (o_kl - n/4) / (n/4) (p_k - p_l) / 2, of which p_k gets f_kl / b and p_l gets -f_kl / b.
    A pivot starts as the mean of `pivot_rows` random train rows. The fit ends when mean |o_kl - n/4| <=
    `mean_tolerance` n/4 and std o_kl <= `std_tolerance` n/4 over the pairs, or after `iterations` rounds of pushing.

    The curves `overlap error` and `overlap spread` are that mean and that deviation in units of n/4, round by round.
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

    def __init__(
        self, *, pivot_rows: Count, mean_tolerance: NotNegative, std_tolerance: NotNegative, iterations: Count
    ) -> None:
        self.pivot_rows = pivot_rows
        self.mean_tolerance = mean_tolerance
        self.std_tolerance = std_tolerance
        self.iterations = iterations

    def learn(self, features: Array, n_bits: int, generator: np.random.Generator) -> tuple[dict[str, Array], FitLog]:
        """See `ShallowMethod.learn`."""
        if len(features) < self.pivot_rows:
            raise HashbenchError(f"SpH takes the mean of {self.pivot_rows} train rows, and there are {len(features)}")
        mean = mean_of(features)
        drawn = [generator.choice(len(features), self.pivot_rows, replace=False) for _ in range(n_bits)]
        pivots = np.stack([features[np.sort(rows)].mean(axis=0, dtype=np.float64) for rows in drawn]) - mean
        radii, overlaps = balanced_balls(features, mean, pivots)
        curves: dict[str, list[float]] = {"overlap error": [], "overlap spread": []}
        converged = False
        for _ in track(range(self.iterations), "SpH"):
            pivots = pivots + push(overlaps, pivots, len(features))
            radii, overlaps = balanced_balls(features, mean, pivots)
            error, spread = dependence(overlaps, len(features))
            curves["overlap error"].append(error)
            curves["overlap spread"].append(spread)
            converged = error <= self.mean_tolerance and spread <= self.std_tolerance
            if converged:
                break
        outcome = "converged" if converged else "did not converge"
        remark = f"{outcome} in {len(curves['overlap error'])} rounds of at most {self.iterations}"
        return {"mean": mean, "pivots": pivots, "squared_radii": radii}, FitLog(curves, (remark,))

    def scores(self, rows: Array) -> Array:
        """t_k² - ‖x - p_k‖²."""
        # Around the mean, where the distances lose least to rounding.
        distances = squared_distances(rows - self.state["mean"], self.state["pivots"])
        margins: Array = self.state["squared_radii"] - distances
        return margins


def balanced_balls(features: Array, mean: Array, pivots: Array) -> tuple[Array, Array]:
    """Around each pivot (b, d) the smallest ball that holds floor(n / 2) (at least 1) of the features (n, d).

    Pivots are given relative to `mean`. Returns the squared radii (b,) and o_kl, how many rows each two balls share,
    (b, b).
    """
    distances = row_by_row(lambda rows: squared_distances(rows - mean, pivots), features)
    half = max(len(features) // 2, 1) - 1
    squared_radii = np.partition(distances, half, axis=0)[half]
    inside = (distances <= squared_radii).astype(np.float64)
    return squared_radii, inside.T @ inside


def push(overlaps: Array, pivots: Array, n: int) -> Array:
    """How far each pivot (b, d) is moved, (b, d): p_k by the sum over l of (o_kl - n/4) / (n/4) (p_k - p_l) / 2b."""
    strength = (overlaps - n / 4) / (n / 4) / (2 * len(pivots))
    np.fill_diagonal(strength, 0.0)
    moves: Array = strength.sum(axis=1, keepdims=True) * pivots - strength @ pivots
    return moves


def dependence(overlaps: Array, n: int) -> tuple[float, float]:
    """Mean |o_kl - n/4| and standard deviation of o_kl over the pairs k < l, as shares of n/4; 0, 0 for one bit."""
    shared = overlaps[np.triu_indices(len(overlaps), 1)] / (n / 4)
    return (float(np.abs(shared - 1).mean()), float(shared.std())) if len(shared) else (0.0, 0.0)
