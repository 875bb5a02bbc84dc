"""The Poincaré ball of curvature -c: distances, points, midpoints and k-means, as hyperbolic hashing uses them.

The ball holds the vectors p with ‖p‖ < 1/√c. Rows are points, n of them in D dimensions. The constants 1e-3 and 1e-5
are those of the code of Wei et al., "Exploring Hierarchical Information in Hyperbolic Space for Self-Supervised Image
Hashing" (IEEE TIP 2024).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_BOUNDARY = 1e-3
_EPSILON = 1e-5


def hyperbolic_distance(p1: Tensor, p2: Tensor, curvature: float) -> Tensor:
    """The distance of every row of `p1` (n, D) to every row of `p2` (m, D) in the ball of `curvature` c > 0: (n, m).

    d(x, y) = 2/√c · artanh(√c ‖(-x) ⊕ y‖) with the Möbius sum ⊕, for which ‖(-x) ⊕ y‖ = ‖x - y‖ / √w,
    w = (1 - c‖x‖²)(1 - c‖y‖²) + c‖x - y‖². As in the authors' code 1e-5 is added to the denominator of ⊕, which is w,
    and the argument of artanh is at most 1 - 1e-5. Equal points have distance 0, and a gradient of 0.
    """
    # Differences, not products: nearby points would otherwise lose their digits, and half precision all of them.
    gaps = torch.cdist(p1, p2, compute_mode="donot_use_mm_for_euclid_dist")
    room1, room2 = (1 - curvature * points.square().sum(dim=1) for points in (p1, p2))
    denominator = room1[:, None] * room2 + curvature * gaps.square()
    norms = gaps * denominator.sqrt() / (denominator + _EPSILON)
    return 2 / math.sqrt(curvature) * torch.atanh((math.sqrt(curvature) * norms).clamp(max=1 - _EPSILON))


def poincare_points(codes: Tensor, weight: Tensor, bias: Tensor, curvature: float, clip_radius: float) -> Tensor:
    """A linear layer's outputs for `codes` (n, K), as points of the ball of `curvature` c > 0: (n, D).

    `weight` (D, K), `bias` (D,). u = `weight` h + `bias`, shortened to the norm `clip_radius` > 0 where it is longer,
    is taken for a tangent vector at the origin: p = tanh(√c ‖u‖) / (√c ‖u‖) · u, with ‖p‖ at most (1 - 1e-3)/√c.
    """
    tangents = F.linear(codes, weight, bias)
    tangents = tangents.to(torch.promote_types(tangents.dtype, torch.float32))
    tangents = tangents * (clip_radius / (_norms(tangents) + _EPSILON)).clamp(max=1)
    lengths = math.sqrt(curvature) * _norms(tangents).clamp(min=_EPSILON)
    points = torch.tanh(lengths) / lengths * tangents
    limit = (1 - _BOUNDARY) / math.sqrt(curvature)
    return points * (limit / _norms(points).clamp(min=_EPSILON)).clamp(max=1)


def einstein_midpoints(points: Tensor, members: Tensor, curvature: float) -> Tensor:
    """The Einstein midpoint of each group of `points` (n, D): (k, D).

    `members` bool (n, k) says which points belong to which group; none is empty. In the Klein model, x' = 2x/(1 +
    c‖x‖²), the midpoint is the mean weighted by γ = 1/√(1 - c‖x'‖²) = (1 + c‖x‖²)/(1 - c‖x‖²); m there is the point
    m/(1 + √(1 - c‖m‖²)) of the ball.
    """
    squares = curvature * points.square().sum(dim=1, keepdim=True)
    groups = members.T.to(points.dtype)
    midpoints = (groups @ (2 * points / (1 - squares))) / (groups @ ((1 + squares) / (1 - squares)))
    return midpoints / (1 + (1 - curvature * midpoints.square().sum(dim=1, keepdim=True)).sqrt())


def hyperbolic_k_means(points: Tensor, centres: Tensor, curvature: float, iterations: int) -> tuple[Tensor, Tensor]:
    """Lloyd's k-means in the ball: nearest centres by `hyperbolic_distance`, moved to the midpoints of their points.

    `points` (n, D), `centres` (k, D) to start from, `iterations` >= 1 the most rounds. A centre without points is
    dropped. Returns the centres, at most k, and for each point the number of the one whose midpoint it enters (n,).
    """
    nearest = points.new_full((len(points),), -1, dtype=torch.int64)
    for _ in range(iterations):
        before = nearest
        nearest = hyperbolic_distance(points, centres, curvature).argmin(dim=1)
        occupied, nearest = torch.unique(nearest, return_inverse=True)
        # What is assigned as before has the same midpoints: nothing would move any more.
        if len(occupied) == len(centres) and torch.equal(nearest, before):
            break
        centres = einstein_midpoints(points, F.one_hot(nearest, len(occupied)).bool(), curvature)
    return centres, nearest


def hyperbolic_hierarchy(
    points: Tensor, sizes: tuple[int, ...], curvature: float, iterations: int, generator: torch.Generator
) -> tuple[list[Tensor], Tensor]:
    """Clusters of `points` (n, D), clusters of their centres, and so on: one level for each of `sizes`.

    A level is `hyperbolic_k_means` of the centres of the level before, started from at most its number of `sizes` of
    them, drawn by `generator`. Returns the centres of each level, and the cluster of each point at each level (n, L).
    """
    levels: list[Tensor] = []
    clusters: list[Tensor] = []
    below = points
    for size in sizes:
        starts = torch.randperm(len(below), generator=generator)[:size].to(points.device)
        centres, nearest = hyperbolic_k_means(below, below[starts], curvature, iterations)
        clusters.append(nearest[clusters[-1]] if clusters else nearest)
        levels.append(centres)
        below = centres
    return levels, torch.stack(clusters, dim=1)


def _norms(vectors: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return norms
