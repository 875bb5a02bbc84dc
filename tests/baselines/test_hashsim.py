"""HashSIM: its fixed targets and what it learns."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hashbench.baselines.hashsim import HashSIM
from hashbench.learning.session import Session
from hashbench.seeding import torch_generator
from hashbench.types import Array, ItemView, TrainView

OPTIONS: dict[str, Any] = {
    "temperature": 1.0,
    "learning_rate": 0.1,
    "momentum": 0.9,
    "weight_decay": 1e-5,
    "batch_size": 24,
}


def views_of(features: Array, n_views: int) -> Array:
    shifts = np.random.default_rng(1).normal(size=(n_views, *features.shape)) * 0.3
    return (features + shifts).astype(np.float32)


@pytest.fixture
def view(features: Array) -> TrainView:
    return TrainView(np.arange(150), pooled=features, views=views_of(features, 3))


def test_the_targets_of_a_batch_are_those_of_two_fixed_views(view: TrainView) -> None:
    """With two views an image, its target views are view 0 and view 1 in one order or the other, for good."""
    assert view.views is not None
    views = view.views[:2]
    two = TrainView(view.rows, pooled=view.pooled, views=views)
    method, generator = HashSIM(**OPTIONS, epochs=1), torch_generator(0)
    head = method.network(12, 4, generator)
    training = next(method.training(head, two, 4, generator, "cpu"))
    batch = torch.tensor([3, 77, 140])
    first, second, again1, again2 = training.draw(batch)[2:] + training.draw(batch)[2:]
    assert torch.equal(first, again1)
    assert torch.equal(second, again2)
    all1, all2 = training.draw(torch.arange(150))[2:]
    torch.testing.assert_close(all1[batch][:, batch], first)
    torch.testing.assert_close(all2[batch][:, batch], second)
    unit = torch.nn.functional.normalize(torch.from_numpy(views.copy()), dim=2)
    order = [next(o for o in (0, 1) if _explains(all1, unit, i, o)) for i in range(150)]
    assert 40 < sum(order) < 110, "drawn for each image by itself"
    fixed = [unit[np.array(order), np.arange(150)], unit[1 - np.array(order), np.arange(150)]]
    for similarities, rows in zip((all1, all2), fixed, strict=True):
        torch.testing.assert_close(similarities, 2 * rows @ rows.T - 1)


def _explains(similarities: Tensor, unit: Tensor, i: int, view: int) -> bool:
    """Whether image i's similarities are all cosines of its `view` with one view or the other of each image."""
    cosines = 2 * torch.einsum("d,vnd->vn", unit[view, i], unit) - 1
    near = (cosines - similarities[i]).abs().min(dim=0).values
    near[i] = 0
    return bool((near < 1e-5).all())


def test_the_head_receives_a_gradient(view: TrainView, unmoved: Callable[..., list[str]]) -> None:
    assert unmoved(lambda epochs: HashSIM(**OPTIONS, epochs=epochs), view) == []


def test_codes_approach_their_targets_while_bits_stay_independent(features: Array) -> None:
    centred = features - features.mean(axis=0)
    view = TrainView(np.arange(150), pooled=centred, views=views_of(centred, 3))
    curves = HashSIM(**OPTIONS, epochs=30).fit(view, 8, seed=0, session=Session()).curves
    assert set(curves) == {"bit contrast", "pairs of the first view", "pairs of the second view"}
    for name in ("pairs of the first view", "pairs of the second view"):
        assert curves[name][-1] < 0.8 * curves[name][0]
    assert curves["bit contrast"][-1] == pytest.approx(math.log(1 + 14 / math.e), rel=0.05)


def test_the_code_is_the_sign(view: TrainView, features: Array) -> None:
    method = HashSIM(**OPTIONS, epochs=1)
    method.fit(view, 8, seed=0, session=Session())
    with torch.no_grad():
        signs = (method.head(torch.from_numpy(features)) >= 0).numpy()
    assert np.array_equal(method.encode(ItemView(np.arange(150), pooled=features)), signs)


def test_trained_codes_retrieve_better_than_random_projections(
    gain_over_random_projections: Callable[[Any], float],
) -> None:
    assert gain_over_random_projections(HashSIM(**OPTIONS, epochs=40)) > 0.05
