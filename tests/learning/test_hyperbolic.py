"""The Poincaré ball: the authors' vectors, worked examples, restatements, and what must hold of any points."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hashbench.learning.hyperbolic import einstein_midpoints, hyperbolic_hierarchy, hyperbolic_k_means
from hashbench.learning.losses import hyperbolic_distance, poincare_points


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def points_in_ball(n: int, dimension: int, curvature: float, seed: int) -> Tensor:
    """Points at all radii up to 0.95 of the ball's."""
    generator = torch.Generator().manual_seed(seed)
    radii = torch.rand((n, 1), generator=generator, dtype=torch.float64) * 0.95 / math.sqrt(curvature)
    return torch.nn.functional.normalize(normal(n, dimension, seed=seed + 1), dim=1) * radii


def tensor(rows: object) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


seeds = st.integers(0, 2**31 - 1)
curvatures = st.floats(0.01, 2)


@pytest.fixture(params=[torch.float64, torch.float32], ids=str)
def golden(request, shared: Path) -> dict[str, Tensor]:
    arrays = {n: torch.from_numpy(np.array(a)) for n, a in np.load(shared / "golden/newer_hhch.npz").items()}
    return {n: a.to(request.param) if a.is_floating_point() else a for n, a in arrays.items()}


def test_points_and_distances_equal_those_of_the_published_code(golden):
    options = golden["head_w"], golden["head_b"], float(golden["curvature"]), float(golden["clip_radius"])
    for codes, points in (("codes_all", "points_all"), ("h1", "p1"), ("h2", "p2")):
        torch.testing.assert_close(poincare_points(golden[codes], *options), golden[points], rtol=1e-5, atol=1e-6)
    distances = hyperbolic_distance(golden["p1"], golden["p2"], float(golden["curvature"]))
    torch.testing.assert_close(distances, golden["distance_p1_p2"], rtol=1e-5, atol=0)


def test_k_means_equals_that_of_the_published_code_at_all_levels(golden):
    below, clusters = golden["points_all"], None
    for level in (1, 2, 3):
        centres, nearest = hyperbolic_k_means(below, golden[f"start_centres{level}"], float(golden["curvature"]), 30)
        torch.testing.assert_close(centres, golden[f"centres{level}"], rtol=1e-5, atol=1e-6)
        assert torch.equal(nearest, golden[f"assignment{level}"])
        clusters = nearest if clusters is None else nearest[clusters]
        assert torch.equal(clusters, golden["cluster_of"][:, level - 1])
        below = centres


