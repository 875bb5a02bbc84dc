"""Overviews, their queues and the losses of OH, against loops, by hand, and in cases that can be told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hashbench.learning.losses import OverviewState, oh_losses
from hashbench.learning.overview import overview
from hashbench.types import Array

T, CONTEXT = 0.2, 0.5


def tensor(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def bits(n: int, k: int, seed: int = 0) -> Tensor:
    return (normal(n, k, seed=seed) > 0).double()


def unit(n: int, d: int, seed: int = 0) -> Tensor:
    return F.normalize(normal(n, d, seed=seed), dim=1)


def queues(q: int, k: int, d: int, seed: int = 0, key_weights: Mapping[str, Tensor] | None = None) -> OverviewState:
    return OverviewState(key_weights or {}, unit(q, d, seed), bits(q, k, seed + 1), unit(q, d, seed + 2))


def look_up(weights: Mapping[str, Tensor], view: Tensor) -> tuple[Tensor, Tensor]:
    """An `encode` whose weights are its outputs: those of view 0, 1."""
    return weights[f"bits{int(view)}"], weights[f"features{int(view)}"]


FIRST, SECOND = torch.tensor(0), torch.tensor(1)


def overview_by_loops(b: Array, c: Array, queued_bits: Array, queued: Array, temperature: float, context: float) -> Any:
    rows = []
    for i in range(len(b)):
        shares = []
        for other in queued_bits:
            agreement = sum(x * y + (1 - x) * (1 - y) for x, y in zip(b[i], other, strict=True))
            shares.append(math.exp(agreement / (b.shape[1] * temperature)))
        mixed = sum(share / sum(shares) * row for share, row in zip(shares, queued, strict=True))
        row = mixed / np.linalg.norm(mixed) + context * c[i]
        rows.append(row / np.linalg.norm(row))
    return np.stack(rows)


def losses_by_loops(given_: dict[str, Array], state: dict[str, Array], t: float, context: float) -> dict[str, float]:
    old = state["bits"], state["features"]
    query = overview_by_loops(given_["bits0"], given_["features0"], *old, t, context)
    key = overview_by_loops(given_["key_bits"], given_["key_features"], *old, t, context)
    n, q = len(query), len(state["bits"])
    new = (
        np.concatenate([given_["key_bits"], state["bits"]])[:q],
        np.concatenate([given_["key_features"], state["features"]])[:q],
    )
    second = overview_by_loops(given_["bits1"], given_["features1"], *new, t, context)
    totals = {"queue": 0.0, "batch": 0.0}
    for i in range(n):
        positive = math.exp(query[i] @ key[i] / t)
        negatives = sum(math.exp(query[i] @ row / t) for row in state["overviews"])
        totals["queue"] -= math.log(positive / (positive + negatives)) / n
        shares = [math.exp(query[i] @ row / t) for row in second]
        totals["batch"] -= math.log(shares[i] / sum(shares)) / n
    return totals


@pytest.mark.parametrize(("n", "k", "d", "q", "t", "context"), [(3, 4, 5, 7, 0.2, 0.5), (6, 8, 3, 4, 0.5, 1.5)])
def test_the_losses_by_loops(n: int, k: int, d: int, q: int, t: float, context: float) -> None:
    """The key network's outputs are looked up as well, so that they may differ from the query network's."""
    outputs = {"bits0": bits(n, k, 1), "features0": unit(n, d, 2), "bits1": bits(n, k, 3), "features1": unit(n, d, 4)}
    keys = {**outputs, "bits1": bits(n, k, 5), "features1": unit(n, d, 6)}
    state = queues(q, k, d, 7, keys)
    losses, after = oh_losses(look_up, outputs, state, FIRST, SECOND, t, 1.0, context)
    given_ = {name: value.numpy() for name, value in outputs.items()}
    given_ |= {"key_bits": keys["bits1"].numpy(), "key_features": keys["features1"].numpy()}
    arrays = {name: getattr(state, name).numpy() for name in ("overviews", "bits", "features")}
    expected = losses_by_loops(given_, arrays, t, context)
    assert {name: float(value) for name, value in losses.items()} == pytest.approx(expected, rel=1e-9)
    assert torch.equal(after.bits[: min(n, q)], keys["bits1"][:q])
    assert torch.equal(after.features[n:], state.features[: max(q - n, 0)])


def test_the_gradient_is_that_of_the_first_view() -> None:
    """Between fractional bits the losses are smooth; only what view 1 enters is differentiated, hence constants."""
    second = {"bits1": bits(4, 5, 3), "features1": unit(4, 3, 4)}
    state = queues(6, 5, 3, 7, {"bits0": bits(4, 5), "features0": unit(4, 3), **second})

    def total(first_bits: Tensor, first_features: Tensor) -> Tensor:
        weights = {"bits0": first_bits, "features0": first_features, **second}
        losses, _ = oh_losses(look_up, weights, state, FIRST, SECOND, T, 0.9, CONTEXT)
        return losses["queue"] + losses["batch"]

    starts = (bits(4, 5, 1) * 0.6 + 0.2).requires_grad_(), unit(4, 3, 2).requires_grad_()
    assert torch.autograd.gradcheck(total, starts)


def test_the_worked_example() -> None:
    outputs = {
        "bits0": tensor([[1, 0], [0, 1]]).requires_grad_(),
        "features0": tensor([[1, 0], [0, 1]]).requires_grad_(),
        "bits1": tensor([[1, 1], [0, 1]]),
        "features1": tensor([[0.8, 0.6], [0, 1]]),
    }
    state = OverviewState(
        {name: value.detach() for name, value in outputs.items()},
        tensor([[0, 1], [1, 0], [0.8, 0.6]]),
        tensor([[1, 0], [0, 0], [1, 1]]),
        tensor([[1, 0], [0, 1], [0.6, 0.8]]),
    )
    query = overview(outputs["bits0"], outputs["features0"], state, T, CONTEXT)
    key = overview(outputs["bits1"], outputs["features1"], state, T, CONTEXT)
    losses, after = oh_losses(look_up, outputs, state, FIRST, SECOND, T, 0.999, CONTEXT)
    second = overview(outputs["bits1"], outputs["features1"], after, T, CONTEXT)
    for found, values in (
        (query, [[0.995650804, 0.093163710], [0.239713960, 0.970843560]]),
        (key, [[0.701049254, 0.713112854], [0.239713960, 0.970843560]]),
        (second, [[0.794072022, 0.607823679], [0.045919915, 0.998945124]]),
        (after.overviews[:2], [[0.701049254, 0.713112854], [0.239713960, 0.970843560]]),
        (after.bits, [[1, 1], [0, 1], [1, 0]]),
        (after.features, [[0.8, 0.6], [0, 1], [1, 0]]),
    ):
        np.testing.assert_allclose(found.detach(), values, atol=1e-9)
    assert losses["queue"].item() == pytest.approx(1.272424168, abs=1e-9)
    assert losses["batch"].item() == pytest.approx(0.170646549, abs=1e-9)
    gradients = torch.autograd.grad(losses["queue"] + losses["batch"], [outputs["bits0"], outputs["features0"]])
    for found, values in zip(
        gradients,
        (
            [[0.271637392, -0.194359120], [0.353821721, 0.277176992]],
            [[0.033025639, -0.352948631], [0.187954912, -0.046408524]],
        ),
        strict=True,
    ):
        np.testing.assert_allclose(found, values, atol=1e-9)


def test_the_attention_of_the_worked_example() -> None:
    """With unit vectors queued and no context, an overview is the attention, normalised."""
    state = OverviewState({}, torch.eye(3).double(), tensor([[1, 0], [0, 0], [1, 1]]), torch.eye(3).double())
    found = overview(tensor([[1, 0], [0, 1]]), torch.zeros(2, 3).double(), state, T, 0.0)
    attention = tensor([[0.858981079, 0.070509461, 0.070509461], [0.039424422, 0.480287789, 0.480287789]])
    torch.testing.assert_close(found, F.normalize(attention, dim=1), atol=1e-9, rtol=0)


@given(st.integers(1, 8), st.integers(1, 12), st.integers(0, 10**6))
def test_attention_is_spread_by_at_most_the_temperature(k: int, q: int, seed: int) -> None:
    state = OverviewState({}, torch.eye(q).double(), bits(q, k, seed), torch.eye(q).double())
    attention = overview(bits(3, k, seed + 1), torch.zeros(3, q).double(), state, T, 0.0)
    spread = attention.max(dim=1).values / attention.min(dim=1).values
    assert bool((spread <= math.exp(1 / T) * (1 + 1e-9)).all())
    assert math.exp(1 / T) == pytest.approx(148.4, abs=0.05)


@given(st.integers(1, 8), st.integers(0, 10**6))
def test_a_bit_that_flips_everywhere_changes_no_overview(k: int, seed: int) -> None:
    state, mine, features = queues(6, k, 4, seed), bits(3, k, seed + 5), unit(3, 4, seed + 6)
    flip = torch.zeros(k, dtype=torch.bool)
    flip[seed % k] = True
    flipped = state._replace(bits=torch.where(flip, 1 - state.bits, state.bits))
    torch.testing.assert_close(
        overview(torch.where(flip, 1 - mine, mine), features, flipped, T, CONTEXT),
        overview(mine, features, state, T, CONTEXT),
    )


def test_where_all_queued_features_are_one_the_bits_do_not_matter() -> None:
    state, features, direction = queues(6, 4, 3), unit(2, 3, 8), normal(3, seed=9)
    one = state._replace(features=direction.expand(6, 3))
    expected = F.normalize(direction / direction.norm() + CONTEXT * features, dim=1)
    for seed in range(3):
        torch.testing.assert_close(overview(bits(2, 4, seed), features, one, T, CONTEXT), expected)


def test_chance_and_the_best_that_can_be() -> None:
    """Overviews of one direction; of opposite ones; of orthogonal ones: with a queue of 4096 and a batch of 50."""
    same = F.normalize(tensor([[1.0] + [0.0] * 50]), dim=1)
    outputs = {f"bits{view}": torch.ones(50, 4).double() for view in (0, 1)}
    outputs |= {f"features{view}": same.expand(50, 51) for view in (0, 1)}
    queued = OverviewState(outputs, same.expand(4096, 51), torch.ones(4096, 4).double(), same.expand(4096, 51))
    chance, _ = oh_losses(look_up, outputs, queued, FIRST, SECOND, T, 0.5, CONTEXT)
    assert float(chance["queue"]) == pytest.approx(8.318, abs=5e-4)
    assert float(chance["queue"]) == pytest.approx(math.log(4097))
    assert float(chance["batch"]) == pytest.approx(3.912, abs=5e-4)
    opposite, _ = oh_losses(
        look_up, outputs, queued._replace(overviews=-same.expand(4096, 51)), FIRST, SECOND, T, 0.5, CONTEXT
    )
    assert float(opposite["queue"]) == pytest.approx(0.171, abs=5e-4)
    aside = torch.eye(51).double()[1:2].expand(4096, 51)
    orthogonal, _ = oh_losses(look_up, outputs, queued._replace(overviews=aside), FIRST, SECOND, T, 0.5, CONTEXT)
    assert float(orthogonal["queue"]) == pytest.approx(3.353, abs=5e-4)
    own = {**outputs, "features0": torch.eye(51).double()[1:], "features1": torch.eye(51).double()[1:]}
    distinct, _ = oh_losses(look_up, own, queued._replace(key_weights=own), FIRST, SECOND, T, 0.5, 1e6)
    assert float(distinct["batch"]) == pytest.approx(math.log(1 + 49 * math.exp(-1 / T)), abs=1e-4)


@pytest.mark.parametrize("n", [2, 5, 12])
def test_queues_hold_the_last_keys_newest_first(n: int) -> None:
    state, q = queues(7, 4, 3), 7
    steps = -(-q // n)
    keys = []
    for step in range(steps):
        outputs = {"bits0": bits(n, 4, step), "features0": unit(n, 3, step)}
        outputs |= {"bits1": bits(n, 4, 50 + step), "features1": unit(n, 3, 50 + step)}
        _, state = oh_losses(look_up, outputs, state._replace(key_weights=outputs), FIRST, SECOND, T, 0.9, CONTEXT)
        keys.insert(0, outputs["features1"])
    torch.testing.assert_close(state.features, torch.cat(keys)[:q])
