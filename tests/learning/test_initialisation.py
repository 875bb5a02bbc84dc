"""Layers that start as other frameworks have them: the distribution of their weights, and whence it is drawn."""

from __future__ import annotations

import math

import pytest
import torch

from hashbench.learning.initialisation import glorot_linear, truncated_normal_linear
from hashbench.seeding import torch_generator


def test_glorot_weights_are_uniform_within_their_bound() -> None:
    layer, bound = glorot_linear(300, 200, torch_generator(0)), math.sqrt(6 / 500)
    assert bound * 0.99 < float(layer.weight.detach().abs().max()) <= bound
    assert float(layer.weight.detach().std()) == pytest.approx(bound / math.sqrt(3), rel=0.01)
    assert not layer.bias.any()


def test_truncated_weights_are_normal() -> None:
    layer = truncated_normal_linear(300, 200, 0.02, torch_generator(0))
    weights = layer.weight.detach()
    assert float(weights.std()) == pytest.approx(0.02, rel=0.01)
    assert float((weights.abs() < 0.02).double().mean()) == pytest.approx(0.6827, abs=0.01)
    assert not layer.bias.any()
    assert truncated_normal_linear(3, 2, 0.02, torch_generator(0), bias=False).bias is None


def test_a_wide_normal_is_cut_at_two() -> None:
    weights = truncated_normal_linear(300, 200, 5.0, torch_generator(0)).weight.detach()
    assert 1.99 < float(weights.abs().max()) <= 2


@pytest.mark.parametrize("seed", [0, 1])
def test_weights_come_from_the_generator_alone(seed: int) -> None:
    before = torch.get_rng_state()
    first, second = (glorot_linear(4, 3, torch_generator(seed)) for _ in range(2))
    assert torch.equal(first.weight, second.weight)
    assert not torch.equal(first.weight, glorot_linear(4, 3, torch_generator(seed + 1)).weight)
    third, fourth = (truncated_normal_linear(4, 3, 0.02, torch_generator(seed)) for _ in range(2))
    assert torch.equal(third.weight, fourth.weight)
    assert torch.equal(torch.get_rng_state(), before)
