"""CroVCA: its head against the authors' one, what BatchNorm does in it, and what it learns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hashbench.baselines.crovca import CroVCA
from hashbench.learning.losses import crovca_loss
from hashbench.learning.networks import fit_side_by_side, sign_bits
from hashbench.learning.session import Session
from hashbench.seeding import torch_generator
from hashbench.types import Array, ItemView, TrainView


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def golden(shared: Path) -> dict[str, Tensor]:
    return {name: torch.from_numpy(value) for name, value in np.load(shared / "golden/newer_crovca.npz").items()}


OPTIONS: dict[str, Any] = {
    "eps": 0.05,
    "coeff_alignment": 1.0,
    "coeff_coding": 0.1,
    "learning_rate": 1e-3,
    "weight_decay": 1e-2,
    "batch_size": 32,
}


def loaded_head(golden: dict[str, Tensor]) -> torch.nn.Sequential:
    """The method's head with the weights of the authors' one."""
    head = CroVCA(**OPTIONS, epochs=1).network(10, 8, torch_generator(0)).double()
    assert isinstance(head, torch.nn.Sequential)
    with torch.no_grad():
        head[0].weight.copy_(golden["head_w1"])
        head[0].bias.copy_(golden["head_b1"])
        head[2].weight.copy_(golden["head_w2"])
        head[3].weight.copy_(golden["head_bn_gain"])
        head[3].bias.copy_(golden["head_bn_shift"])
    return head


def test_the_head_in_training_equals_the_published_one(golden: dict[str, Tensor]) -> None:
    head = loaded_head(golden).train()
    logits = [head(golden[name]) for name in ("x1", "x2")]
    for found, name in zip(logits, ("head_logits1", "head_logits2"), strict=True):
        torch.testing.assert_close(found, golden[name], rtol=1e-10, atol=1e-12)
    loss = crovca_loss(*logits, *(float(golden[name]) for name in ("eps", "coeff_alignment", "coeff_coding")))
    torch.testing.assert_close(loss, golden["head_loss"], rtol=1e-10, atol=0)
    names = ("head_grad_w1", "head_grad_b1", "head_grad_w2", "head_grad_bn_gain", "head_grad_bn_shift")
    for found, name in zip(torch.autograd.grad(loss, list(head.parameters())), names, strict=True):
        torch.testing.assert_close(found, golden[name], rtol=1e-9, atol=1e-12)
    assert float(golden["head_grad_b2"].abs().max()) < 1e-12, "the bias that is left out has no gradient"
    # Two forwards, each with momentum 0.1, add 1 - 0.9² of the bias that BatchNorm cancels.
    torch.testing.assert_close(
        head[3].running_mean + (1 - 0.9**2) * golden["head_b2"], golden["bn_running_mean_after"], rtol=1e-9, atol=1e-12
    )
    torch.testing.assert_close(head[3].running_var, golden["bn_running_var_after"], rtol=1e-9, atol=1e-12)


def test_the_head_at_inference_equals_the_published_one(golden: dict[str, Tensor]) -> None:
    head = loaded_head(golden).eval()
    head[3].running_mean.copy_(golden["bn_running_mean_after"] - golden["head_b2"])
    head[3].running_var.copy_(golden["bn_running_var_after"])
    torch.testing.assert_close(head(golden["x_eval"]), golden["logits_eval"], rtol=1e-9, atol=1e-12)
    bits = sign_bits(head.float(), golden["x_eval"].float().numpy())
    assert np.array_equal(bits, golden["bits_eval"].numpy())


@given(st.integers(2, 30), st.integers(0, 10**6))
@settings(max_examples=20)
def test_each_view_is_normalised_by_itself(n: int, seed: int) -> None:
    head = CroVCA(**OPTIONS, epochs=1).network(6, 4, torch_generator(seed)).double().train()
    assert isinstance(head, torch.nn.Sequential)
    gain, shift = normal(4, seed=1), normal(4, seed=2)
    with torch.no_grad():
        head[3].weight.copy_(gain)
        head[3].bias.copy_(shift)
    for scale in (1.0, 100.0):
        rows = normal(n, 6, seed=seed) * scale + scale
        variance = head[:3](rows).var(dim=0, unbiased=False)
        logits = head(rows)
        torch.testing.assert_close(logits.mean(dim=0), shift, rtol=1e-7, atol=1e-9)
        torch.testing.assert_close(logits.var(dim=0, unbiased=False), gain**2 * variance / (variance + 1e-5))


@pytest.fixture
def view(features: Array) -> TrainView:
    shifts = np.random.default_rng(1).normal(size=(3, 150, 12)) * 0.3
    return TrainView(np.arange(150), pooled=features, views=(features + shifts).astype(np.float32))


def test_the_head_receives_a_gradient(view: TrainView, unmoved: Callable[..., list[str]]) -> None:
    assert unmoved(lambda epochs: CroVCA(**OPTIONS, epochs=epochs), view) == []


def test_codes_use_the_running_statistics(view: TrainView) -> None:
    method = CroVCA(**OPTIONS, epochs=2)
    method.fit(view, 8, seed=0, session=Session())
    assert isinstance(method.head, torch.nn.Sequential)
    norm = method.head[3]
    assert not norm.training
    assert int(norm.num_batches_tracked) == 2 * 2 * (150 // 32), "two views a step"
    pooled = np.asarray(view.pooled)
    alone = [method.encode(ItemView(np.array([i]), pooled=pooled[[i]])) for i in range(20)]
    assert np.array_equal(np.concatenate(alone), method.encode(ItemView(np.arange(150), pooled=pooled))[:20])


@pytest.mark.parametrize("side_by_side", [1, 2])
def test_low_precision_trains_nearly_alike_alone_and_stacked(view: TrainView, side_by_side: int) -> None:
    def curves(precision: Literal["fp32", "bf16"]) -> Mapping[str, list[float]]:
        methods = [CroVCA(**OPTIONS, epochs=3) for _ in range(side_by_side)]
        seeds, session = range(side_by_side), Session(precision=precision)
        return fit_side_by_side(methods, view, [8] * side_by_side, seeds, session)[0].curves

    exact = curves("fp32")
    for name, values in curves("bf16").items():
        assert values == pytest.approx(exact[name], rel=0.02)


def test_both_terms_fall(view: TrainView) -> None:
    curves = CroVCA(**OPTIONS, epochs=30).fit(view, 8, seed=0, session=Session()).curves
    assert curves["alignment"][-1] < 0.9 * curves["alignment"][0]
    assert curves["coding"][-1] < 1.02 * curves["coding"][0] < 0


def test_trained_codes_retrieve_better_than_random_projections(
    gain_over_random_projections: Callable[[Any], float],
) -> None:
    assert gain_over_random_projections(CroVCA(**OPTIONS, epochs=40)) > 0.05
