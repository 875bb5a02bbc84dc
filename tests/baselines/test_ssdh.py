"""SSDH: the pseudo-labels and the loss restated with loops, and what training does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hashbench.baselines.ssdh import SSDH, pseudo_labels, structure_loss
from hashbench.learning.session import Session

OPTIONS = {
    "alpha": 2.0,
    "beta": 2.0,
    "standardise": True,
    "learning_rate": 1e-3,
    "adam_epsilon": 1e-8,
    "batch_size": 24,
}


def _distance(a, b):
    return 1 - float(a @ b) / float(np.linalg.norm(a) * np.linalg.norm(b))


@pytest.mark.parametrize(("alpha", "beta"), [(2.0, 2.0), (1.0, 0.5)])
def test_the_labels_restated_with_loops(clusters, alpha, beta):
    rows = clusters(60, 4)[0].astype(np.float64)
    pairs = [_distance(rows[i], rows[j]) for i in range(60) for j in range(i)]
    counts = [0] * 200
    for distance in pairs:
        counts[int(distance / 0.01)] += 1
    mode = 0.01 * counts.index(max(counts))
    left = np.sqrt(np.mean([(d - mode) ** 2 for d in pairs if d <= mode]))
    right = np.sqrt(np.mean([(d - mode) ** 2 for d in pairs if d > mode]))
    labels = pseudo_labels(rows, alpha, beta)
    assert {-1, 0, 1} == set(np.unique(labels))
    for i in range(60):
        for j in range(60):
            distance = _distance(rows[i], rows[j]) if i != j else 0.0
            margins = distance - (mode - alpha * left), distance - (mode + beta * right)
            if min(map(abs, margins)) > 1e-5:
                assert labels[i, j] == (1 if margins[0] < 0 else -1 if margins[1] > 0 else 0)


def test_the_loss_restated_with_loops():
    generator = torch.Generator().manual_seed(0)
    h = torch.tanh(torch.randn(7, 5, generator=generator))
    labels = torch.randint(-1, 2, (7, 7), generator=generator).float()
    total = 0.0
    for i in range(7):
        for j in range(7):
            if labels[i, j] != 0:
                total += (float(h[i] @ h[j]) / 5 - float(labels[i, j])) ** 2
    assert float(structure_loss(h, labels)) == pytest.approx(total / 49, rel=1e-5)


def test_ignored_pairs_have_no_gradient():
    h = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    labels = torch.zeros(3, 3)
    labels[0, 1] = labels[1, 0] = 1
    structure_loss(h, labels).backward()
    assert bool((h.grad[2] == 0).all())
    assert bool((h.grad[:2] != 0).all())


def test_the_labels_are_those_of_clusters(clusters):
    rows, groups = clusters(200, 6)
    labels = pseudo_labels(rows, 2, 2)
    same = groups[:, None] == groups
    off = ~np.eye(200, dtype=bool)
    assert same[(labels == 1) & off].mean() > 3 * same[off].mean()
    assert same[labels == -1].mean() < 0.5 * same[off].mean()


def test_the_head_receives_a_gradient(features, train, unmoved):
    assert unmoved(lambda epochs: SSDH(**OPTIONS, epochs=epochs), train(features)) == []


def test_a_large_epsilon_makes_small_steps(features, train):
    """Adam's step is learning rate x m / (sqrt(v) + epsilon)."""
    moves = []
    for epsilon in (1e-8, 1.0):
        heads = []
        for epochs in (0, 1):
            method = SSDH(**{**OPTIONS, "adam_epsilon": epsilon}, epochs=epochs)
            method.fit(train(features), 8, seed=0, session=Session())
            heads.append(method.head[1].weight.detach())
        moves.append(float((heads[1] - heads[0]).abs().max()))
    assert moves[1] < 0.1 * moves[0]


def test_the_loss_falls_and_the_log_tells_how_many_pairs_count(clusters, train):
    log = SSDH(**OPTIONS, epochs=20).fit(train(clusters(300, 1)[0]), 16, seed=0, session=Session())
    assert np.mean(log.curves["pairs"][-3:]) < 0.7 * log.curves["pairs"][0]
    assert "of the pairs are labelled similar" in log.remarks[0]


def test_there_is_no_dropout_and_the_code_is_the_sign(features, train, items):
    method = SSDH(**OPTIONS, epochs=1)
    method.fit(train(features), 8, seed=0, session=Session())
    assert not [module for module in method.head.modules() if isinstance(module, torch.nn.Dropout)]
    with torch.no_grad():
        assert np.array_equal(method.encode(items(features)), (method.head(torch.from_numpy(features)) >= 0).numpy())


def test_trained_codes_retrieve_better_than_random_projections(gain_over_random_projections):
    assert gain_over_random_projections(SSDH(**OPTIONS, epochs=20)) > 0.05
