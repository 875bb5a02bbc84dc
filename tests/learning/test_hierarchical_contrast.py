"""HHCH's losses: the authors' vectors, a worked example, loops, and what must hold of any points and clusters."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hashbench.learning.hyperbolic import einstein_midpoints
from hashbench.learning.losses import (
    hhch_instance_loss,
    hhch_prototype_loss,
    hhch_quantisation,
    hyperbolic_distance,
    poincare_points,
)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def tensor(rows: object) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def random_clusters(n: int, counts: tuple[int, ...], seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randint(count, (n,), generator=generator) for count in counts], dim=1)


def padded(levels: list[Tensor]) -> tuple[Tensor, Tensor]:
    return torch.nn.utils.rnn.pad_sequence(levels, batch_first=True), torch.tensor([len(level) for level in levels])


@pytest.fixture(params=[torch.float64, torch.float32], ids=str)
def golden(request, shared: Path) -> dict[str, Tensor]:
    arrays = {n: torch.from_numpy(np.array(a)) for n, a in np.load(shared / "golden/newer_hhch.npz").items()}
    return {n: a.to(request.param) if a.is_floating_point() else a for n, a in arrays.items()}


def test_losses_and_gradients_equal_those_of_the_published_code(golden):
    curvature, temperature = float(golden["curvature"]), float(golden["temperature"])
    weights = [golden[name].requires_grad_() for name in ("h1", "h2", "head_w", "head_b")]
    h1, h2, *layer = weights
    p1, p2 = (poincare_points(h, *layer, curvature, float(golden["clip_radius"])) for h in (h1, h2))
    clusters = golden["cluster_of"][golden["index"]]
    centres, sizes = padded([golden[f"centres{level}"] for level in (1, 2, 3)])
    terms = {
        "instance": hhch_instance_loss(p1, p2, curvature, temperature, clusters),
        "prototype": hhch_prototype_loss(p1, p2, centres, sizes, clusters, curvature, temperature),
        "quantisation": hhch_quantisation(h1, h2),
        "plain_instance": hhch_instance_loss(p1, p2, curvature, temperature),
    }
    for name, value in terms.items():
        torch.testing.assert_close(value, golden[name], rtol=1e-5, atol=0)
    loss = terms["instance"] + terms["prototype"] + golden["weight_quantisation"] * terms["quantisation"]
    torch.testing.assert_close(loss, golden["loss"], rtol=1e-5, atol=0)
    names = ("h1", "h2", "head_w", "head_b", "p1", "p2")
    for found, name in zip(torch.autograd.grad(loss, [*weights, p1, p2]), names, strict=True):
        assert float((found - golden[f"grad_{name}"]).norm() / golden[f"grad_{name}"].norm()) < 1e-5


def test_a_worked_example():
    p1, p2 = tensor([[1, 0], [0, 1], [-0.5, 0.5]]), tensor([[0.9, 0.1], [0.2, 0.8], [-0.6, 0.2]])
    clusters = torch.tensor([[0, 0], [0, 0], [1, 0]])
    instance = hhch_instance_loss(p1, p2, 0.1, 0.3, clusters)
    assert float(instance) == pytest.approx(0.017860268, rel=1e-7)
    level1 = (0.050904720 + 2 * 0.010268176) / 2
    assert float(hhch_instance_loss(p1, p2, 0.1, 0.3, clusters[:, :1])) == pytest.approx(level1, rel=1e-7)
    assert float(hhch_instance_loss(p1, p2, 0.1, 0.3, clusters[:, 1:])) == 0
    first = torch.cat([einstein_midpoints(p1[:2], torch.ones((2, 1), dtype=torch.bool), 0.1), p1[2:]])
    second = einstein_midpoints(first, torch.ones((2, 1), dtype=torch.bool), 0.1)
    prototype = hhch_prototype_loss(p1, p2, *padded([first, second]), clusters, 0.1, 0.3)
    assert float(prototype) == pytest.approx(0.135586272, rel=1e-7)
    h1, h2 = tensor([[0.9, -0.8], [0.5, 0.7], [-0.6, 1]]), tensor([[0.8, -0.9], [0.4, 0.9], [-0.7, 0.6]])
    quantisation = hhch_quantisation(h1, h2)
    assert float(quantisation) == pytest.approx(0.101666667, rel=1e-7)
    assert float(instance + prototype + 0.01 * quantisation) == pytest.approx(0.154463207, rel=1e-7)


def restated_instances(p1, p2, curvature, temperature, clusters):
    """One direction, exponential by exponential."""
    across = (-hyperbolic_distance(p1, p2, curvature) / temperature).exp().tolist()
    within = (-hyperbolic_distance(p1, p1, curvature) / temperature).exp().tolist()
    n, n_levels = clusters.shape
    total = 0.0
    for level in range(n_levels):
        for i in range(n):
            others = [j for j in range(n) if clusters[i, level] != clusters[j, level]]
            denominator = across[i][i] + sum(across[i][j] + within[i][j] for j in others)
            total += math.log(denominator / across[i][i]) / n / (level + 1) / n_levels
    return total


def restated_prototypes(p1, p2, levels, clusters, curvature, temperature):
    total = 0.0
    for level, centres in enumerate(levels):
        for points in (p1, p2):
            shares = (-hyperbolic_distance(points, centres, curvature) / temperature).exp().tolist()
            for i, row in enumerate(shares):
                own = row[int(clusters[i, level])]
                total += math.log((sum(row) + 1e-5) / own) / len(points) / (level + 1) / len(levels)
    return total


CASES = [(2, 3, (2,), 0.1, 0.3), (7, 5, (6, 3, 2), 0.01, 0.3), (9, 2, (4, 4), 1.0, 1.5)]


@pytest.mark.parametrize(("n", "dimension", "counts", "curvature", "temperature"), CASES)
def test_losses_restated_with_loops(n, dimension, counts, curvature, temperature):
    p1, p2 = (0.4 * torch.tanh(normal(n, dimension, seed=seed)) for seed in (0, 1))
    clusters = random_clusters(n, counts, 2)
    measure = curvature, temperature
    there, back = (restated_instances(a, b, *measure, clusters) for a, b in ((p1, p2), (p2, p1)))
    assert float(hhch_instance_loss(p1, p2, *measure, clusters)) == pytest.approx((there + back) / 2, rel=1e-9)
    levels = [0.3 * torch.tanh(normal(count, dimension, seed=3 + count)) for count in counts]
    found = hhch_prototype_loss(p1, p2, *padded(levels), clusters, *measure)
    assert float(found) == pytest.approx(restated_prototypes(p1, p2, levels, clusters, *measure), rel=1e-9)


def test_what_fills_up_the_centres_counts_for_nothing():
    p1, p2, clusters = 0.3 * normal(5, 3), 0.3 * normal(5, 3, seed=1), random_clusters(5, (4, 2), 2)
    centres, sizes = padded([0.2 * normal(4, 3, seed=3), 0.2 * normal(2, 3, seed=4)])
    loss = hhch_prototype_loss(p1, p2, centres, sizes, clusters, 0.1, 0.3)
    centres[1, 2:] = 0.5
    assert torch.equal(hhch_prototype_loss(p1, p2, centres, sizes, clusters, 0.1, 0.3), loss)


seeds = st.integers(0, 2**31 - 1)


@given(seed=seeds, n=st.integers(1, 12), temperature=st.floats(0.05, 3))
@settings(deadline=None, max_examples=50)
def test_what_holds_of_any_instances(seed, n, temperature):
    p1, p2 = (0.5 * torch.tanh(normal(n, 3, seed=seed + shift)) for shift in (0, 1))
    clusters = random_clusters(n, (5, 3), seed)
    loss = float(hhch_instance_loss(p1, p2, 0.1, temperature, clusters))
    assert loss >= 0
    assert float(hhch_instance_loss(p2, p1, 0.1, temperature, clusters)) == pytest.approx(loss, rel=1e-9)
    names = torch.randperm(5, generator=torch.Generator().manual_seed(seed))
    assert float(hhch_instance_loss(p1, p2, 0.1, temperature, names[clusters] + 7)) == loss
    merged = clusters.where(clusters != 2, 1)
    assert float(hhch_instance_loss(p1, p2, 0.1, temperature, merged)) <= loss
    assert float(hhch_instance_loss(p1, p2, 0.1, temperature, torch.zeros_like(clusters))) == 0
    alone = torch.arange(n)[:, None]
    plain = hhch_instance_loss(p1, p2, 0.1, temperature)
    assert torch.equal(hhch_instance_loss(p1, p2, 0.1, temperature, alone), plain)
    assert float(plain) >= float(hhch_instance_loss(p1, p2, 0.1, temperature, clusters[:, :1]))


@given(seed=seeds)
@settings(deadline=None, max_examples=20)
def test_a_level_of_one_centre_has_a_known_loss(seed):
    p1, p2, centre = (0.5 * torch.tanh(normal(n, 3, seed=seed + n)) for n in (4, 4, 1))
    found = hhch_prototype_loss(p1, p2, *padded([centre]), torch.zeros((4, 1), dtype=torch.int64), 0.1, 0.3)
    distances = torch.cat([hyperbolic_distance(points, centre, 0.1) for points in (p1, p2)])
    expected = 2 * torch.log(1 + 1e-5 * (distances / 0.3).exp()).mean()
    torch.testing.assert_close(found, expected)


def test_a_point_that_is_its_own_centre_has_a_finite_gradient():
    points = (0.3 * normal(3, 4)).float().requires_grad_()
    centres, sizes = padded([points.detach().clone()])
    clusters = torch.arange(3)[:, None]
    loss = hhch_prototype_loss(points, points, centres, sizes, clusters, 0.1, 0.3)
    loss = loss + hhch_instance_loss(points, points.detach(), 0.1, 0.3, clusters)
    assert bool(torch.isfinite(torch.autograd.grad(loss, points)[0]).all())


def test_far_points_at_a_low_temperature_do_not_overflow():
    points = (0.99 * torch.nn.functional.normalize(normal(6, 3), dim=1)).float().requires_grad_()
    others = -points.detach()
    centres, sizes = padded([others])
    clusters = torch.arange(6)[:, None]
    loss = hhch_instance_loss(points, others, 1.0, 0.01, clusters)
    loss = loss + hhch_prototype_loss(points, others, centres, sizes, clusters, 1.0, 0.01)
    assert bool(torch.isfinite(loss))
    assert bool(torch.isfinite(torch.autograd.grad(loss, points)[0]).all())


@given(seed=seeds)
@settings(deadline=None, max_examples=20)
def test_quantisation_lies_between_none_and_one(seed):
    codes1, codes2 = torch.tanh(normal(4, 6, seed=seed)), torch.tanh(normal(4, 6, seed=seed + 1))
    assert 0 < float(hhch_quantisation(codes1, codes2)) <= 1
    assert float(hhch_quantisation(codes1.sign(), codes2.sign())) == 0
    assert float(hhch_quantisation(codes1 * 0, codes2 * 0)) == 1
