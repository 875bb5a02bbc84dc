"""OH: a step of the authors' code, what lives in the network between steps, and what it learns."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from hashbench.baselines.oh import OH, OverviewMemory, QueryNetwork
from hashbench.learning.losses import OverviewState, oh_losses
from hashbench.learning.networks import fit_side_by_side
from hashbench.learning.session import Session
from hashbench.learning.training import Training
from hashbench.types import Array, ItemView, TrainView

PLACES = {"head.0": "fc", "head.2": "b", "to_features": "c"}


def as_pytorch(array: Tensor) -> Tensor:
    """A weight that Keras keeps as (inputs, outputs), PyTorch transposed; a bias as it is."""
    return array.mT if array.ndim == 2 else array


def golden_network(golden: dict[str, Tensor], which: str) -> dict[str, Tensor]:
    """The authors' weights by the names of `QueryNetwork`."""
    return {
        f"{place}.{kind}": as_pytorch(golden[f"{name}_{kind[0]}_{which}"])
        for place, name in PLACES.items()
        for kind in ("weight", "bias")
    }


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_it_equals_the_published_code(shared: Path, dtype: torch.dtype, tolerance: float) -> None:
    arrays = np.load(shared / "golden/newer_oh.npz")
    golden = {name: torch.from_numpy(value).to(dtype) for name, value in arrays.items()}
    network = QueryNetwork(nn.Sequential(nn.Linear(10, 12), nn.ReLU(), nn.Linear(12, 8)), nn.Linear(12, 5)).to(dtype)

    def encode(weights: Mapping[str, Tensor], rows: Tensor) -> tuple[Tensor, Tensor]:
        encoded: tuple[Tensor, Tensor] = functional_call(network, dict(weights), (rows,))
        return encoded

    weights = {name: value.clone().requires_grad_() for name, value in golden_network(golden, "q").items()}
    state = OverviewState(
        golden_network(golden, "k"), golden["queue_overview"], golden["queue_bits"], golden["queue_continuous"]
    )
    for found, name in zip(encode(weights, golden["x1"]), ("bits_x1", "continuous_x1"), strict=True):
        torch.testing.assert_close(found.detach(), golden[name], rtol=tolerance, atol=tolerance)
    options = (float(golden[name]) for name in ("temperature", "momentum", "context"))
    losses, after = oh_losses(encode, weights, state, golden["x1"], golden["x2"], *options)
    torch.testing.assert_close(losses["queue"].detach(), golden["loss_queue"], rtol=tolerance, atol=0)
    torch.testing.assert_close(losses["batch"].detach(), golden["loss_batch"], rtol=tolerance, atol=0)
    gradients = torch.autograd.grad(losses["queue"] + losses["batch"], list(weights.values()))
    for place, gradient in zip(weights, gradients, strict=True):
        layer, kind = place.rsplit(".", 1)
        name = f"{PLACES[layer]}_{kind[0]}"
        expected = as_pytorch(golden[f"grad_{name}"])
        assert float((gradient - expected).norm() / expected.norm()) < tolerance, name
        torch.testing.assert_close(
            after.key_weights[place], as_pytorch(golden[f"{name}_k_after"]), rtol=tolerance, atol=tolerance
        )
    for queue, name in (("overviews", "overview"), ("bits", "bits"), ("features", "continuous")):
        torch.testing.assert_close(getattr(after, queue), golden[f"queue_{name}_after"], rtol=tolerance, atol=tolerance)


OPTIONS: dict[str, Any] = {
    "temperature": 0.2,
    "momentum": 0.99,
    "context": 0.5,
    "queue_share": 0.2,
    "hidden": 32,
    "width": 16,
    "learning_rate": 1e-3,
    "adam_epsilon": 1e-7,
    "batch_size": 25,
}


@pytest.fixture
def view(features: Array) -> TrainView:
    shifts = np.random.default_rng(1).normal(size=(3, 150, 12)) * 0.3
    return TrainView(np.arange(150), pooled=features, views=(features + shifts).astype(np.float32))


def begun(method: OH, view: TrainView) -> Training:
    return next(method.begin(view, 6, 0, "cpu"))


def memory_of(training: Training) -> OverviewMemory:
    assert isinstance(training.network, nn.ModuleList)
    memory = training.network[1]
    assert isinstance(memory, OverviewMemory)
    return memory


def test_at_first_the_key_network_equals_the_query_network_and_queues_are_noise(view: TrainView) -> None:
    training = begun(OH(**OPTIONS, epochs=1), view)
    state = memory_of(training).read()
    assert isinstance(training.network, nn.ModuleList)
    query = dict(training.network[0].named_parameters())
    assert set(state.key_weights) == set(query)
    assert all(torch.equal(value, query[name]) for name, value in state.key_weights.items())
    assert state.bits.shape == (30, 6)
    assert state.overviews.shape == state.features.shape == (30, 16)
    noise = torch.cat([state.bits.ravel(), state.overviews.ravel(), state.features.ravel()])
    assert abs(float(noise.mean())) < 0.1
    assert float(noise.std()) == pytest.approx(1, abs=0.1)


