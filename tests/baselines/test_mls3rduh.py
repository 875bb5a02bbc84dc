"""MLS3RDUH: the reconstructed similarities and the loss restated with loops, and what training does."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hashbench.baselines.mls3rduh import MLS3RDUH, diffused, log_cosh_loss, neighbours, reconstructed_similarity
from hashbench.learning.session import Session

OPTIONS = {
    "cosine_neighbours": 0.06,
    "diffusion_neighbours": 0.09,
    "diffusion": 0.99,
    "standardise": True,
    "learning_rate": 3.0,
    "weight_decay": 1e-5,
    "batch_size": 64,
}


def _restated(rows, k1, k2, a):
    """The construction as the paper tells it, item by item, in float64; and how many items stand alone."""
    n = len(rows)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = unit @ unit.T
    near = [set(sorted((j for j in range(n) if j != i), key=lambda j: -cosines[i, j])[:k1]) for i in range(n)]
    graph = np.zeros((n, n))
    for i in range(n):
        for j in near[i]:
            if i in near[j] and cosines[i, j] > 1e-4:
                graph[i, j] = cosines[i, j]
    kept = [i for i in range(n) if graph[i].any()]
    inner = graph[np.ix_(kept, kept)]
    degrees = inner.sum(axis=1)
    manifold = (1 - a) * np.linalg.inv(np.eye(len(kept)) - a * inner / np.sqrt(np.outer(degrees, degrees)))
    s = np.maximum(cosines, 0)
    ones, zeros = set(), set()
    for position, i in enumerate(kept):
        confirmed = {kept[j] for j in np.argsort(-manifold[position])[:k2]}
        for j in near[i] & set(kept):
            (ones if j in confirmed else zeros).update({(i, j), (j, i)})
    for i, j in zeros:
        s[i, j] = 0
    for i, j in ones:
        s[i, j] = 1
    return 2 * s - 1, n - len(kept), len(ones), len(zeros)


CASES = [(80, 6, 9, 0.0), (60, 3, 4, 1.0), (40, 2, 2, 0.0), (30, 8, 12, 3.0)]


@pytest.mark.parametrize(("n", "k1", "k2", "shift"), CASES)
def test_the_targets_restated_with_loops(n, k1, k2, shift):
    rows = np.random.default_rng(n).normal(size=(n, 6)) + shift
    expected, alone, ones, zeros = _restated(rows, k1, k2, 0.99)
    targets = reconstructed_similarity(torch.from_numpy(rows), cosine_k=k1, diffusion_k=k2, diffusion=0.99)
    np.testing.assert_allclose(targets.numpy(), expected, atol=1e-9)
    assert ones > 0
    assert zeros > 0
    if k1 == 2:
        assert alone > 0, "this case is meant to have isolated items"


def test_targets_are_symmetric_and_bounded(clusters):
    targets = reconstructed_similarity(
        torch.from_numpy(clusters(200, 3)[0]), cosine_k=12, diffusion_k=18, diffusion=0.99
    )
    assert torch.equal(targets, targets.T)
    assert float(targets.min()) >= -1
    assert float(targets.max()) <= 1 + 1e-6


def test_confirmed_neighbours_are_more_often_of_one_cluster_than_refuted_ones(clusters):
    rows, groups = clusters(400, 3)
    targets = reconstructed_similarity(torch.from_numpy(rows), cosine_k=24, diffusion_k=36, diffusion=0.99).numpy()
    same = groups[:, None] == groups
    off = ~np.eye(400, dtype=bool)
    assert same[(targets == 1) & off].mean() > same[(targets == -1) & off].mean() + 0.2


def test_diffusion_solves_its_equation():
    generator = torch.Generator().manual_seed(0)
    graph = torch.rand(30, 30, generator=generator, dtype=torch.float64)
    graph = graph + graph.T
    scale = graph.sum(dim=1).rsqrt()
    matrix = torch.eye(30, dtype=torch.float64) - 0.99 * scale[:, None] * graph * scale
    result = diffused(graph, 0.99)
    np.testing.assert_allclose((matrix @ result).numpy(), 0.01 * np.eye(30), atol=1e-10)


def test_neighbours_are_the_largest_entries():
    similarities = torch.tensor([[3.0, 1.0, 2.0], [0.0, 5.0, -1.0], [2.0, 2.5, 9.0]])
    assert neighbours(similarities, 2).tolist() == [[True, False, True], [True, True, False], [False, True, True]]
    assert bool(neighbours(similarities, 7).all())


@pytest.mark.parametrize("rows", [np.ones((12, 4)), np.zeros((12, 4)), np.eye(6)])
def test_features_without_structure_are_accepted(rows):
    targets = reconstructed_similarity(torch.from_numpy(rows), cosine_k=2, diffusion_k=3, diffusion=0.99)
    assert bool(torch.isfinite(targets).all())


def test_the_loss_restated_with_loops():
    generator = torch.Generator().manual_seed(0)
    h = torch.tanh(torch.randn(6, 5, generator=generator, dtype=torch.float64))
    targets = torch.rand(6, 6, generator=generator, dtype=torch.float64) * 2 - 1
    total = sum(math.log(math.cosh(float(h[i] @ h[j]) / 5 - float(targets[i, j]))) for i in range(6) for j in range(6))
    assert float(log_cosh_loss(h, targets)) == pytest.approx(total / 36, rel=1e-9)


def test_the_head_receives_a_gradient(features, train, unmoved):
    assert unmoved(lambda epochs: MLS3RDUH(**OPTIONS, epochs=epochs), train(features)) == []


def test_the_loss_falls(clusters, train):
    pairs = (
        MLS3RDUH(**OPTIONS, epochs=40).fit(train(clusters(300, 1)[0]), 16, seed=0, session=Session()).curves["pairs"]
    )
    assert pairs[-1] < 0.7 * pairs[0]


def test_there_is_no_dropout_and_the_code_is_the_sign(features, train, items):
    method = MLS3RDUH(**OPTIONS, epochs=1)
    method.fit(train(features), 8, seed=0, session=Session())
    assert not [module for module in method.head.modules() if isinstance(module, torch.nn.Dropout)]
    with torch.no_grad():
        assert np.array_equal(method.encode(items(features)), (method.head(torch.from_numpy(features)) >= 0).numpy())


def test_trained_codes_retrieve_better_than_random_projections(gain_over_random_projections):
    assert gain_over_random_projections(MLS3RDUH(**OPTIONS, epochs=40)) > 0.05
