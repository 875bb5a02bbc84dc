"""DSH: the most balanced of the planes that separate neighbouring groups."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.learning.hyperparameters import Count, Positive
from hashbench.learning.shallow import ShallowMethod, k_means, mean_of, squared_distances
from hashbench.types import Array, FitLog, Paper


class DSH(ShallowMethod):
    """Density sensitive hashing (Jin, Li, Lin, Cai, IEEE Transactions on Cybernetics 2014); no deep method.

    k-means forms round(α b) groups of the train rows with centres μ_g (d,). Each two groups of which one is among the r
    nearest of the other give the plane half way between them: w = μ_g - μ_h, t = wᵀ(μ_g + μ_h) / 2. With p the share
    of train rows whose group's centre has wᵀμ > t, the b planes of largest min(p, 1 - p), the most entropic ones,
    become the bits [wᵀx >= t].

    `groups_per_bit`: α. `neighbours`: r. `kmeans_iterations`: Lloyd iterations.
    """

    title: ClassVar[str] = "DSH"
    paper: ClassVar[Paper] = Paper(
        key="jin2014density",
        authors="Zhongming Jin and Cheng Li and Yue Lin and Deng Cai",
        title="Density Sensitive Hashing",
        venue="IEEE Transactions on Cybernetics",
        year=2014,
        url="https://doi.org/10.1109/TCYB.2013.2283497",
    )
    deviations: ClassVar[tuple[str, ...]] = (
        "Planes are told apart by their pair of groups; public code tells them apart by the distance of the two "
        "centres, so that equal distances give one plane twice.",
        "Among equally balanced planes the pair of groups that comes first wins.",
    )

    def __init__(self, *, groups_per_bit: Positive, neighbours: Count, kmeans_iterations: Count) -> None:
        self.groups_per_bit = groups_per_bit
        self.neighbours = neighbours
        self.kmeans_iterations = kmeans_iterations

    def learn(self, features: Array, n_bits: int, generator: np.random.Generator) -> tuple[dict[str, Array], FitLog]:
        """See `ShallowMethod.learn`."""
        n_groups = int(np.floor(self.groups_per_bit * n_bits + 0.5))
        mean = mean_of(features)
        centres, members = k_means(features, mean, n_groups, self.kmeans_iterations, generator)
        pairs = neighbouring_pairs(centres, self.neighbours)
        if len(pairs) < n_bits:
            raise HashbenchError(
                f"DSH found {len(pairs)} planes between {len(centres)} groups for {n_bits} bits; "
                "raise `groups_per_bit` or `neighbours`, or use train rows that differ more"
            )
        normals, offsets = median_planes(centres, pairs)
        chosen = np.argsort(-balance(centres, members, normals, offsets), kind="stable")[:n_bits]
        return {"mean": mean, "normals": normals[chosen].T, "offsets": offsets[chosen]}, FitLog()

    def scores(self, rows: Array) -> Array:
        """wᵀx - t, with x relative to the mean train feature."""
        margins: Array = (rows - self.state["mean"]) @ self.state["normals"] - self.state["offsets"]
        return margins


def neighbouring_pairs(centres: Array, neighbours: int) -> Array:
    """The pairs g < h of distinct centres (k, d), one among the nearest of the other: int64 (pairs, 2), sorted."""
    squared = squared_distances(centres, centres)
    np.fill_diagonal(squared, np.inf)
    nearest = np.argsort(squared, axis=1, kind="stable")[:, : min(neighbours, len(centres) - 1)]
    pairs = {
        (min(g, h), max(g, h))
        for g, row in enumerate(nearest.tolist())
        for h in row
        if not np.array_equal(centres[g], centres[h])
    }
    return np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)


def median_planes(centres: Array, pairs: Array) -> tuple[Array, Array]:
    """Normals w = μ_g - μ_h (pairs, d) and offsets t = wᵀ(μ_g + μ_h) / 2 (pairs,) of the planes half way."""
    first, second = centres[pairs[:, 0]], centres[pairs[:, 1]]
    normals = first - second
    return normals, ((first + second) / 2 * normals).sum(axis=1)


def balance(centres: Array, members: Array, normals: Array, offsets: Array) -> Array:
    """How many train rows belong to the groups on the smaller side of each plane, int64 (planes,).

    Group g has the centre `centres[g]` and `members[g]` rows; on the positive side wᵀμ_g > t.
    """
    positive = (centres @ normals.T > offsets).T @ members
    balanced: Array = np.minimum(positive, members.sum() - positive)
    return balanced
