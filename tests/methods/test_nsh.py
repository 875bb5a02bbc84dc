"""NSH: its pieces against explicit loops, and a hash head that learns through the sorter."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from hashbench.errors import HashbenchError
from hashbench.learning.binarize import straight_through_sign
from hashbench.learning.session import Session
from hashbench.learning.sorting import SORTERS, softsort
from hashbench.methods.nsh import NSH, code_similarities, sorted_nce, sorted_similarities
from hashbench.types import TrainView


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_code_similarity_is_one_minus_the_share_of_different_bits() -> None:
    codes1, codes2 = torch.sign(normal(3, 10)), torch.sign(normal(4, 10, seed=1))
    similarity = code_similarities(codes1, codes2)
    for i in range(3):
        for j in range(4):
            assert float(similarity[i, j]) == pytest.approx(1 - float((codes1[i] != codes2[j]).sum()) / 10)


def naive_sorted_similarities(permutations: Tensor, latents1: Tensor, latents2: Tensor) -> Tensor:
    """By the definition: form the n x n x d sorted latents, then their cosines."""
    latents = torch.einsum("irc,cd->ird", permutations, latents1)
    return F.cosine_similarity(latents, latents2[:, None, :].expand_as(latents), dim=2)


@pytest.mark.parametrize(("n", "d"), [(2, 3), (5, 4), (7, 30)])
def test_the_gram_matrices_give_the_naive_similarities_and_gradients(n: int, d: int) -> None:
    scores = torch.rand(n, n, generator=torch.Generator().manual_seed(2), dtype=torch.float64).requires_grad_()
    raw = [normal(n, d, seed=seed).requires_grad_() for seed in (3, 4)]
    cotangent = normal(n, n, seed=5)
    results = []
    for similarities in (sorted_similarities, naive_sorted_similarities):
        latents1, latents2 = (F.normalize(latents, dim=1) for latents in raw)
        found = similarities(softsort(scores, 0.1), latents1, latents2)
        results.append((found, *torch.autograd.grad((found * cotangent).sum(), [scores, *raw])))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)


def test_latents_that_cancel_out_have_a_similarity_of_zero_and_finite_gradients() -> None:
    latents = torch.tensor([[1.0, 0], [-1, 0]], dtype=torch.float64).requires_grad_()
    half = torch.full((2, 2, 2), 0.5, dtype=torch.float64).requires_grad_()
    similarities = sorted_similarities(half, latents, latents)
    torch.testing.assert_close(similarities, torch.zeros(2, 2, dtype=torch.float64))
    assert all(torch.isfinite(gradient).all() for gradient in torch.autograd.grad(similarities.sum(), [half, latents]))


@pytest.mark.parametrize(("n", "m"), [(2, 1), (5, 1), (5, 2), (6, 5)])
@pytest.mark.parametrize("temperature", [0.3, 0.05])
def test_sorted_nce_by_loops(n: int, m: int, temperature: float) -> None:
    similarities, total = torch.tanh(normal(n, n)), 0.0
    for i in range(n):
        others = sum(math.exp(float(similarities[i, t]) / temperature) for t in range(m, n))
        for r in range(m):
            own = math.exp(float(similarities[i, r]) / temperature)
            total -= math.log(own / (own + others))
    assert float(sorted_nce(similarities, m, temperature)) == pytest.approx(total / (n * m), rel=1e-10)


def test_sorted_nce_takes_one_softmax() -> None:
    """With positives at +1 and the rest at -1 a loss of two softmaxes could not fall below log(e + 4) - 1 = 0.9."""
    similarities = torch.tensor([1.0, -1, -1, -1, -1]).expand(5, 5)
    assert float(sorted_nce(similarities, 1, 0.1)) < 1e-7


def test_sorted_nce_has_the_right_gradient() -> None:
    assert torch.autograd.gradcheck(lambda q: sorted_nce(q, 2, 0.3), normal(5, 5).requires_grad_())


@pytest.mark.parametrize("m", [0, 5, 6])
def test_an_m_that_leaves_no_positive_or_no_negative_is_refused(m: int) -> None:
    with pytest.raises(HashbenchError, match=r"m must lie in 1\.\.4.*got"):
        sorted_nce(torch.zeros(5, 5), m, 0.3)


@pytest.mark.parametrize("sorter", SORTERS)
def test_the_codes_receive_gradient_through_every_sorter(sorter: str) -> None:
    outputs = [normal(8, 6, seed=seed).requires_grad_() for seed in (0, 1)]
    latents = [F.normalize(normal(8, 5, seed=seed), dim=1) for seed in (2, 3)]
    similarities = code_similarities(*(straight_through_sign(torch.tanh(output)) for output in outputs))
    permutations = SORTERS[sorter](similarities, 0.5)
    sorted_nce(sorted_similarities(permutations, *latents), 2, 0.3).backward()
    for output in outputs:
        assert float(output.grad.abs().max()) > 1e-6


HYPERPARAMETERS = {
    "sorter": "softsort",
    "sorter_temperature": 2.0,
    "m": 2,
    "temperature": 0.3,
    "latent": 16,
    "hidden": 32,
    "quantisation": 0.1,
    "learning_rate": 3e-3,
    "batch_size": 20,
    "epochs": 20,
}


def test_it_learns_and_moves_the_hash_head() -> None:
    rng = np.random.default_rng(0)
    pooled = (np.repeat(rng.normal(size=(4, 12)), 15, axis=0) + 0.3 * rng.normal(size=(60, 12))).astype(np.float32)
    views = (pooled + 0.3 * rng.normal(size=(3, 60, 12))).astype(np.float32)
    train = TrainView(np.arange(60), pooled=pooled, views=views)
    method, untrained = NSH(**HYPERPARAMETERS), NSH(**{**HYPERPARAMETERS, "epochs": 0})
    log = method.fit(train, 8, seed=1, session=Session())
    untrained.fit(train, 8, seed=1, session=Session())
    assert log.curves["sorted_nce"][-1] < log.curves["sorted_nce"][0]
    for name in ("1.weight", "3.weight"):
        assert not np.allclose(method.state_dict()[name], untrained.state_dict()[name])


def test_an_unknown_sorter_is_refused() -> None:
    with pytest.raises(HashbenchError, match="unknown sorter 'bubble'"):
        NSH(**{**HYPERPARAMETERS, "sorter": "bubble"})
