"""The anchor graph of Liu, Wang, Kumar, Chang, "Hashing with Graphs" (ICML 2011), and what both its hashes share."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.learning.hyperparameters import AtMost, Count
from hashbench.learning.shallow import ShallowMethod, k_means, mean_of, row_by_row, squared_distances
from hashbench.types import Array, FitLog, Paper


class AnchorGraphMethod(ShallowMethod):
    """A method that hashes the affinities z(x) (m,) of an image to m anchors.

    A subclass turns the affinities of the train rows into the arrays that its scores need (`layers`).

    `anchors`: m, the number of k-means centres, at most half the train rows. `nearest`: s, how many of them an image
    is tied to. `kmeans_iterations`: Lloyd iterations.
    """

    paper: ClassVar[Paper] = Paper(
        key="liu2011hashing",
        authors="Wei Liu and Jun Wang and Sanjiv Kumar and Shih-Fu Chang",
        title="Hashing with Graphs",
        venue="International Conference on Machine Learning (ICML)",
        year=2011,
        url="http://www.ee.columbia.edu/ln/dvmm/publicationPage/Publi/ICML:HashingWithGraphs.html",
    )
    deviations: ClassVar[tuple[str, ...]] = (
        "There are at most half as many anchors as train rows, so that an anchor stands for two rows or more; the "
        "paper fixes the number for tens of thousands of rows.",
        "Anchors that lose all their rows in k-means are dropped.",
    )

    def __init__(
        self, *, anchors: Count, nearest: Annotated[Count, AtMost("anchors")], kmeans_iterations: Count
    ) -> None:
        self.anchors = anchors
        self.nearest = nearest
        self.kmeans_iterations = kmeans_iterations

    @abstractmethod
    def layers(self, affinities: Array, n_bits: int) -> dict[str, Array]:
        """The arrays that turn affinities (n, m) into scores, fitted to those of the train rows."""

    def learn(self, features: Array, n_bits: int, generator: np.random.Generator) -> tuple[dict[str, Array], FitLog]:
        """See `ShallowMethod.learn`."""
        mean, wanted = mean_of(features), min(self.anchors, len(features) // 2)
        anchors, _ = k_means(features, mean, wanted, self.kmeans_iterations, generator)
        if self.nearest > len(anchors):
            raise HashbenchError(
                f"{self.title} ties an image to its {self.nearest} nearest anchors, but {len(features)} train rows "
                f"give {len(anchors)}; lower `nearest` or use more rows, and rows that differ"
            )
        width = self._width(features, mean, anchors)
        affinities = row_by_row(lambda rows: anchor_affinities(rows - mean, anchors, self.nearest, width), features)
        used = affinities.sum(axis=0) > 0
        graph = {
            "mean": mean,
            "anchors": anchors[used],
            "width": np.array([width]),
            "nearest": np.array([self.nearest]),
        }
        remark = f"{used.sum()} anchors, {self.nearest} nearest, width {width:.4g}"
        return {**graph, **self.layers(affinities[:, used], n_bits)}, FitLog(remarks=(remark,))

    def _width(self, features: Array, mean: Array, anchors: Array) -> float:
        """σ, the mean distance from a train row to its s-th nearest anchor."""
        squared = row_by_row(lambda rows: squared_distances(rows - mean, anchors), features)
        nth = np.partition(squared, self.nearest - 1, axis=1)[:, self.nearest - 1]
        # Where every row lies on an anchor (s = 1), any width gives the same affinities.
        return float(np.sqrt(nth).mean()) or 1.0

    def affinities(self, rows: Array) -> Array:
        """z(x) of features (m, d)."""
        state = self.state
        centred = rows - state["mean"]
        return anchor_affinities(centred, state["anchors"], int(state["nearest"][0]), float(state["width"][0]))


def anchor_affinities(rows: Array, anchors: Array, nearest: int, width: float) -> Array:
    """Truncated Gaussian affinities of rows (n, d) to anchors (m, d): (n, m), non-negative, each row sums to 1.

    z_j(x) is proportional to exp(-‖x - u_j‖² / σ²) for the s = `nearest` anchors nearest to x, and 0 for the others;
    σ = `width` (the paper's eq. 2 with the Gaussian kernel).
    """
    squared = squared_distances(rows, anchors)
    chosen = np.argpartition(squared, nearest - 1, axis=1)[:, :nearest]
    near = np.take_along_axis(squared, chosen, axis=1)
    # Relative to the nearest anchor, so that a row far away from all of them does not become 0 / 0.
    kernel = np.exp((near.min(axis=1, keepdims=True) - near) / width**2)
    affinities = np.zeros_like(squared)
    np.put_along_axis(affinities, chosen, kernel / kernel.sum(axis=1, keepdims=True), axis=1)
    return affinities


def eigenvector_weights(affinities: Array, k: int, method: str) -> Array:
    """W (m, k) such that the columns of ZW are the k leading orthonormal eigenvectors of the anchor graph.

    The graph's adjacency matrix is A = ZΛ⁻¹Zᵀ with Z (n, m) = `affinities` and Λ = diag(Zᵀ1). Its eigenvectors follow
    from those of the small matrix M = Λ^(-1/2) ZᵀZ Λ^(-1/2): W = Λ^(-1/2) [v_1 ... v_k] diag(λ_1 ... λ_k)^(-1/2) for
    the largest eigenvalues λ < 1 - 0.001, which leaves out the constant eigenvectors (the paper's eq. 7; the margin
    is that of the authors' code).

    Raises HashbenchError where fewer than k eigenvectors are left.
    """
    scale = 1 / np.sqrt(affinities.sum(axis=0))
    values, vectors = np.linalg.eigh(scale[:, None] * (affinities.T @ affinities) * scale)
    kept = (values > 1e-10) & (values < 1 - 1e-3)
    values, vectors = values[kept][::-1], vectors[:, kept][:, ::-1]
    if len(values) < k:
        raise HashbenchError(
            f"{method} needs {k} eigenvectors of the anchor graph, but {affinities.shape[1]} anchors give "
            f"{len(values)}; use fewer bits, more anchors or more train rows"
        )
    weights: Array = scale[:, None] * vectors[:, :k] / np.sqrt(values[:k])
    return weights
