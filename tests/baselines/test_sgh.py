"""SGH: objective and gradients restated with loops and by hand, in sums; what training does."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hashbench.baselines.sgh import SGH, LinearDecoder
from hashbench.learning.binarize import binary_neuron
from hashbench.learning.session import Session
from hashbench.seeding import torch_generator

OPTIONS = {"alpha": 1e-3, "beta": 1e-3, "learning_rate": 1e-2, "batch_size": 100}


def test_the_neuron_is_a_step_with_the_gradient_of_the_sigmoid():
    logits = torch.tensor([-2.0, -1e-9, 0.0, 0.5, 30.0], dtype=torch.float64, requires_grad=True)
    bits = binary_neuron(logits)
    assert bits.tolist() == [0, 0, 1, 1, 1]
    cotangent = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0], dtype=torch.float64)
    bits.backward(cotangent)
    probabilities = 1 / (1 + np.exp(-logits.detach().numpy()))
    np.testing.assert_allclose(logits.grad.numpy(), probabilities * (1 - probabilities) * cotangent.numpy(), rtol=1e-9)


def _one_batch(features, train, alpha, beta):
    """The curves of one batch of all rows, and the state that it met."""
    n = len(features)
    method = SGH(**{**OPTIONS, "alpha": alpha, "beta": beta, "learning_rate": 0.0, "batch_size": n}, epochs=1)
    log = method.fit(train(features), 5, seed=3, session=Session())
    generator = torch_generator(3)
    method.network(12, 5, generator)
    x = method.head[0](torch.from_numpy(features))
    return log, method.head[1], LinearDecoder(x, 5, generator), x


def test_the_loss_restated_with_loops(features, train):
    log, encoder, decoder, x = _one_batch(features[:20], train, 0.3, 0.7)
    reconstruction = confidence = 0.0
    with torch.no_grad():
        for row in x:
            logits = [float(row @ encoder.weight[k] + encoder.bias[k]) for k in range(5)]
            bits = [1.0 if logit >= 0 else 0.0 for logit in logits]
            for j in range(12):
                rebuilt = sum(bits[k] * float(decoder.weight[k, j]) for k in range(5))
                rebuilt = rebuilt * abs(float(decoder.scale[j])) + float(decoder.shift[j])
                reconstruction += 0.5 * (rebuilt - float(row[j])) ** 2
            for bit, logit in zip(bits, logits, strict=True):
                p = 1 / (1 + math.exp(-logit))
                confidence += -bit * math.log(p) - (1 - bit) * math.log(1 - p)
        weights = sum(float(w) ** 2 for w in [*encoder.weight.flatten(), *decoder.weight.flatten()])
    assert log.curves["reconstruction"] == [pytest.approx(reconstruction, rel=1e-4)]
    assert log.curves["confidence"] == [pytest.approx(0.3 * confidence, rel=1e-4)]
    assert log.curves["weights"] == [pytest.approx(0.35 * weights, rel=1e-4)]


def test_the_confidence_term_also_reaches_the_encoder_through_its_bits():
    """d/dl of CE(h, σ(l)) is (σ(l) - h) directly, and -l σ(l)(1 - σ(l)) through h."""
    logits = torch.randn(6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    bits = binary_neuron(logits)
    torch.nn.functional.binary_cross_entropy_with_logits(logits, bits, reduction="sum").backward()
    p = torch.sigmoid(logits.detach())
    expected = p - bits.detach() - logits.detach() * p * (1 - p)
    np.testing.assert_allclose(logits.grad.numpy(), expected.numpy(), rtol=1e-9)


def test_the_decoder_starts_at_variance_and_mean(features):
    decoder = LinearDecoder(torch.from_numpy(features), 4, torch_generator(0))
    np.testing.assert_allclose(decoder.scale.detach().numpy(), features.var(axis=0), rtol=1e-4)
    np.testing.assert_allclose(decoder.shift.detach().numpy(), features.mean(axis=0), rtol=1e-4)
    assert decoder(torch.zeros(3, 4)).shape == (3, 12)


def test_the_encoder_receives_a_gradient(features, train, unmoved):
    assert unmoved(lambda epochs: SGH(**OPTIONS, epochs=epochs), train(features)) == []


def test_the_reconstruction_improves(clusters, train):
    reconstruction = (
        SGH(**OPTIONS, epochs=60)
        .fit(train(clusters(300, 1)[0]), 16, seed=0, session=Session())
        .curves["reconstruction"]
    )
    assert reconstruction[-1] < 0.6 * reconstruction[0]


def test_trained_codes_retrieve_better_than_random_projections(gain_over_random_projections):
    assert gain_over_random_projections(SGH(**OPTIONS, epochs=60)) > 0.05
