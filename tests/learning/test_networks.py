"""Networks from generators of their own, and the base of methods that are one network."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from hashbench.errors import HashbenchError
from hashbench.learning.networks import HeadMethod, hash_head, linear, sign_bits
from hashbench.learning.session import Session
from hashbench.learning.training import Recipe, Training
from hashbench.seeding import torch_generator
from hashbench.types import ItemView, Paper, TrainView


class Untrained(HeadMethod):
    """A random network with dropout and batch normalisation, whose running statistics `training` moves."""

    title = "Untrained"
    paper = Paper(key="k", authors="A", title="T", venue="V", year=2020, url="https://example.org")

    def network(self, n_features, n_bits, generator):
        return nn.Sequential(linear(n_features, n_bits, generator), nn.BatchNorm1d(n_bits), nn.Dropout(0.5))

    def training(self, head, train, n_bits, generator, device):
        assert head.training
        rows = torch.from_numpy(np.array(train.pooled))
        recipe = Recipe("sgd", 0.0, len(rows), 1)
        yield Training(
            head, lambda batch: (rows,), lambda x: {"loss": head(x).mean()}, len(rows), recipe, generator, "Untrained"
        )


@pytest.fixture
def pooled():
    return np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)


def _fitted(pooled, seed=0):
    method = Untrained()
    method.fit(TrainView(np.arange(50), pooled=pooled), 8, seed, Session())
    return method


def test_a_linear_layer_has_pytorchs_distribution_and_its_own_generator():
    state = torch.get_rng_state()
    layer = linear(400, 300, torch_generator(1))
    assert torch.equal(torch.get_rng_state(), state)
    bound = 1 / math.sqrt(400)
    for values in (layer.weight, layer.bias):
        assert values.abs().max() <= bound
        assert float(values.detach().std()) == pytest.approx(bound / math.sqrt(3), rel=0.1)
    torch.manual_seed(0)
    reference = nn.Linear(400, 300)
    assert float(layer.weight.detach().std()) == pytest.approx(float(reference.weight.detach().std()), rel=0.02)
    assert torch.equal(layer.weight, linear(400, 300, torch_generator(1)).weight)
    assert not torch.equal(layer.weight, linear(400, 300, torch_generator(2)).weight)
    assert linear(4, 3, torch_generator(1), bias=False).bias is None


def test_the_hash_head_standardises_then_is_linear_relu_linear():
    head = hash_head(5, 7, 3, torch_generator(0))
    standardise, first, _, second = head
    x = torch.randn(4, 5, generator=torch_generator(1))
    standardise.measure(x)
    centred = x - x.mean(dim=0)
    unit = centred / centred.square().mean().sqrt()
    expected = torch.clamp(unit @ first.weight.T + first.bias, min=0) @ second.weight.T + second.bias
    torch.testing.assert_close(head(x), expected)


def test_bits_are_signs_and_zero_is_a_one():
    rows = np.array([[-1.0], [0.0], [1.0]], dtype=np.float32)
    assert sign_bits(nn.Identity(), rows).tolist() == [[False], [True], [True]]


def test_the_outputs_behind_a_bit_do_not_depend_on_its_company(pooled):
    rows = np.random.default_rng(1).normal(size=(2100, 6)).astype(np.float32)
    seen: list[torch.Tensor] = []

    class Recorder(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = hash_head(6, 33, 17, torch_generator(0))

        def forward(self, x):
            seen.append(self.head(x))
            return seen[-1]

    recorder = Recorder()
    sign_bits(recorder, rows)
    together = torch.cat(seen)[: len(rows)]
    for some in ([5], [1024, 3], list(range(2000, 2100))):
        seen.clear()
        sign_bits(recorder, rows[some])
        assert torch.equal(seen[0][: len(some)], together[some])


def test_encoding_is_in_evaluation_mode_and_keeps_no_gradient(pooled):
    method = _fitted(pooled)
    items = ItemView(np.arange(50), pooled=pooled)
    assert np.array_equal(method.encode(items), method.encode(items)), "dropout is off"
    assert not method.head.training
    before = {name: value.clone() for name, value in method.head.state_dict().items()}
    method.encode(items)
    assert all(torch.equal(before[name], value) for name, value in method.head.state_dict().items())


def test_saving_and_loading_keeps_buffers_and_shape(pooled):
    method, loaded = _fitted(pooled), Untrained()
    state = {name: value.copy() for name, value in method.state_dict().items()}
    loaded.load_state_dict(state)
    items = ItemView(np.arange(50), pooled=pooled)
    assert np.array_equal(loaded.encode(items), method.encode(items))
    assert state["shape"].tolist() == [6, 8]
    for value in state.values():
        value[...] = 0
    assert np.array_equal(loaded.encode(items), method.encode(items)), "the state was copied"


def test_the_seed_decides_the_weights(pooled):
    items = ItemView(np.arange(50), pooled=pooled)
    assert np.array_equal(_fitted(pooled, 1).encode(items), _fitted(pooled, 1).encode(items))
    assert not np.array_equal(_fitted(pooled, 1).encode(items), _fitted(pooled, 2).encode(items))


def test_a_missing_feature_is_named(pooled):
    with pytest.raises(HashbenchError, match="provides no pooled; it provides token_mean"):
        Untrained().fit(TrainView(np.arange(50), token_mean=pooled), 8, 0, Session())
