"""DUH-EG: its schedule, what it is told of the images, and what training does."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from hashbench.baselines.duheg import DUHEG
from hashbench.learning.external_guidance import alike, noun_guidance
from hashbench.learning.networks import fit_side_by_side
from hashbench.learning.session import Session

from .joint_space import JointSpace

OPTIONS = {
    "guidance_temperature": 0.02,
    "threshold": 0.9,
    "temperature": 0.5,
    "hidden": 64,
    "learning_rate": 3e-3,
    "lowest_learning_rate": 1e-5,
    "warmup_epochs": 2,
    "batch_size": 64,
}
OFFICIAL = {
    "guidance_temperature": 0.004,
    "threshold": 0.97,
    "temperature": 0.8,
    "hidden": 512,
    "learning_rate": 1e-4,
    "lowest_learning_rate": 1e-5,
    "warmup_epochs": 10,
    "batch_size": 512,
    "epochs": 60,
}


@pytest.fixture(scope="module")
def model(clusters) -> JointSpace:
    drawn, groups = clusters(400, 9)
    return JointSpace(np.stack([drawn[groups == group].mean(axis=0) for group in range(8)]))


def test_the_learning_rate_is_that_of_the_published_code(shared: Path):
    rates = np.load(shared / "golden/newer_duheg.npz")["learning_rate_60_epochs"]
    np.testing.assert_allclose([DUHEG(**OFFICIAL).recipe.rate(epoch) for epoch in range(60)], rates, rtol=1e-12)


def test_the_learning_rate_restated():
    recipe = DUHEG(**OFFICIAL).recipe
    assert [recipe.rate(epoch) for epoch in (0, 5, 10)] == pytest.approx([1e-5, 5.5e-5, 1e-4])
    assert recipe.rate(35) == pytest.approx(5.5e-5)
    assert recipe.rate(59) == pytest.approx(1e-5 + 9e-5 * (1 + math.cos(math.pi * 49 / 50)) / 2)
    short = DUHEG(**{**OFFICIAL, "epochs": 10}).recipe
    assert [short.rate(epoch) for epoch in range(10)] == pytest.approx([recipe.rate(epoch) for epoch in range(10)])
    assert DUHEG(**{**OFFICIAL, "warmup_epochs": 0}).recipe.rate(0) == pytest.approx(1e-4)


def test_a_batch_is_two_views_their_descriptions_and_which_are_alike(model, clusters):
    view = model.train_view(clusters(90, 1)[0])
    training = next(iter(DUHEG(**OPTIONS, epochs=1).begin(view, 8, 0, "cpu")))
    batch = torch.tensor([3, 77, 4, 10, 50])
    first, second, described, positive = training.draw(batch)
    stored = torch.from_numpy(view.clip_views.copy())[:, batch]
    assert torch.equal(first + second, stored.sum(dim=0))
    assert not torch.equal(first, second)
    embeddings = torch.from_numpy(view.clip_pooled.copy()), torch.from_numpy(view.clip_nouns.copy())
    torch.testing.assert_close(described, noun_guidance(*embeddings, 0.02)[batch])
    assert torch.equal(positive, alike(described, 0.9))


def test_a_code_is_the_sign_of_the_image_head_of_the_embedding(model, clusters):
    method, rows = DUHEG(**OPTIONS, epochs=1), clusters(90, 1)[0]
    method.fit(model.train_view(rows), 8, 0, Session())
    items = model.item_view(rows)
    with torch.no_grad():
        expected = (method.head(torch.from_numpy(items.clip_pooled.copy())) >= 0).numpy()
        longer = method.head(7 * torch.from_numpy(items.clip_pooled.copy()))
    assert np.array_equal(method.encode(items), expected)
    torch.testing.assert_close(longer >= 0, torch.from_numpy(expected), msg="the length of an embedding tells nothing")


def test_both_heads_receive_a_gradient(model, clusters):
    training = next(iter(DUHEG(**OPTIONS, epochs=1).begin(model.train_view(clusters(90, 1)[0]), 8, 0, "cpu")))
    terms = training.loss_terms(*training.draw(torch.arange(64)))
    weights = dict(training.network.named_parameters())
    for name, gradient in zip(weights, torch.autograd.grad(sum(terms.values()), list(weights.values())), strict=True):
        assert float(gradient.abs().max()) > 0, name


def test_every_term_falls(model, clusters):
    curves = DUHEG(**OPTIONS, epochs=20).fit(model.train_view(clusters(300, 1)[0]), 16, 0, Session()).curves
    assert set(curves) == {"view 1 to text", "view 2 to text", "view 1 to view 2"}
    assert all(values[-1] < 0.9 * values[0] for values in curves.values())


def test_what_it_is_told_beats_random_projections_of_the_embedding(model, clusters, mean_average_precision):
    (fitted_on, _), (held_out, groups) = clusters(300, 1), clusters(200, 2)
    method = DUHEG(**OPTIONS, epochs=20)
    method.fit(model.train_view(fitted_on), 16, 0, Session())
    items = model.item_view(held_out)
    learned = mean_average_precision(method.encode(items), groups)
    draws = [np.random.default_rng(seed).normal(size=(items.clip_pooled.shape[1], 16)) for seed in range(5)]
    random = [mean_average_precision(items.clip_pooled @ draw >= 0, groups) for draw in draws]
    assert learned > np.mean(random) + 0.1


def test_side_by_side_it_learns_the_same(model, clusters):
    view, cells = model.train_view(clusters(130, 1)[0]), [(16, 1), (16, 2), (8, 1)]
    methods = [DUHEG(**OPTIONS, epochs=3) for _ in cells]
    logs = fit_side_by_side(methods, view, *zip(*cells, strict=True), Session())
    for method, log, (bits, seed) in zip(methods, logs, cells, strict=True):
        alone = DUHEG(**OPTIONS, epochs=3)
        for name, values in alone.fit(view, bits, seed, Session()).curves.items():
            assert log.curves[name] == pytest.approx(values, rel=1e-4)
        assert (method.encode(view) == alone.encode(view)).mean() > 0.98, "but for a rounded zero"