def test_worked_examples():
    identity, origin = torch.eye(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    codes = tensor([[1, 0], [3, 4]])
    clipped = [[0.967948134, 0], [1.179070074, 1.572093433]]
    np.testing.assert_allclose(poincare_points(codes, identity, origin, 0.1, 2.3).numpy(), clipped, rtol=1e-8)
    free = poincare_points(codes, identity, origin, 0.1, 1e9)[1]
    np.testing.assert_allclose(free.numpy(), [1.743261644, 2.324348858], rtol=1e-8)
    p1, p2 = tensor([[1, 0], [0, 1], [-0.5, 0.5]]), tensor([[0.9, 0.1], [0.2, 0.8], [-0.6, 0.2]])
    distances = [
        [0.311044183, 2.411715452, 3.315452205],
        [2.716250520, 0.616669794, 2.112151741],
        [3.004009284, 1.601540082, 0.661054608],
    ]
    np.testing.assert_allclose(hyperbolic_distance(p1, p2, 0.1).numpy(), distances, rtol=1e-8)
    first = einstein_midpoints(p1[:2], torch.ones((2, 1), dtype=torch.bool), 0.1)
    np.testing.assert_allclose(first.numpy(), [[0.475062189, 0.475062189]], rtol=1e-8)
    both = einstein_midpoints(torch.cat([first, p1[2:]]), torch.ones((2, 1), dtype=torch.bool), 0.1)
    np.testing.assert_allclose(both.numpy(), [[-0.013387607, 0.475973186]], rtol=1e-7)


def moebius(x: Tensor, y: Tensor, c: float) -> Tensor:
    """x ⊕ y of two points, with the 1e-5 of the authors."""
    xy, xx, yy = float(x @ y), float(x @ x), float(y @ y)
    return ((1 + 2 * c * xy + c * yy) * x + (1 - c * xx) * y) / (1 + 2 * c * xy + c * c * xx * yy + 1e-5)


@pytest.mark.parametrize(("n", "m", "dimension", "curvature"), [(1, 3, 2, 0.1), (5, 4, 7, 1.0), (6, 6, 128, 0.01)])
def test_distances_restated_with_loops(n, m, dimension, curvature):
    xs, ys = points_in_ball(n, dimension, curvature, 3), points_in_ball(m, dimension, curvature, 4)
    found = hyperbolic_distance(xs, ys, curvature)
    for i, x in enumerate(xs):
        for j, y in enumerate(ys):
            inner = min(math.sqrt(curvature) * float(moebius(-x, y, curvature).norm()), 1 - 1e-5)
            assert float(found[i, j]) == pytest.approx(2 / math.sqrt(curvature) * math.atanh(inner), rel=1e-9)


@given(seed=seeds, curvature=curvatures)
@settings(deadline=None, max_examples=50)
def test_distances_are_those_of_the_arcosh_form_within_a_thousandth(seed, curvature):
    # 0.7 of the radius: nearer to the boundary the authors' 1e-5 weighs more.
    xs, ys = (0.7 * points_in_ball(5, 3, curvature, seed + shift) for shift in (0, 2))
    gaps = (xs[:, None] - ys).square().sum(dim=2)
    room = (1 - curvature * xs.square().sum(dim=1))[:, None] * (1 - curvature * ys.square().sum(dim=1))
    arcosh = torch.acosh(1 + 2 * curvature * gaps / room) / math.sqrt(curvature)
    torch.testing.assert_close(hyperbolic_distance(xs, ys, curvature), arcosh, rtol=1e-3, atol=1e-6)


@given(seed=seeds, curvature=curvatures)
@settings(deadline=None, max_examples=50)
def test_what_holds_of_any_distances(seed, curvature):
    xs, ys = points_in_ball(6, 4, curvature, seed), points_in_ball(5, 4, curvature, seed + 2)
    distances = hyperbolic_distance(xs, ys, curvature)
    torch.testing.assert_close(distances, hyperbolic_distance(ys, xs, curvature).T)
    assert hyperbolic_distance(xs, xs, curvature).diagonal().tolist() == [0] * 6
    assert float(distances.min()) > 0
    origin = torch.zeros((1, 4), dtype=torch.float64)
    radial = 2 / math.sqrt(curvature) * torch.atanh(math.sqrt(curvature) * xs.norm(dim=1))
    torch.testing.assert_close(hyperbolic_distance(origin, xs, curvature)[0], radial, rtol=3e-4, atol=1e-5)
    flat = hyperbolic_distance(xs, ys, 1e-9)
    torch.testing.assert_close(flat, 2 * torch.cdist(xs, ys), rtol=2e-5, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_points_have_a_gradient_of_zero(dtype):
    points = points_in_ball(4, 3, 0.1, 0).to(dtype).requires_grad_()
    itself = hyperbolic_distance(points, points.detach(), 0.1).diagonal().sum()
    assert torch.autograd.grad(itself, points)[0].abs().max() == 0


def test_half_precision_keeps_the_digits_of_distances():
    xs, ys = (points_in_ball(6, 16, 0.01, seed).float() for seed in (0, 2))
    with torch.autocast("cpu", torch.bfloat16):
        rough = hyperbolic_distance(xs, ys, 0.01)
    torch.testing.assert_close(rough, hyperbolic_distance(xs, ys, 0.01), rtol=1e-6, atol=0)


def test_gradients_equal_finite_differences():
    codes, weight, bias = normal(3, 4), normal(5, 4, seed=1), normal(5, seed=2)
    arguments = [each.requires_grad_() for each in (codes, weight, bias)]

    def distances(codes: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        points = poincare_points(codes, weight, bias, 0.3, 2.0)
        return hyperbolic_distance(points[:1], points[1:], 0.3)

    assert torch.autograd.gradcheck(distances, arguments)


@given(seed=seeds, curvature=curvatures, scale=st.floats(0, 1e6), radius=st.floats(0.01, 1e6))
@settings(deadline=None, max_examples=60)
def test_points_lie_in_the_ball(seed, curvature, scale, radius):
    codes, weight, bias = normal(6, 4, seed=seed), normal(3, 4, seed=seed + 1) * scale, normal(3, seed=seed + 2) * scale
    for dtype in (torch.float32, torch.float64):
        arguments = [each.to(dtype).requires_grad_() for each in (codes, weight, bias)]
        points = poincare_points(*arguments, curvature, radius)
        assert float(points.norm(dim=1).max().detach()) < 1 / math.sqrt(curvature)
        assert all(bool(torch.isfinite(g).all()) for g in torch.autograd.grad(points.sum(), arguments))


def test_midpoints_of_one_point_and_of_opposites():
    points = points_in_ball(4, 3, 0.5, 1)
    torch.testing.assert_close(einstein_midpoints(points, torch.eye(4, dtype=torch.bool), 0.5), points)
    opposites = torch.stack([points[0], -points[0]])
    middle = einstein_midpoints(opposites, torch.ones((2, 1), dtype=torch.bool), 0.5)
    torch.testing.assert_close(middle, torch.zeros((1, 3), dtype=torch.float64))


@pytest.mark.parametrize("curvature", [0.01, 1.0])
def test_midpoints_restated_in_the_klein_model(curvature):
    points, members = points_in_ball(9, 4, curvature, 2), normal(9, 3, seed=5) > 0
    assert bool(members.any(dim=0).all())
    found = einstein_midpoints(points, members, curvature)
    for group, middle in zip(members.T, found, strict=True):
        klein = [2 * x / (1 + curvature * float(x @ x)) for x, inside in zip(points, group, strict=True) if inside]
        factors = [1 / math.sqrt(1 - curvature * float(x @ x)) for x in klein]
        mean = sum((f * x for f, x in zip(factors, klein, strict=True)), torch.zeros(4)) / sum(factors)
        torch.testing.assert_close(middle, mean / (1 + math.sqrt(1 - curvature * float(mean @ mean))))


def restated_k_means(points, centres, curvature, rounds):
    """All rounds, whether anything moves or not, as the authors' code has it."""
    for _ in range(rounds):
        nearest = [int(hyperbolic_distance(x[None], centres, curvature).argmin()) for x in points]
        groups = sorted(set(nearest))
        nearest = [groups.index(group) for group in nearest]
        members = torch.tensor([[group == own for group in range(len(groups))] for own in nearest])
        centres = einstein_midpoints(points, members, curvature)
    return centres, nearest


@pytest.mark.parametrize(("n", "k", "rounds", "seed"), [(30, 4, 30, 0), (30, 4, 2, 1), (12, 12, 30, 2), (40, 9, 30, 3)])
def test_k_means_restated_with_loops(n, k, rounds, seed):
    points = points_in_ball(n, 3, 0.3, seed)
    centres, nearest = hyperbolic_k_means(points, points[:k], 0.3, rounds)
    expected, assignment = restated_k_means(points, points[:k], 0.3, rounds)
    torch.testing.assert_close(centres, expected)
    assert nearest.tolist() == assignment


def test_a_centre_without_points_is_dropped():
    points = points_in_ball(10, 2, 1.0, 0)
    starts = torch.cat([points[:1], points[:1], points[1:2]])
    centres, nearest = hyperbolic_k_means(points, starts, 1.0, 30)
    assert len(centres) == 2
    assert set(nearest.tolist()) == {0, 1}


def test_equal_points_are_one_cluster():
    centres, clusters = hyperbolic_hierarchy(torch.full((9, 3), 0.2), (4, 2), 0.5, 30, torch.Generator().manual_seed(0))
    assert [len(level) for level in centres] == [1, 1]
    assert clusters.tolist() == [[0, 0]] * 9
    torch.testing.assert_close(centres[0], torch.full((1, 3), 0.2))


@given(seed=seeds, n=st.integers(1, 60))
@settings(deadline=None, max_examples=30)
def test_a_hierarchy_joins_clusters_and_never_parts_one(seed, n):
    points, sizes = points_in_ball(n, 3, 0.3, seed), (20, 8, 3)
    centres, clusters = hyperbolic_hierarchy(points, sizes, 0.3, 30, torch.Generator().manual_seed(seed))
    assert clusters.shape == (n, 3)
    for level, size in enumerate(sizes):
        numbers = clusters[:, level].unique().tolist()
        assert numbers == list(range(len(centres[level])))
        assert len(numbers) <= size
    for fine, coarse in ((0, 1), (1, 2)):
        pairs = {(int(a), int(b)) for a, b in zip(clusters[:, fine], clusters[:, coarse], strict=True)}
        assert len(pairs) == len(centres[fine])
    again = hyperbolic_hierarchy(points, sizes, 0.3, 30, torch.Generator().manual_seed(seed))
    assert torch.equal(again[1], clusters)