def test_each_step_moves_the_key_network_and_fills_the_queues(view: TrainView) -> None:
    training = begun(OH(**OPTIONS, epochs=1), view)
    memory = memory_of(training)
    with torch.no_grad():
        for weight in training.network.parameters():
            weight.add_(0.1)
    before = memory.read()
    before = before._replace(key_weights={name: value.clone() for name, value in before.key_weights.items()})
    sum(training.loss_terms(*training.draw(torch.arange(25))).values()).backward()
    after = memory.read()
    assert isinstance(training.network, nn.ModuleList)
    for name, weight in training.network[0].named_parameters():
        assert weight.grad is not None
        torch.testing.assert_close(after.key_weights[name], 0.99 * before.key_weights[name] + 0.01 * weight.detach())
    assert not any(buffer.requires_grad for buffer in memory.buffers())
    assert torch.equal(after.bits[25:], before.bits[:5])
    assert bool(((after.bits[:25] == 0) | (after.bits[:25] == 1)).all())
    torch.testing.assert_close(after.features[:25].norm(dim=1), torch.ones(25))


def test_without_momentum_the_key_network_is_the_query_network(view: TrainView) -> None:
    training = begun(OH(**{**OPTIONS, "momentum": 0.0}, epochs=1), view)
    with torch.no_grad():
        for weight in training.network.parameters():
            weight.mul_(1.5)
    training.loss_terms(*training.draw(torch.arange(25)))
    assert isinstance(training.network, nn.ModuleList)
    key_weights = memory_of(training).read().key_weights
    assert all(torch.equal(key_weights[name], w) for name, w in training.network[0].named_parameters())


def test_a_checkpoint_holds_the_queues_and_the_key_network(view: TrainView) -> None:
    training = begun(OH(**OPTIONS, epochs=1), view)
    held = training.network.state_dict()
    for buffer in memory_of(training).buffers():
        assert any(value.data_ptr() == buffer.data_ptr() for value in held.values())


def test_bits_have_the_gradient_of_their_probability() -> None:
    head = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 5)).double()
    network = QueryNetwork(head, nn.Linear(4, 2).double())
    generator = torch.Generator().manual_seed(0)
    rows, towards = torch.randn(6, 3, generator=generator).double(), torch.randn(6, 5, generator=generator).double()
    (network(rows)[0] * towards).sum().backward()
    probabilities = torch.sigmoid(head(rows)).detach()
    expected = (probabilities * (1 - probabilities) * towards).sum(dim=0)
    torch.testing.assert_close(head[2].bias.grad, expected)
    assert torch.equal(network(rows)[0], (head(rows) > 0).double())


def test_the_head_receives_a_gradient(view: TrainView, unmoved: Callable[..., list[str]]) -> None:
    assert unmoved(lambda epochs: OH(**OPTIONS, epochs=epochs), view) == []


def test_both_losses_fall_below_chance(view: TrainView) -> None:
    curves = OH(**OPTIONS, epochs=30).fit(view, 6, seed=0, session=Session()).curves
    assert curves["queue"][-1] < 0.9 * math.log(31)
    assert curves["batch"][-1] < 0.6 * math.log(25)


@pytest.mark.parametrize("side_by_side", [1, 2])
def test_low_precision_trains_nearly_alike_alone_and_stacked(view: TrainView, side_by_side: int) -> None:
    def curves(precision: Literal["fp32", "bf16"]) -> Mapping[str, list[float]]:
        methods = [OH(**OPTIONS, epochs=3) for _ in range(side_by_side)]
        seeds, session = range(side_by_side), Session(precision=precision)
        return fit_side_by_side(methods, view, [6] * side_by_side, seeds, session)[0].curves

    exact = curves("fp32")
    for name, values in curves("bf16").items():
        assert values == pytest.approx(exact[name], rel=0.05)


def test_a_step_under_autocast_keeps_the_state_in_float32_and_its_losses_finite(view: TrainView) -> None:
    def step(enabled: bool) -> tuple[dict[str, float], OverviewMemory, list[Tensor | None]]:
        training = begun(OH(**OPTIONS, epochs=1), view)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            losses = training.loss_terms(*training.draw(torch.arange(25)))
        sum(losses.values()).backward()
        gradients = [weight.grad for weight in training.network.parameters()]
        return {name: float(loss.detach()) for name, loss in losses.items()}, memory_of(training), gradients

    exact, state, _ = step(False)
    rough, rough_state, gradients = step(True)
    assert rough != exact, "or nothing was computed in bfloat16"
    for name, loss in rough.items():
        assert math.isfinite(loss)
        assert loss == pytest.approx(exact[name], rel=0.02)
    for (name, buffer), other in zip(rough_state.named_buffers(), state.buffers(), strict=True):
        assert buffer.dtype == torch.float32, name
        assert bool(torch.isfinite(buffer).all()), name
        # A bit whose logit rounds across 0 may flip.
        assert float((buffer - other).abs().mean()) < 0.02, name
    assert all(gradient is not None and gradient.dtype == torch.float32 for gradient in gradients)
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients if gradient is not None)


def test_codes_need_neither_queues_nor_key_network(view: TrainView, features: Array) -> None:
    method = OH(**OPTIONS, epochs=1)
    method.fit(view, 6, seed=0, session=Session())
    with torch.no_grad():
        signs = (method.head(torch.from_numpy(features)) >= 0).numpy()
    assert np.array_equal(method.encode(ItemView(np.arange(150), pooled=features)), signs)
    assert not [name for name in method.state_dict() if "key" in name or "overview" in name]


def test_trained_codes_retrieve_better_than_random_projections(
    gain_over_random_projections: Callable[[Any], float],
) -> None:
    assert gain_over_random_projections(OH(**OPTIONS, epochs=40)) > 0.05
