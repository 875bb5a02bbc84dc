"""Contrast within a hierarchy of clusters in hyperbolic space: the objective of HHCH.

Wei, Liu, Song, Xie, Zhou, "Exploring Hierarchical Information in Hyperbolic Space for Self-Supervised Image Hashing"
(IEEE TIP 2024), as the authors' code has it. N images in two views as points p1, p2 (N, D) of the Poincaré ball, L
levels of clusters from fine to coarse; natural logarithms. e(x, y) = -`hyperbolic_distance`(x, y) / temperature. Level
l = 1..L counts 1/(l L).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hashbench.learning.hyperbolic import hyperbolic_distance


def hhch_instance_loss(
    p1: Tensor, p2: Tensor, curvature: float, temperature: float, clusters: Tensor | None = None
) -> Tensor:
    """Each image shall be nearest to its other view: a scalar >= 0, the mean of both directions.

    From view 1 to view 2, at one level: the mean over i of

        -e(p1_i, p2_i) + log(Σ_j∈A e^e(p1_i, p2_j) + Σ_j∈A\\i e^e(p1_i, p1_j)),

    A being i and all images of other clusters than i's. `clusters` int64 (N, L); None stands for one level at which
    every image is a cluster of its own.
    """
    if clusters is None:
        clusters = torch.arange(len(p1), device=p1.device)[:, None]
    across = -hyperbolic_distance(p1, p2, curvature) / temperature
    within1, within2 = (-hyperbolic_distance(points, points, curvature) / temperature for points in (p1, p2))
    terms = []
    for level, weight in enumerate(_weights(clusters.shape[1])):
        apart = clusters[:, level, None] != clusters[:, level]
        terms.append(weight * (_recognition(across, within1, apart) + _recognition(across.T, within2, apart)) / 2)
    return torch.stack(terms).sum()


def _recognition(across: Tensor, within: Tensor, apart: Tensor) -> Tensor:
    """One direction at one level: e to the other view and in the same view (N, N), `apart` bool: of two clusters."""
    itself = torch.eye(len(across), dtype=torch.bool, device=across.device)
    others = [across.masked_fill(~(apart | itself), -torch.inf), within.masked_fill(~apart, -torch.inf)]
    return (torch.cat(others, dim=1).logsumexp(dim=1) - across.diagonal()).mean()


def hhch_prototype_loss(
    p1: Tensor,
    p2: Tensor,
    centres: Tensor,
    sizes: Tensor,
    clusters: Tensor,
    curvature: float,
    temperature: float,
) -> Tensor:
    """Each view of an image shall be nearest to the centre of its cluster, at every level. A scalar.

    `centres` (L, k, D), of which the first `sizes`[l] (L,) rows are level l's; `clusters` int64 (N, L) numbers among
    them. At one level, with m over its centres: the sum over both views of the mean over i of

        -e(p_i, m_cluster(i)) + log(Σ_m e^e(p_i, m) + 1e-5).
    """
    terms = []
    for level, weight in enumerate(_weights(clusters.shape[1])):
        absent = torch.arange(centres.shape[1], device=p1.device) >= sizes[level]
        for points in (p1, p2):
            logits = -hyperbolic_distance(points, centres[level], curvature) / temperature
            own = logits.gather(1, clusters[:, level, None])
            total = logits.masked_fill(absent, -torch.inf).logsumexp(dim=1, keepdim=True)
            terms.append(weight * (torch.logaddexp(total, total.new_tensor(math.log(1e-5))) - own).mean())
    return torch.stack(terms).sum()


def hhch_quantisation(codes1: Tensor, codes2: Tensor) -> Tensor:
    """½ (mean (|h1| - 1)² + mean (|h2| - 1)²) of the codes h1, h2 (N, K) of two views: a scalar, 0 where all are ±1."""
    return ((codes1.abs() - 1).square().mean() + (codes2.abs() - 1).square().mean()) / 2


def _weights(n_levels: int) -> list[float]:
    return [1 / (level * n_levels) for level in range(1, n_levels + 1)]
