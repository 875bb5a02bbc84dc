"""Every sorter: soft permutations that sort downwards, sharpen to the hard sort, and pass right gradients."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from hashbench.errors import HashbenchError
from hashbench.learning import sorting
from hashbench.learning.sorting import SORTERS, Sorter, diffsort, sinkhorn, softsort, sorter_named, torchsort

SIZES = [2, 5, 8, 13]


def spread_scores(batch: int, n: int, seed: int = 0) -> Tensor:
    """Scores in [0, 1] whose neighbours in order lie at least 0.5 / n apart, in random order."""
    generator = torch.Generator().manual_seed(seed)
    steps = 0.5 + 0.5 * torch.rand(batch, n, generator=generator, dtype=torch.float64)
    ladder = steps.cumsum(dim=1) / n
    order = torch.stack([torch.randperm(n, generator=generator) for _ in range(batch)])
    return ladder.gather(1, order)


@pytest.fixture(params=list(SORTERS))
def sorter(request: pytest.FixtureRequest) -> Sorter:
    return SORTERS[request.param]


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("tau", [1.0, 0.1, 0.01])
def test_rows_sum_to_one_and_no_entry_is_negative(sorter: Sorter, n: int, tau: float) -> None:
    permutation = sorter(spread_scores(3, n), tau)
    assert permutation.shape == (3, n, n)
    assert (permutation >= 0).all()
    torch.testing.assert_close(permutation.sum(dim=2), torch.ones(3, n, dtype=torch.float64))


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("tau", [0.1, 0.01])
def test_softly_sorted_scores_never_rise(sorter: Sorter, n: int, tau: float) -> None:
    if sorter is diffsort and tau > 0.01:
        pytest.skip("soft swaps of a whole network may leave neighbours out of order before they sharpen")
    scores = spread_scores(4, n)
    softly_sorted = (sorter(scores, tau) @ scores[:, :, None])[:, :, 0]
    assert (softly_sorted.diff(dim=1) <= 1e-9).all()


@pytest.mark.parametrize("n", SIZES)
def test_goes_to_the_hard_descending_sort_as_tau_goes_to_zero(sorter: Sorter, n: int) -> None:
    scores = spread_scores(4, n)
    hard = F.one_hot(scores.argsort(dim=1, descending=True), n).double()
    errors = [float((sorter(scores, tau) - hard).abs().max()) for tau in (1e-1, 1e-3, 1e-6)]
    assert errors[0] > errors[1] > errors[2] or errors[1] < 1e-12
    assert errors[2] < 1e-3


def test_gradients_are_right(sorter: Sorter) -> None:
    # torchsort's ranks move only where gaps are below tau: 0.3 leaves every sorter soft.
    scores = spread_scores(2, 5, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda values: sorter(values, 0.3), scores)
    cotangent = torch.rand(2, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    (gradient,) = torch.autograd.grad((sorter(scores, 0.3) * cotangent).sum(), scores)
    assert (gradient.abs().sum(dim=1) > 1e-3).all()


def test_the_order_of_the_entries_is_followed(sorter: Sorter) -> None:
    tau = 1e-5 if sorter is diffsort else 0.1  # soft swaps depend on where an entry enters the network
    scores, order = spread_scores(1, 6), torch.tensor([3, 1, 5, 0, 4, 2])
    reordered = sorter(scores[:, order], tau)
    torch.testing.assert_close(reordered, sorter(scores, tau)[:, :, order], rtol=1e-7, atol=1e-3)


def test_tied_entries_share_alike(sorter: Sorter) -> None:
    permutation = sorter(torch.tensor([[0.2, 0.8, 0.8, 0.5]], dtype=torch.float64), 1e-4)[0]
    torch.testing.assert_close(permutation[:, 1], permutation[:, 2], atol=1e-2, rtol=0)
    torch.testing.assert_close(permutation[2], torch.tensor([0, 0, 0, 1.0], dtype=torch.float64), atol=1e-2, rtol=0)


def test_float32_is_kept(sorter: Sorter) -> None:
    assert sorter(spread_scores(2, 4).float(), 0.1).dtype == torch.float32


def test_sinkhorn_columns_sum_to_one_too() -> None:
    columns = sinkhorn(spread_scores(3, 5), 0.3).sum(dim=1)
    torch.testing.assert_close(columns, torch.ones(3, 5, dtype=torch.float64), atol=1e-3, rtol=0)


@pytest.mark.parametrize("tau", [0.3, 2.0])
def test_a_soft_swap_of_two_is_that_of_the_cauchy_distribution(tau: float) -> None:
    scores = torch.tensor([[0.2, 0.9]], dtype=torch.float64)
    first_is_larger = 0.5 + math.atan((0.2 - 0.9) / tau) / math.pi
    expected = torch.tensor([[[first_is_larger, 1 - first_is_larger], [1 - first_is_larger, first_is_larger]]])
    torch.testing.assert_close(diffsort(scores, tau), expected.double(), atol=1e-6, rtol=0)


def test_torchsort_by_loops() -> None:
    soft_rank = pytest.importorskip("torchsort").soft_rank
    scores, tau, n = spread_scores(2, 4), 0.2, 4
    ranks = soft_rank(-scores, regularization_strength=tau)
    permutation = torchsort(scores, tau)
    for b in range(2):
        for r in range(n):
            near = [math.exp(-abs(r + 1 - float(ranks[b, c])) / (n * tau)) for c in range(n)]
            for c in range(n):
                assert math.isclose(permutation[b, r, c], near[c] / sum(near), rel_tol=1e-5)


def test_softsort_by_loops() -> None:
    scores = spread_scores(2, 5)
    permutation = softsort(scores, 0.2)
    for b in range(2):
        ordered = sorted(scores[b].tolist(), reverse=True)
        for r in range(5):
            row = np.exp([-abs(ordered[r] - s) / 0.2 for s in scores[b].tolist()])
            np.testing.assert_allclose(permutation[b, r].numpy(), row / row.sum(), rtol=1e-12)


def test_softsort_equals_the_reference_vectors(shared: Path) -> None:
    golden = {name: torch.from_numpy(value).double() for name, value in np.load(shared / "golden/softsort.npz").items()}
    scores = golden["scores"].requires_grad_()
    permutation = softsort(scores, float(golden["tau"]))
    torch.testing.assert_close(permutation, golden["permutation"], rtol=1e-5, atol=1e-7)
    (gradient,) = torch.autograd.grad(permutation, scores, golden["cotangent"])
    assert float((gradient - golden["grad_scores"]).norm() / golden["grad_scores"].norm()) < 1e-5


def test_an_unknown_sorter_is_refused_by_name() -> None:
    with pytest.raises(HashbenchError, match=r"unknown sorter 'quick'.*softsort, neuralsort"):
        sorter_named("quick")


@pytest.mark.parametrize("name", ["diffsort", "torchsort"])
def test_a_missing_package_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(module: str) -> None:
        raise ImportError(f"No module named '{module}'")

    sorting._bitonic_network.cache_clear()
    monkeypatch.setattr(sorting.importlib, "import_module", refuse)
    with pytest.raises(HashbenchError, match=f"package {name} cannot be imported"):
        SORTERS[name](spread_scores(1, 3), 0.1)
