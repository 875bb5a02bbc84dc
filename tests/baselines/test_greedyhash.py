"""GreedyHash: its loss restated with loops, and what training does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hashbench.baselines.greedyhash import GreedyHash
from hashbench.learning.session import Session
from hashbench.seeding import torch_generator

OPTIONS = {
    "penalty_weight": 0.1,
    "standardise": True,
    "learning_rate": 1e-2,
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "batch_size": 32,
}


def _cosine(a, b):
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def test_the_loss_of_one_batch_restated_with_loops(features, train):
    method = GreedyHash(**{**OPTIONS, "batch_size": 30, "learning_rate": 0.0}, epochs=1)
    log = method.fit(train(features[:30]), 8, seed=5, session=Session())
    h = method.head(torch.from_numpy(features[:30])).detach().double().numpy()
    # The one batch holds all rows, in the order of the generator that also drew the head.
    generator = torch_generator(5)
    method.network(12, 8, generator)
    order = torch.randperm(30, generator=generator).numpy()
    similarity = 0.0
    for i in range(15):
        first, second = order[i], order[i + 15]
        b1, b2 = (np.where(h[row] >= 0, 1.0, -1.0) for row in (first, second))
        similarity += (_cosine(b1, b2) - _cosine(features[first], features[second])) ** 2 / 15
    penalty = sum(abs(abs(value) - 1) ** 3 for row in h for value in row) / h.size
    assert log.curves["similarity"] == [pytest.approx(similarity, rel=1e-5)]
    assert log.curves["penalty"] == [pytest.approx(0.1 * penalty, rel=1e-5)]


def test_the_head_learns_through_the_sign(features, train, unmoved):
    assert (
        unmoved(lambda epochs: GreedyHash(**{**OPTIONS, "penalty_weight": 0.0}, epochs=epochs), train(features)) == []
    )


def test_the_loss_falls(clusters, train):
    method = GreedyHash(**OPTIONS, epochs=30)
    log = method.fit(train(clusters(300, 1)[0]), 16, seed=0, session=Session())
    total = np.sum(list(log.curves.values()), axis=0)
    assert total[-5:].mean() < 0.9 * total[:3].mean()


def test_the_target_is_the_cosine_of_the_features_as_they_are(features, train):
    """A common shift changes cosines, and so the loss; the head sees centred features and stays as it was."""
    first, shifted = (GreedyHash(**{**OPTIONS, "learning_rate": 0.0}, epochs=1) for _ in range(2))
    logs = [
        first.fit(train(features), 8, seed=0, session=Session()),
        shifted.fit(train(features + 50), 8, seed=0, session=Session()),
    ]
    assert logs[0].curves["penalty"] == pytest.approx(logs[1].curves["penalty"], rel=1e-3)
    assert logs[0].curves["similarity"][0] < 0.9 * logs[1].curves["similarity"][0]


def test_trained_codes_retrieve_better_than_random_projections(gain_over_random_projections):
    assert gain_over_random_projections(GreedyHash(**{**OPTIONS, "learning_rate": 3e-2}, epochs=30)) > 0.05


def test_there_is_no_dropout(features, train):
    method = GreedyHash(**OPTIONS, epochs=0)
    method.fit(train(features), 8, seed=0, session=Session())
    assert not [module for module in method.head.modules() if isinstance(module, torch.nn.Dropout)]
