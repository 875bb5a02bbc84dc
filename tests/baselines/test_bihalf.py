"""BiHalf: the bi-half layer forward and backward, only in training; the loss of the published code."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hashbench.baselines.bihalf import BiHalf, bi_half
from hashbench.learning.losses import pairwise_cosine_error
from hashbench.learning.session import Session

OPTIONS = {
    "gamma": 6.0,
    "learning_rate": 1e-2,
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "batch_size": 32,
    "decay": 0.1,
    "decay_epochs": 120,
}


def test_forward_and_backward_are_those_of_the_published_code(shared):
    golden = np.load(shared / "golden" / "bihalf.npz")
    outputs = torch.tensor(golden["u"], dtype=torch.float64, requires_grad=True)
    codes = bi_half(outputs, 6.0)
    loss = pairwise_cosine_error(codes, torch.tensor(golden["x"], dtype=torch.float64))
    loss.backward()
    assert np.array_equal(codes.detach().numpy(), golden["b"])
    assert loss.item() == pytest.approx(float(golden["loss"]), rel=1e-5)
    scale = np.abs(golden["grad_u"]).max()
    np.testing.assert_allclose(outputs.grad.numpy(), golden["grad_u"], rtol=1e-5, atol=1e-6 * scale)


@pytest.mark.parametrize("n", [8, 9, 2, 1])
def test_the_upper_half_of_every_bit_is_up(n):
    outputs = torch.randn(n, 5, generator=torch.Generator().manual_seed(n)) + 3
    codes = bi_half(outputs, 6.0)
    for k in range(5):
        largest = sorted(range(n), key=lambda i: -float(outputs[i, k]))[: n // 2]
        assert [float(code) for code in codes[:, k]] == [1.0 if i in largest else -1.0 for i in range(n)]


def test_ties_are_balanced_too():
    assert bi_half(torch.zeros(6, 3), 6.0).sum() == 0


@pytest.mark.parametrize(("n", "b", "gamma"), [(6, 4, 6.0), (7, 3, 0.5)])
def test_backward_restated_with_loops(n, b, gamma):
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(n, b, generator=generator, dtype=torch.float64).requires_grad_()
    cotangent = torch.randn(n, b, generator=generator, dtype=torch.float64)
    codes = bi_half(outputs, gamma)
    codes.backward(cotangent)
    for i in range(n):
        for k in range(b):
            pull = gamma * (outputs[i, k] - codes[i, k]).item() / (n * b)
            assert float(outputs.grad[i, k]) == pytest.approx(float(cotangent[i, k]) + pull, rel=1e-12)


def test_the_layer_is_not_used_at_inference(features, train, items):
    method = BiHalf(**OPTIONS, epochs=3)
    method.fit(train(features), 8, seed=0, session=Session())
    bits = method.encode(items(features))
    with torch.no_grad():
        assert np.array_equal(bits, (method.head(torch.from_numpy(features)) >= 0).numpy())
    # All images alike: balancing them would give half of them another code.
    assert len(np.unique(method.encode(items(np.repeat(features[:1], 10, axis=0))), axis=0)) == 1
    assert np.array_equal(method.encode(items(features[3:4]))[0], bits[3])


def test_the_head_learns_through_the_layer(features, train, unmoved):
    assert unmoved(lambda epochs: BiHalf(**{**OPTIONS, "gamma": 0.0}, epochs=epochs), train(features)) == []


def test_gamma_pulls_the_outputs_to_their_codes(clusters, train):
    """With nothing but the pull the outputs near -1 and +1."""
    rows = clusters(300, 1)[0]
    errors = []
    for epochs in (0, 20):
        method = BiHalf(**OPTIONS, epochs=epochs)
        method.fit(train(rows), 8, seed=0, session=Session())
        with torch.no_grad():
            errors.append(float((method.head(torch.from_numpy(rows)).abs() - 1).square().mean()))
    assert errors[1] < 0.8 * errors[0]


@pytest.mark.parametrize("seed", [0, 2])
def test_the_loss_falls_where_balanced_codes_can_reach_the_target(train, seed):
    """Groups in eight directions and their opposites: the mean cosine is 0, as that of balanced codes."""
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(rng.normal(size=(20, 20)))[0][:8] * 4
    rows = rng.choice([-1, 1], size=(320, 1)) * directions[rng.integers(8, size=320)]
    rows = (rows + rng.normal(size=(320, 20)) * 0.3).astype(np.float32)
    similarity = (
        BiHalf(**{**OPTIONS, "batch_size": 64}, epochs=40).fit(train(rows), 8, seed, Session()).curves["similarity"]
    )
    assert np.mean(similarity[-5:]) < 0.9 * np.mean(similarity[:2])


def test_the_learning_rate_decays(features, train):
    """Decaying to nothing after two epochs leaves the head as it was then."""
    heads = []
    for epochs in (2, 6):
        method = BiHalf(**{**OPTIONS, "decay": 0.0, "decay_epochs": 2, "weight_decay": 0.0}, epochs=epochs)
        method.fit(train(features), 8, seed=0, session=Session())
        heads.append(method.state_dict())
    assert all(np.array_equal(heads[0][name], heads[1][name]) for name in heads[0])


def test_trained_codes_retrieve_better_than_random_projections(gain_over_random_projections):
    assert gain_over_random_projections(BiHalf(**OPTIONS, epochs=20)) > 0.05
