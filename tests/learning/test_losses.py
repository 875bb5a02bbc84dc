"""Shared losses against explicit loops over their definitions and against reference vectors."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from hashbench.learning.binarize import straight_through_sign
from hashbench.learning.contrast import one_sided_contrast
from hashbench.learning.losses import nt_xent, pairwise_cosine_error
from hashbench.methods.wch import weighted_contrastive_loss


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def cosine(a: Tensor, b: Tensor) -> float:
    return float(a @ b / (a.norm() * b.norm()))


@pytest.mark.parametrize(("n", "bits", "temperature"), [(1, 4, 0.3), (2, 8, 0.5), (7, 16, 0.1)])
def test_nt_xent_by_loops(n: int, bits: int, temperature: float) -> None:
    codes1, codes2 = normal(n, bits), normal(n, bits, seed=1)
    both, total = torch.cat([codes1, codes2]), 0.0
    for anchor in range(2 * n):
        shares = [math.exp(cosine(both[anchor], other) / temperature) for other in both]
        total -= math.log(shares[(anchor + n) % (2 * n)] / (sum(shares) - shares[anchor]))
    assert float(nt_xent(codes1, codes2, temperature)) == pytest.approx(total / (2 * n), rel=1e-12, abs=1e-12)


def test_nt_xent_has_the_right_gradient() -> None:
    codes = (normal(4, 6).requires_grad_(), normal(4, 6, seed=1).requires_grad_())
    assert torch.autograd.gradcheck(lambda a, b: nt_xent(a, b, 0.3), codes)


def test_nt_xent_equals_the_reference_vectors(shared: Path) -> None:
    golden = {name: torch.from_numpy(value).double() for name, value in np.load(shared / "golden/cibhash.npz").items()}
    codes1, codes2 = (straight_through_sign(torch.sigmoid(golden[name]) - 0.5) for name in ("logits1", "logits2"))
    torch.testing.assert_close(nt_xent(codes1, codes2, 0.3), golden["contrastive"], rtol=1e-5, atol=0)


@pytest.mark.parametrize(("n", "bits", "temperature"), [(1, 4, 0.3), (2, 8, 0.5), (7, 16, 0.1)])
def test_one_sided_contrast_by_loops(n: int, bits: int, temperature: float) -> None:
    codes1, codes2, total = normal(n, bits), normal(n, bits, seed=1), 0.0
    for anchor in range(n):
        shares = [math.exp(cosine(codes1[anchor], other) / temperature) for other in codes2]
        total -= math.log(shares[anchor] / sum(shares))
    assert float(one_sided_contrast(codes1, codes2, temperature)) == pytest.approx(total / n, rel=1e-12, abs=1e-12)


def test_one_sided_contrast_is_that_of_wch_without_its_weights() -> None:
    codes1, codes2 = torch.sign(normal(5, 8)), torch.sign(normal(5, 8, seed=1))
    expected = weighted_contrastive_loss(codes1, codes2, torch.eye(5).double(), 0.3, balance=0, quantisation=0)
    torch.testing.assert_close(one_sided_contrast(codes1, codes2, 0.3), expected)


@pytest.mark.parametrize("n", [2, 5, 7, 8])
def test_pairwise_cosine_error_by_loops(n: int) -> None:
    codes, features = normal(n, 6), normal(n, 9, seed=1)
    half = n // 2
    differences = [cosine(codes[i], codes[i + half]) - cosine(features[i], features[i + half]) for i in range(half)]
    expected = sum(difference**2 for difference in differences) / half
    assert float(pairwise_cosine_error(codes, features)) == pytest.approx(expected, rel=1e-10)


def test_pairwise_cosine_error_of_features_against_themselves_is_zero() -> None:
    features = F.normalize(normal(6, 5), dim=1)
    assert float(pairwise_cosine_error(3 * features, features)) == pytest.approx(0, abs=1e-24)
