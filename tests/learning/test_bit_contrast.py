"""The contrast of bits, the pairs and their sum, against loops, by hand and against the authors' code."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hashbench.learning.bit_contrast import bit_contrast, hashsim_terms, pair_loss, target_similarities
from hashbench.learning.losses import hashsim_loss, nt_xent
from hashbench.types import Array


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def outputs(n: int, k: int, seed: int = 0) -> Tensor:
    return torch.tanh(normal(n, k, seed=seed))


def orthogonal(k: int, seed: int = 0) -> Tensor:
    return torch.linalg.qr(normal(k, k, seed=seed))[0]


def bit_contrast_by_loops(v1: Array, v2: Array, temperature: float) -> float:
    columns = [column / np.linalg.norm(column) for column in (*v1.T, *v2.T)]
    n, total = len(columns), 0.0
    for anchor in range(n):
        shares = [math.exp(columns[anchor] @ columns[other] / temperature) for other in range(n)]
        total -= math.log(shares[(anchor + n // 2) % n] / (sum(shares) - shares[anchor]))
    return total / n


def pairs_by_loops(v: Array, features: Array) -> float:
    n, k = v.shape
    total = 0.0
    for i in range(n):
        for j in range(n):
            cosine = features[i] @ features[j] / np.linalg.norm(features[i]) / np.linalg.norm(features[j])
            total += (v[i] @ v[j] / k - (2 * cosine - 1)) ** 2
    return total / n**2


@pytest.mark.parametrize(("n", "k", "temperature"), [(1, 2, 1.0), (5, 3, 1.0), (4, 16, 0.3), (24, 8, 2.0)])
def test_the_objective_by_loops(n: int, k: int, temperature: float) -> None:
    v, features = [outputs(n, k, seed) for seed in (1, 2)], [normal(n, 6, seed=seed) for seed in (3, 4)]
    similarities = [target_similarities(rows) for rows in features]
    expected = [
        bit_contrast_by_loops(v[0].numpy(), v[1].numpy(), temperature),
        *(pairs_by_loops(rows.numpy(), of.numpy()) for rows, of in zip(v, features, strict=True)),
    ]
    terms = hashsim_terms(*v, *similarities, temperature)
    assert [float(term) for term in terms.values()] == pytest.approx(expected, rel=1e-9)
    assert float(hashsim_loss(*v, *similarities, temperature)) == pytest.approx(sum(expected), rel=1e-9)


def test_the_worked_example() -> None:
    v1 = torch.tensor([[0.5, -0.5], [0.8, 0.2], [-0.6, 0.9]], dtype=torch.float64, requires_grad=True)
    v2 = torch.tensor([[0.4, -0.7], [0.9, -0.1], [-0.2, 0.6]], dtype=torch.float64, requires_grad=True)
    similarity1 = target_similarities(torch.tensor([[1.0, 0], [1, 1], [-1, 1]], dtype=torch.float64))
    similarity2 = target_similarities(torch.tensor([[2.0, 1], [1, 1], [0, 1]], dtype=torch.float64))
    above = np.triu_indices(3, 1)
    np.testing.assert_allclose(similarity1[above], [0.414213562, -2.414213562, -1], atol=1e-9)
    np.testing.assert_allclose(similarity2[above], [0.897366596, -0.105572809, 0.414213562], atol=1e-9)
    terms = hashsim_terms(v1, v2, similarity1, similarity2, 1.0)
    expected_terms = [0.402297480, 1.230191835, 0.331940003]
    assert [term.item() for term in terms.values()] == pytest.approx(expected_terms, abs=1e-9)
    loss = hashsim_loss(v1, v2, similarity1, similarity2, 1.0)
    assert loss.item() == pytest.approx(1.964429319, abs=1e-9)
    expected = (
        [[-0.440949532, 0.577158985], [-0.227822967, 0.369980204], [0.443666614, -0.261944188]],
        [[-0.288467103, 0.056181484], [-0.069638019, 0.113436193], [0.102782172, -0.113606998]],
    )
    for gradient, values in zip(torch.autograd.grad(loss, [v1, v2]), expected, strict=True):
        np.testing.assert_allclose(gradient, values, atol=1e-9)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_it_equals_the_published_code(shared: Path, dtype: torch.dtype, tolerance: float) -> None:
    arrays = np.load(shared / "golden/newer_hashsim.npz")
    golden = {name: torch.from_numpy(value) for name, value in arrays.items()}
    batch = golden.pop("index").long()
    golden = {name: value.to(dtype) for name, value in golden.items()}
    similarities = [target_similarities(golden[name]) for name in ("features1", "features2")]
    for found, name in zip(similarities, ("similarity1", "similarity2"), strict=True):
        torch.testing.assert_close(found, golden[name], rtol=tolerance, atol=tolerance)
    of_batch = [similarity[batch][:, batch] for similarity in similarities]
    v = [golden[name].requires_grad_() for name in ("v1", "v2")]
    terms = hashsim_terms(*v, *of_batch, float(golden["temperature"]))
    for term, name in zip(terms.values(), ("bit_contrast", "pair1", "pair2"), strict=True):
        torch.testing.assert_close(term.detach(), golden[name], rtol=tolerance, atol=0)
    loss = hashsim_loss(*v, *of_batch, float(golden["temperature"]))
    torch.testing.assert_close(loss.detach(), golden["loss"], rtol=tolerance, atol=0)
    for gradient, name in zip(torch.autograd.grad(loss, v), ("grad_v1", "grad_v2"), strict=True):
        assert float((gradient - golden[name]).norm() / golden[name].norm()) < tolerance


@given(st.integers(2, 10), st.integers(2, 8), st.integers(0, 10**6))
def test_the_bit_contrast_compares_the_directions_of_bits(n: int, k: int, seed: int) -> None:
    v1, v2 = outputs(n, k, seed), outputs(n, k, seed + 1)
    contrast = float(bit_contrast(v1, v2, 1.0))
    assert float(nt_xent(v1.T, v2.T, 1.0)) == contrast
    generator = torch.Generator().manual_seed(seed)
    images, bits = torch.randperm(n, generator=generator), torch.randperm(k, generator=generator)
    for changed in (
        (v1 * torch.rand(k, generator=generator).double().add(0.1), v2),
        (v1[images], v2[images]),
        (v1[:, bits], v2[:, bits]),
    ):
        assert float(bit_contrast(*changed, 1.0)) == pytest.approx(contrast, rel=1e-9)


def test_a_bit_that_flips_in_one_view_only_is_another_bit() -> None:
    v = outputs(12, 6)
    flipped = v * torch.tensor([-1.0, 1, 1, 1, 1, 1], dtype=torch.float64)
    assert float(bit_contrast(v, flipped, 1.0)) > float(bit_contrast(v, v, 1.0)) + 0.1


@pytest.mark.parametrize(
    ("k", "equal", "independent"), [(16, 3.434, 2.487934), (32, 4.143, 3.170044), (64, 4.844, 3.857626)]
)
def test_equal_and_independent_bits(k: int, equal: float, independent: float) -> None:
    same = outputs(80, 1).expand(80, k)
    assert float(bit_contrast(same, same * 0.5, 1.0)) == pytest.approx(math.log(2 * k - 1))
    assert math.log(2 * k - 1) == pytest.approx(equal, abs=5e-4)
    apart = torch.linalg.qr(normal(80, k))[0]
    assert float(bit_contrast(apart, apart * 3, 1.0)) == pytest.approx(independent, abs=5e-7)
    assert math.log(1 + (2 * k - 2) / math.e) == pytest.approx(independent, abs=5e-7)


def test_more_bits_than_images_cannot_be_independent() -> None:
    columns = torch.nn.functional.normalize(outputs(24, 64), dim=0)
    cosines = (columns.T @ columns)[~torch.eye(64, dtype=torch.bool)]
    assert float(cosines.square().mean()) >= (64 / 24 - 1) / 63
    assert float(bit_contrast(columns, columns, 1.0)) > math.log(1 + 126 / math.e)


@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 10**6))
def test_pairs_vanish_at_their_target_alone_and_under_no_rotation_change(n: int, k: int, seed: int) -> None:
    v = outputs(n, k, seed)
    reached = v @ v.T / k
    assert float(pair_loss(v, reached)) == pytest.approx(0, abs=1e-20)
    assert float(pair_loss(v, reached + 0.1)) == pytest.approx(0.01, rel=1e-9)
    other = target_similarities(normal(n, 5, seed=seed))
    assert float(pair_loss(v @ orthogonal(k, seed), other)) == pytest.approx(float(pair_loss(v, other)), rel=1e-9)


@given(st.integers(1, 10), st.integers(1, 6), st.integers(0, 10**6))
def test_targets_are_symmetric_and_bounded(n: int, d: int, seed: int) -> None:
    features = normal(n, d, seed=seed)
    similarities = target_similarities(features)
    torch.testing.assert_close(similarities, similarities.T)
    torch.testing.assert_close(similarities.diagonal(), torch.ones(n, dtype=torch.float64))
    assert float(similarities.min()) >= -3 - 1e-12
    assert float(similarities.max()) <= 1 + 1e-12
    scales = normal(n, 1, seed=seed + 1).abs() + 0.1
    torch.testing.assert_close(target_similarities(features * scales), similarities)


def test_views_may_be_exchanged_with_their_targets() -> None:
    v, similarities = (
        [outputs(7, 4, seed) for seed in (1, 2)],
        [target_similarities(normal(7, 3, seed=s)) for s in (3, 4)],
    )
    one_way = float(hashsim_loss(*v, *similarities, 0.7))
    assert float(hashsim_loss(*reversed(v), *reversed(similarities), 0.7)) == pytest.approx(one_way, rel=1e-12)
    assert float(hashsim_loss(*v, *reversed(similarities), 0.7)) != pytest.approx(one_way, rel=1e-3)
