"""SDC: its targets follow the Beta distribution, its losses their definitions, its codes the running statistics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import beta
from torch import Tensor, nn

from hashbench.baselines.sdc import SDC, calibrated_similarities, calibration_loss
from hashbench.learning.session import Session
from hashbench.types import ItemView, TrainView


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def cosine(a: Tensor, b: Tensor) -> float:
    return float(a @ b / (a.norm() * b.norm()))


@pytest.mark.parametrize(("pairs", "a", "b"), [(1, 5, 5), (8, 5, 5), (33, 2, 7)])
def test_targets_are_the_mid_rank_quantiles_of_beta(pairs: int, a: float, b: float) -> None:
    targets = calibrated_similarities(pairs, a, b).double().numpy()
    assert (np.diff(targets) > 0).all()
    np.testing.assert_allclose(beta.cdf((targets + 1) / 2, a, b), (np.arange(pairs) + 0.5) / pairs, atol=1e-5)


@pytest.mark.parametrize("n", [2, 6, 9])
def test_calibration_loss_by_loops(n: int) -> None:
    outputs, features = normal(n, 5), normal(n, 7, seed=1)
    pairs = n // 2
    targets = calibrated_similarities(pairs, 5, 5)
    order = sorted(range(pairs), key=lambda i: cosine(features[i], features[i + pairs]))
    errors = [abs(cosine(outputs[i], outputs[i + pairs]) - float(targets[r])) for r, i in enumerate(order)]
    assert float(calibration_loss(outputs, features, targets)) == pytest.approx(sum(errors) / pairs, rel=1e-6)


def test_calibration_loss_gives_gradient_to_the_outputs_alone() -> None:
    outputs, features = normal(8, 5).requires_grad_(), normal(8, 7, seed=1).requires_grad_()
    targets = calibrated_similarities(4, 5, 5)
    gradients = torch.autograd.grad(
        calibration_loss(outputs, features, targets), [outputs, features], allow_unused=True
    )
    assert float(gradients[0].abs().max()) > 0
    assert gradients[1] is None or not gradients[1].any()


HYPERPARAMETERS = {
    "a": 5.0,
    "b": 5.0,
    "quantisation": 1.0,
    "learning_rate": 3e-3,
    "weight_decay": 1e-5,
    "batch_size": 20,
    "epochs": 20,
}


@pytest.fixture(scope="module")
def train() -> TrainView:
    rng = np.random.default_rng(0)
    pooled = np.repeat(rng.normal(size=(4, 12)), 16, axis=0) + 0.3 * rng.normal(size=(64, 12))
    return TrainView(np.arange(64), pooled=pooled.astype(np.float32))


def test_it_learns(train: TrainView) -> None:
    log = SDC(**HYPERPARAMETERS).fit(train, 8, seed=1, session=Session())
    assert log.curves["calibration"][-1] < log.curves["calibration"][0]
    assert log.curves["quantisation"][-1] < log.curves["quantisation"][0]


def test_batch_norm_encodes_with_its_running_statistics(train: TrainView) -> None:
    method = SDC(**HYPERPARAMETERS)
    method.fit(train, 8, seed=1, session=Session())
    norm = next(module for module in method.head if isinstance(module, nn.BatchNorm1d))
    assert not norm.training
    before = norm.running_mean.clone()
    codes = method.encode(ItemView(train.rows, pooled=train.pooled))
    alone = [method.encode(ItemView(train.rows[i : i + 1], pooled=train.pooled[i : i + 1])) for i in range(64)]
    np.testing.assert_array_equal(np.concatenate(alone), codes)
    torch.testing.assert_close(norm.running_mean, before)
