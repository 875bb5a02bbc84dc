"""The coding rate, the alignment and their sum, against loops, closed forms and the authors' code."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hashbench.learning.coding_rate import alignment_loss, crovca_terms
from hashbench.learning.losses import coding_rate, crovca_loss
from hashbench.types import Array

EPS = 0.05


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def orthogonal(k: int, seed: int = 0) -> Tensor:
    return torch.linalg.qr(normal(k, k, seed=seed))[0]


batches = st.tuples(st.integers(1, 20), st.integers(1, 12), st.integers(0, 10**6)).map(
    lambda drawn: normal(drawn[0], drawn[1], seed=drawn[2])
)
distortions = st.floats(0.01, 2)


def coding_rate_by_loops(logits: Array, eps: float) -> float:
    n, k = logits.shape
    matrix = np.eye(k)
    for row in logits:
        for i in range(k):
            for j in range(k):
                matrix[i, j] += k / (n * eps) * row[i] * row[j] / (row @ row)
    return -(k + n) / (k * n) / 2 * math.log(np.linalg.det(matrix))


def alignment_by_loops(first: Array, second: Array) -> float:
    total = 0.0
    for mine, other in ((first, second), (second, first)):
        for logit, target in zip(mine.ravel(), other.ravel(), strict=True):
            probability = 1 / (1 + math.exp(-logit))
            total -= math.log(probability if target > 0 else 1 - probability)
    return total / (2 * first.size)


@pytest.mark.parametrize(("n", "k", "eps"), [(1, 4, 0.05), (5, 3, 0.05), (7, 16, 0.5), (40, 8, 0.01)])
def test_the_objective_by_loops(n: int, k: int, eps: float) -> None:
    first, second = normal(n, k, seed=1), normal(n, k, seed=2) * 3
    rates = [coding_rate_by_loops(logits.numpy(), eps) for logits in (first, second)]
    aligned = alignment_by_loops(first.numpy(), second.numpy())
    assert float(coding_rate(first, eps)) == pytest.approx(rates[0], rel=1e-9)
    assert float(alignment_loss(first, second)) == pytest.approx(aligned, rel=1e-9)
    terms = crovca_terms(first, second, eps, 0.7, 0.3)
    assert float(terms["alignment"]) == pytest.approx(0.7 * aligned, rel=1e-9)
    assert float(terms["coding"]) == pytest.approx(0.15 * sum(rates), rel=1e-9)
    assert float(crovca_loss(first, second, eps, 0.7, 0.3)) == pytest.approx(0.7 * aligned + 0.15 * sum(rates))


@pytest.mark.parametrize(("n", "k"), [(6, 4), (3, 8), (30, 5)])
def test_the_gradients_in_closed_form(n: int, k: int) -> None:
    logits = [normal(n, k, seed=seed).requires_grad_() for seed in (1, 2)]
    found = torch.autograd.grad(crovca_loss(*logits, EPS, 1.0, 0.1), logits)
    for own, other, gradient in zip(logits, reversed(logits), found, strict=True):
        alignment = (torch.sigmoid(own) - (other > 0).double()) / (2 * n * k)
        norms = own.norm(dim=1, keepdim=True)
        unit = own / norms
        matrix = torch.eye(k, dtype=torch.float64) + k / (n * EPS) * unit.T @ unit
        outer = -(k + n) / (k * n) * k / (n * EPS) * unit @ torch.linalg.inv(matrix)
        coding = (outer - unit * (unit * outer).sum(dim=1, keepdim=True)) / norms
        torch.testing.assert_close(gradient, (alignment + 0.1 * coding / 2).detach(), rtol=1e-9, atol=1e-12)


def test_the_worked_example() -> None:
    first = torch.tensor([[1, -2], [-0.5, 0.25], [3, 1]], dtype=torch.float64, requires_grad=True)
    second = torch.tensor([[0.5, -1], [1, 0.5], [2, -1]], dtype=torch.float64, requires_grad=True)
    assert alignment_loss(first, second).item() == pytest.approx(0.613910182, abs=5e-10)
    assert coding_rate(first, EPS).item() == pytest.approx(-2.461827010, abs=5e-10)
    assert coding_rate(second, EPS).item() == pytest.approx(-2.492840061, abs=5e-10)
    loss = crovca_loss(first, second, EPS, 1.0, 0.1)
    assert loss.item() == pytest.approx(0.366176828, abs=5e-10)
    gradients = torch.autograd.grad(loss, [first, second])
    expected = (
        [[-0.01742134, 0.01242880], [-0.05219357, -0.03712922], [-0.00266430, 0.05705798]],
        [[-0.02428884, 0.02599822], [0.06450799, -0.03863460], [-0.00993358, -0.06092155]],
    )
    for gradient, values in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(gradient, values, atol=1e-8)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_it_equals_the_published_code(shared: Path, dtype: torch.dtype, tolerance: float) -> None:
    golden = golden_vectors(shared, dtype)
    logits = [golden[name].requires_grad_() for name in ("logits1", "logits2")]
    eps, alignment, coding = (float(golden[name]) for name in ("eps", "coeff_alignment", "coeff_coding"))
    loss = crovca_loss(*logits, eps, alignment, coding)
    found = {
        "coding1": coding_rate(logits[0], eps),
        "coding2": coding_rate(logits[1], eps),
        "alignment": alignment_loss(*logits),
        "loss": loss,
    }
    for name, value in found.items():
        torch.testing.assert_close(value.detach(), golden[name], rtol=tolerance, atol=0)
    for gradient, name in zip(torch.autograd.grad(loss, logits), ("grad_logits1", "grad_logits2"), strict=True):
        assert float((gradient - golden[name]).norm() / golden[name].norm()) < tolerance


def golden_vectors(shared: Path, dtype: torch.dtype) -> dict[str, Tensor]:
    arrays = np.load(shared / "golden/newer_crovca.npz")
    return {name: torch.from_numpy(value).to(dtype) for name, value in arrays.items()}


@given(batches, distortions)
def test_the_coding_rate_lies_between_spread_and_collapsed_codes(logits: Tensor, eps: float) -> None:
    n, k = logits.shape
    lowest = -(k + n) / (2 * n) * math.log(1 + 1 / eps)
    highest = -(k + n) / (2 * k * n) * math.log(1 + k / eps)
    assert lowest - 1e-9 <= float(coding_rate(logits, eps)) <= highest + 1e-9


@pytest.mark.parametrize(
    ("k", "lowest", "highest"),
    [(16, -1.617403, -0.191630), (32, -1.712544, -0.113608), (64, -1.902827, -0.069877)],
)
def test_orthogonal_codes_and_parallel_ones_are_the_extremes(k: int, lowest: float, highest: float) -> None:
    scales = normal(256, 1, seed=3)
    spread = orthogonal(k).repeat(256 // k, 1) * scales
    assert float(coding_rate(spread, EPS)) == pytest.approx(lowest, abs=1e-6)
    assert float(coding_rate(normal(1, k) * scales, EPS)) == pytest.approx(highest, abs=1e-6)


@given(batches, distortions, st.integers(0, 10**6))
def test_the_coding_rate_sees_directions_alone(logits: Tensor, eps: float, seed: int) -> None:
    n, k = logits.shape
    rate = float(coding_rate(logits, eps))
    scales = normal(n, 1, seed=seed)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    for changed in (logits * scales, logits[order], logits @ orthogonal(k, seed)):
        assert float(coding_rate(changed, eps)) == pytest.approx(rate, rel=1e-8)


def test_a_row_without_direction_does_no_harm() -> None:
    logits = torch.cat([normal(4, 3), torch.zeros(1, 3, dtype=torch.float64)]).requires_grad_()
    rate = coding_rate(logits, EPS)
    assert torch.isfinite(rate)
    assert torch.isfinite(torch.autograd.grad(rate, logits)[0]).all()


def test_the_coding_rate_is_never_computed_in_half_precision() -> None:
    logits = normal(64, 32).to(torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        rate = coding_rate(logits, EPS)
    assert rate.dtype == torch.float32
    assert float(rate) == pytest.approx(float(coding_rate(logits.double(), EPS)), rel=1e-5)


@given(batches, st.integers(0, 10**6))
def test_the_alignment_treats_views_and_signs_alike(first: Tensor, seed: int) -> None:
    n, k = first.shape
    second = normal(n, k, seed=seed)
    loss = float(alignment_loss(first, second))
    assert float(alignment_loss(second, first)) == pytest.approx(loss, rel=1e-12)
    flipped = torch.ones(k, dtype=torch.float64)
    flipped[seed % k] = -1
    assert float(alignment_loss(first * flipped, second * flipped)) == pytest.approx(loss, rel=1e-12)


def test_the_alignment_of_undecided_and_of_certain_codes() -> None:
    zeros, certain = torch.zeros(5, 4, dtype=torch.float64), torch.sign(normal(5, 4)) * 60
    assert float(alignment_loss(zeros, zeros)) == pytest.approx(math.log(2))
    assert float(alignment_loss(certain, certain * 2)) == pytest.approx(0, abs=1e-12)
    assert float(alignment_loss(certain, -certain)) == pytest.approx(60)


def test_only_the_signs_of_the_other_view_matter() -> None:
    first, second = normal(6, 5).requires_grad_(), normal(6, 5, seed=1)
    gradients = [
        torch.autograd.grad(alignment_loss(first, other), first)[0] for other in (second, second * normal(6, 5).abs())
    ]
    assert torch.equal(*gradients)
