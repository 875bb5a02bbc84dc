"""TBH: the code graph, its convolution and the adversarial step restated with loops; what training does."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from hashbench.baselines.tbh import TBH, code_graph, critic_loss, normalised, reverse_gradient
from hashbench.learning.session import Session

OPTIONS = {"hidden": 32, "bottleneck": 16, "exponent": 1.4, "learning_rate": 3e-3, "batch_size": 32}


def _bits(n, b, seed=0):
    return torch.randint(0, 2, (n, b), generator=torch.Generator().manual_seed(seed)).double()


def test_the_graph_restated_with_loops():
    bits = _bits(6, 5)
    graph = code_graph(bits, 1.4)
    for i in range(6):
        for j in range(6):
            hamming = sum(float(bits[i, k]) != float(bits[j, k]) for k in range(5))
            assert float(graph[i, j]) == pytest.approx((1 - hamming / 5) ** 1.4, abs=1e-7)
    assert (graph.diagonal() == 1).all()


@pytest.mark.parametrize("exponent", [0.5, 1.4])
def test_the_graph_has_a_finite_gradient_between_opposite_codes(exponent):
    bits = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]], requires_grad=True)
    code_graph(bits, exponent).sum().backward()
    assert bool(torch.isfinite(bits.grad).all())


def test_the_gradient_of_the_graph_is_that_of_its_equation():
    """At fractional bits b_i, b_j the distance is Σ b_i (1 - b_j) + (1 - b_i) b_j, smooth in both."""
    bits = (_bits(4, 3) * 0.6 + 0.2).requires_grad_()
    assert torch.autograd.gradcheck(lambda values: code_graph(values, 1.4), bits)


def test_the_normalisation_restated_with_loops():
    graph = code_graph(_bits(5, 7, seed=1), 1.4)
    result = normalised(graph)
    degrees = [sum(float(graph[i, j]) for j in range(5)) for i in range(5)]
    for i in range(5):
        for j in range(5):
            assert float(result[i, j]) == pytest.approx(float(graph[i, j]) / math.sqrt(degrees[i] * degrees[j]))


def test_reversing_changes_the_sign_of_the_gradient_alone():
    values = torch.tensor([1.0, -2.0], requires_grad=True)
    out = reverse_gradient(values)
    assert torch.equal(out, values)
    (out * torch.tensor([3.0, 5.0])).sum().backward()
    assert values.grad.tolist() == [-3, -5]


def test_one_loss_gives_the_gradients_of_actor_and_critic():
    """Critic: that of L_C. Actor: that of -L_C. Both restated with the binary cross-entropy of a sigmoid unit."""
    generator = torch.Generator().manual_seed(0)
    critic = nn.Linear(4, 1).double()
    prior = torch.rand(6, 4, generator=generator, dtype=torch.float64)
    codes = torch.rand(6, 4, generator=generator, dtype=torch.float64).requires_grad_()

    real, made = torch.sigmoid(critic(prior)), torch.sigmoid(critic(codes))
    bce = nn.functional.binary_cross_entropy
    plain = bce(real, torch.ones_like(real)) + bce(made, torch.zeros_like(made))
    for_critic = torch.autograd.grad(plain, list(critic.parameters()), retain_graph=True)
    (for_actor,) = torch.autograd.grad(-plain, codes)

    loss = critic_loss(critic, prior, codes)
    assert loss.item() == pytest.approx(plain.item(), rel=1e-9)
    gradients = torch.autograd.grad(loss, [*critic.parameters(), codes])
    for got, expected in zip(gradients, [*for_critic, for_actor], strict=True):
        np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=1e-9)


def test_the_reconstruction_is_a_sum_over_batch_and_dimensions(clusters, train):
    """A decoder that knew only the mean would lose half the number of entries of a batch: they have unit scale."""
    rows = clusters(320, 1)[0]
    log = TBH(**OPTIONS, epochs=60).fit(train(rows), 16, seed=0, session=Session())
    entries = 32 * rows.shape[1]
    assert 0.2 * entries < log.curves["reconstruction"][-1] < 0.46 * entries
    assert log.curves["reconstruction"][0] > 0.5 * entries


def test_every_layer_of_the_encoder_receives_a_gradient(features, train, unmoved):
    assert unmoved(lambda epochs: TBH(**OPTIONS, epochs=epochs), train(features)) == []


def test_decoder_and_critics_are_not_part_of_the_method_that_is_kept(features, train):
    method = TBH(**OPTIONS, epochs=1)
    method.fit(train(features), 8, seed=0, session=Session())
    sizes = {name: value.shape for name, value in method.state_dict().items() if name.endswith("weight")}
    assert sizes == {"1.weight": (32, 12), "3.weight": (8, 32)}
    assert not [module for module in method.head.modules() if isinstance(module, nn.Dropout)]


def test_trained_codes_retrieve_better_than_random_projections(gain_over_random_projections):
    assert gain_over_random_projections(TBH(**OPTIONS, epochs=60)) > 0.02
