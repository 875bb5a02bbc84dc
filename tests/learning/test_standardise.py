"""The fixed first layer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hashbench.learning.standardise import Standardise, input_layer, standardise_by


def test_centred_with_one_scale_for_all_dimensions():
    rows = np.random.default_rng(0).normal(size=(500, 6)) * [1, 2, 3, 4, 5, 6] + 10
    layer = Standardise(6)
    layer.measure(torch.from_numpy(rows))
    out = layer(torch.from_numpy(rows).float()).double().numpy()
    np.testing.assert_allclose(out.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose((out**2).mean(), 1, rtol=1e-5)
    np.testing.assert_allclose(out.std(axis=0) / rows.std(axis=0), 1 / np.sqrt(rows.var(axis=0).mean()), rtol=1e-5)


def test_features_without_spread_become_zero():
    layer = Standardise(3)
    layer.measure(torch.ones(5, 3))
    assert bool((layer(torch.ones(2, 3)) == 0).all())


def test_it_trains_nothing_and_is_kept_with_the_weights():
    head = nn.Sequential(Standardise(3), nn.Linear(3, 2))
    standardise_by(torch.arange(12.0).view(4, 3), head)
    assert [name for name, _ in head.named_parameters()] == ["1.weight", "1.bias"]
    assert head.state_dict()["0.mean"].tolist() == [4.5, 5.5, 6.5]
    assert head.state_dict()["0.scale"].shape == (1,)


def test_a_head_may_see_features_as_they_are():
    rows = torch.arange(12.0).view(4, 3)
    for standardise, mean in ((True, [0.0, 0.0, 0.0]), (False, rows.mean(dim=0).tolist())):
        head = nn.Sequential(input_layer(3, standardise))
        standardise_by(rows, head)
        assert head(rows).mean(dim=0).tolist() == pytest.approx(mean, abs=1e-6)
