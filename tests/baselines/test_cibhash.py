"""CIBHash: both terms by explicit loops and against the authors' vectors."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from hashbench.baselines.cibhash import bernoulli_kl, cibhash_terms


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def kl_by_loops(p: Tensor, q: Tensor) -> list[float]:
    def bit(a: float, b: float) -> float:
        return a * math.log((a + 1e-8) / (b + 1e-8)) + (1 - a) * math.log((1 - a + 1e-8) / (1 - b + 1e-8))

    return [sum(bit(float(a), float(b)) for a, b in zip(*rows, strict=True)) for rows in zip(p, q, strict=True)]


def test_kl_by_loops() -> None:
    p, q = torch.sigmoid(normal(4, 6)), torch.sigmoid(normal(4, 6, seed=1))
    np.testing.assert_allclose(bernoulli_kl(p, q).numpy(), kl_by_loops(p, q), rtol=1e-10)
    torch.testing.assert_close(bernoulli_kl(p, p), torch.zeros(4, dtype=torch.float64))


def test_certain_bits_keep_kl_finite() -> None:
    p, q = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    assert torch.isfinite(bernoulli_kl(p, q)).all()


def test_kl_gives_no_gradient_to_its_reference() -> None:
    p, q = torch.sigmoid(normal(3, 4)).requires_grad_(), torch.sigmoid(normal(3, 4, seed=1)).requires_grad_()
    bernoulli_kl(p, q).sum().backward()
    assert p.grad is not None
    assert float(p.grad.abs().min()) > 0
    assert q.grad is None


@pytest.mark.parametrize(("n", "bits"), [(2, 4), (5, 8)])
def test_terms_by_loops(n: int, bits: int) -> None:
    logits1, logits2 = normal(n, bits), normal(n, bits, seed=1)
    terms = cibhash_terms(logits1, logits2, temperature=0.3, bottleneck=0.001)
    both, contrast = torch.cat([torch.sign(logits1), torch.sign(logits2)]), 0.0
    for anchor in range(2 * n):
        shares = [math.exp(float(both[anchor] @ other) / bits / 0.3) for other in both]
        contrast -= math.log(shares[(anchor + n) % (2 * n)] / (sum(shares) - shares[anchor])) / (2 * n)
    p1, p2 = torch.sigmoid(logits1), torch.sigmoid(logits2)
    kl = (np.mean(kl_by_loops(p1, p2)) + np.mean(kl_by_loops(p2, p1))) / 2
    assert float(terms["contrastive"]) == pytest.approx(contrast, rel=1e-10)
    assert float(terms["bottleneck"]) == pytest.approx(0.001 * kl, rel=1e-6)


def test_terms_and_gradients_equal_the_vectors_of_the_published_code(shared: Path) -> None:
    golden = {name: torch.from_numpy(value).double() for name, value in np.load(shared / "golden/cibhash.npz").items()}
    logits = [golden[name].requires_grad_() for name in ("logits1", "logits2")]
    terms = cibhash_terms(*logits, temperature=0.3, bottleneck=0.001)
    loss = terms["contrastive"] + terms["bottleneck"]
    torch.testing.assert_close(terms["contrastive"], golden["contrastive"], rtol=1e-5, atol=0)
    torch.testing.assert_close(terms["bottleneck"], 0.001 * golden["kl"], rtol=1e-5, atol=0)
    torch.testing.assert_close(loss, golden["loss"], rtol=1e-5, atol=0)
    for found, name in zip(torch.autograd.grad(loss, logits), ("grad1", "grad2"), strict=True):
        assert float((found - golden[name]).norm() / golden[name].norm()) < 1e-5
