"""The contrastive control: its head learns from views alone, through the straight-through sign."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from hashbench.baselines.contrastive import Contrastive
from hashbench.errors import HashbenchError
from hashbench.learning.contrast import nt_xent, one_sided_contrast
from hashbench.learning.session import Session
from hashbench.learning.training import Training
from hashbench.types import TrainView

HYPERPARAMETERS = {
    "negatives": "both_views",
    "temperature": 0.3,
    "hidden": 32,
    "learning_rate": 3e-3,
    "batch_size": 20,
    "epochs": 20,
}


@pytest.fixture(scope="module")
def train() -> TrainView:
    """Four groups of 15 images in 12 dimensions; three views, each with noise of its own."""
    rng = np.random.default_rng(0)
    pooled = (np.repeat(rng.normal(size=(4, 12)), 15, axis=0) + 0.3 * rng.normal(size=(60, 12))).astype(np.float32)
    views = (pooled + 0.3 * rng.normal(size=(3, 60, 12))).astype(np.float32)
    return TrainView(np.arange(60), pooled=pooled, views=views)


@pytest.mark.parametrize("negatives", ["both_views", "other_view"])
def test_views_of_one_image_come_closer_than_others(train: TrainView, negatives: str) -> None:
    method = Contrastive(**{**HYPERPARAMETERS, "negatives": negatives})
    log = method.fit(train, 16, seed=1, session=Session())
    assert log.curves["contrastive"][-1] < 0.8 * log.curves["contrastive"][0]
    codes = [method.encode(TrainView(train.rows, pooled=view)) for view in train.views[:2]]
    distances = (codes[0][:, None] != codes[1][None]).sum(axis=2)
    assert distances.diagonal().mean() < 0.6 * distances.mean()


def test_every_layer_of_the_head_is_trained(train: TrainView) -> None:
    method, untrained = Contrastive(**HYPERPARAMETERS), Contrastive(**{**HYPERPARAMETERS, "epochs": 0})
    method.fit(train, 16, seed=1, session=Session())
    untrained.fit(train, 16, seed=1, session=Session())
    for name in ("1.weight", "1.bias", "3.weight", "3.bias"):
        assert not np.allclose(method.state_dict()[name], untrained.state_dict()[name])


@pytest.mark.parametrize(("negatives", "contrast"), [("both_views", nt_xent), ("other_view", one_sided_contrast)])
def test_the_first_loss_is_that_of_its_definition(train: TrainView, negatives: str, contrast: Any) -> None:
    method = Contrastive(**{**HYPERPARAMETERS, "negatives": negatives, "batch_size": 60, "epochs": 1})
    drawn: list[Any] = []
    original = method.training

    def watched(*given: Any) -> Iterator[Training]:
        (training,) = original(*given)
        head = copy.deepcopy(training.network)
        yield replace(training, draw=lambda batch: drawn.append((head, training.draw(batch))) or drawn[-1][1])

    method.training = watched  # type: ignore[method-assign]
    log = method.fit(train, 16, 0, Session())
    ((head, views),) = drawn
    expected = contrast(*(torch.tanh(head(view)).sign() for view in views), 0.3)
    assert log.curves["contrastive"] == [pytest.approx(float(expected), rel=1e-5)]


def test_one_view_is_not_enough(train: TrainView) -> None:
    with pytest.raises(HashbenchError, match="at least 2 views"):
        Contrastive(**HYPERPARAMETERS).fit(
            TrainView(train.rows, pooled=train.pooled, views=train.views[:1]), 16, 0, Session()
        )
