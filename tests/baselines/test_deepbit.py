"""DeepBit: its three terms and their gradients restated by hand, its two stages, its threshold."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hashbench.baselines.deepbit import DeepBit, evenness, invariance, quantisation
from hashbench.learning.session import Session
from hashbench.types import ItemView, TrainView

OPTIONS = {
    "learning_rate": 1e-2,
    "decay": 1.0,
    "decay_epochs": 1,
    "evenness_weight": 1.0,
    "invariance_weight": 1e-3,
    "invariance_learning_rate": 1e-3,
    "invariance_decay_epochs": 1,
    "standardise": True,
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "batch_size": 32,
}


@pytest.fixture
def view(features):
    shifts = np.random.default_rng(0).normal(size=(3, *features.shape)) * 0.1
    return TrainView(np.arange(len(features)), pooled=features, views=(features + shifts).astype(np.float32))


def _outputs(n, b, seed=0):
    return torch.rand(n, b, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_()


def test_evenness_and_its_gradient_straight_through_the_bits():
    f = _outputs(7, 4)
    evenness(f).backward()
    value = 0.0
    for k in range(4):
        mean = sum(1.0 if f[i, k] >= 0.5 else 0.0 for i in range(7)) / 7
        value += (mean - 0.5) ** 2 / 14
        for i in range(7):
            assert float(f.grad[i, k]) == pytest.approx((mean - 0.5) / 7 / 7)
    assert evenness(f).item() == pytest.approx(value)


def test_quantisation_and_its_gradient_with_constant_bits():
    f = _outputs(6, 3, seed=1)
    quantisation(f).backward()
    value = 0.0
    for i in range(6):
        for k in range(3):
            bit = 1.0 if f[i, k] >= 0.5 else 0.0
            value += (bit - f[i, k].item()) ** 2 / 12
            assert f.grad[i, k].item() == pytest.approx((f[i, k].item() - bit) / 6)
    assert quantisation(f).item() == pytest.approx(value)


def test_invariance_restated_with_loops():
    f, g = _outputs(5, 3, seed=2), _outputs(5, 3, seed=3)
    value = sum((f[i, k].item() - g[i, k].item()) ** 2 for i in range(5) for k in range(3)) / 10
    assert invariance(f, g).item() == pytest.approx(value)


def test_the_learning_rate_of_each_stage_falls_by_its_own_epochs(view):
    falling = {"decay": 0.1, "decay_epochs": 2, "invariance_decay_epochs": 1}
    stages = DeepBit(**{**OPTIONS, **falling}, epochs=5, invariance_epochs=3).begin(view, 8, 0, "cpu")
    rates = [[stage.recipe.rate(epoch) for epoch in range(stage.recipe.epochs)] for stage in stages]
    assert rates[0] == pytest.approx([1e-2, 1e-2, 1e-3, 1e-3, 1e-4])
    assert rates[1] == pytest.approx([1e-3, 1e-4, 1e-5])


def test_the_threshold_is_the_mean_of_all_outputs(features, view):
    method = DeepBit(**OPTIONS, epochs=3, invariance_epochs=2)
    method.fit(view, 8, seed=0, session=Session())
    with torch.no_grad():
        f = method.head[:3](torch.from_numpy(features)).numpy()
    assert f.min() >= 0
    assert float(method.head[3].value) == pytest.approx(float(f.mean()), rel=1e-5)
    bits = method.encode(ItemView(np.arange(len(features)), pooled=features))
    far = np.abs(f - f.mean()) > 1e-5
    assert np.array_equal(bits[far], (f > f.mean())[far])


def test_both_stages_run_and_reduce_their_losses(clusters):
    rows = clusters(300, 1)[0]
    views = np.stack([rows, rows[::-1]])
    options = {**OPTIONS, "invariance_learning_rate": 1e-2, "invariance_weight": 1.0}
    method = DeepBit(**options, epochs=15, invariance_epochs=15)
    curves = method.fit(TrainView(np.arange(300), pooled=rows, views=views), 16, seed=0, session=Session()).curves
    assert curves["quantisation"][-1] < 0.7 * curves["quantisation"][0]
    assert len(curves["invariance"]) == 15
    assert curves["invariance"][-1] < 0.8 * curves["invariance"][0]


def test_the_views_matter_in_the_second_stage_alone(view):
    other = TrainView(view.rows, pooled=view.pooled, views=view.views * 1.5)
    heads = {}
    for stage, epochs in (("first", (2, 0)), ("second", (0, 2))):
        for name, given in (("view", view), ("other", other)):
            method = DeepBit(**OPTIONS, epochs=epochs[0], invariance_epochs=epochs[1])
            method.fit(given, 8, seed=0, session=Session())
            heads[stage, name] = method.head[1].weight
    assert torch.equal(heads["first", "view"], heads["first", "other"])
    assert not torch.equal(heads["second", "view"], heads["second", "other"])


@pytest.mark.parametrize("stage", ["epochs", "invariance_epochs"])
def test_the_head_receives_a_gradient(view, unmoved, stage):
    assert unmoved(lambda n: DeepBit(**OPTIONS, **{"epochs": 0, "invariance_epochs": 0, stage: n}), view) == []


def test_a_large_evenness_weight_evens_the_bits(view):
    spreads = []
    for weight in (0.0, 300.0):
        method = DeepBit(**{**OPTIONS, "evenness_weight": weight}, epochs=30, invariance_epochs=0)
        method.fit(view, 8, seed=0, session=Session())
        with torch.no_grad():
            up = method.head[:3](torch.from_numpy(view.pooled.copy())) >= 0.5
        spreads.append(float((up.float().mean(dim=0) - 0.5).abs().mean()))
    assert spreads[1] < 0.5 * spreads[0]


def test_there_is_no_dropout(view):
    method = DeepBit(**OPTIONS, epochs=0, invariance_epochs=0)
    method.fit(view, 8, seed=0, session=Session())
    assert not [module for module in method.head.modules() if isinstance(module, torch.nn.Dropout)]
