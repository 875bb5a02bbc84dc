"""Differentiable sorting: from scores to soft permutation matrices, in descending order.

Every sorter maps `scores` (B, n) and a temperature `tau` > 0 to P (B, n, n): P[b, r, c] says how far entry c of row b
is its r-th largest score. Rows of P sum to 1, P @ scores is the softly sorted row, and as tau goes to 0 (scores without
ties) P goes to the permutation matrix of the descending sort. tau is in units of the scores.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from hashbench.errors import HashbenchError

Sorter = Callable[[Tensor, float], Tensor]

_SINKHORN_STEPS = 20


def softsort(scores: Tensor, tau: float) -> Tensor:
    """SoftSort (Prillo & Eisenschlos, ICML 2020, eq. 3) with the absolute difference.

    P[b, r, c] = softmax over c of -|s_[r] - s_c| / tau, where s_[r] is the r-th largest score.
    """
    return torch.softmax(_distance_to_sorted(scores) / -tau, dim=2)


def neuralsort(scores: Tensor, tau: float) -> Tensor:
    """NeuralSort (Grover et al., ICLR 2019, eq. 5).

    P[b, r, c] = softmax over c of ((n + 1 - 2 r) s_c - sum_k |s_c - s_k|) / tau, r = 1..n.
    """
    n = scores.shape[1]
    slopes = n + 1 - 2 * torch.arange(1, n + 1, dtype=scores.dtype, device=scores.device)
    spread = (scores[:, :, None] - scores[:, None, :]).abs().sum(dim=2)
    return torch.softmax((slopes[None, :, None] * scores[:, None, :] - spread[:, None, :]) / tau, dim=2)


def sinkhorn(scores: Tensor, tau: float) -> Tensor:
    """Entropic optimal transport from the scores to their sorted copy (after Cuturi, Teboul & Vert, NeurIPS 2019).

    The kernel exp(-|s_[r] - s_c| / tau) is made doubly stochastic by 20 Sinkhorn steps in the log domain. The last
    step normalises rows, so these sum to 1 exactly and columns nearly.
    """
    log_plan = _distance_to_sorted(scores) / -tau
    for _ in range(_SINKHORN_STEPS):
        log_plan = torch.log_softmax(log_plan, dim=1)
        log_plan = torch.log_softmax(log_plan, dim=2)
    return log_plan.exp()


def diffsort(scores: Tensor, tau: float) -> Tensor:
    """Bitonic sorting network with soft swaps (Petersen et al., ICLR 2022), by the package `diffsort`.

    Steepness 1 / tau, Cauchy distribution. The package sorts upwards and returns columns; P is its transpose upside
    down. Unlike the other sorters, a soft network depends on the places at which entries enter it, and its softly
    sorted scores are in order only once tau is small against their gaps.
    """
    network = _bitonic_network(scores.shape[1], scores.device)
    _, ascending = _package("diffsort").sort(network, scores, 1 / tau, distribution="cauchy")
    return ascending.transpose(1, 2).flip(1)


def torchsort(scores: Tensor, tau: float) -> Tensor:
    """Soft ranks (Blondel et al., ICML 2020, quadratic regularisation tau) by the package `torchsort`, made soft rows.

    With rank_c in [1, n] the soft descending rank of entry c, P[b, r, c] = softmax over c of -|r - rank_c| / (n tau):
    n ranks span about the range of the scores, so that tau weighs alike in both steps. Soft ranks, and so P, have no
    gradient where all gaps between scores exceed tau. Runs on the CPU where the package was built without CUDA.
    """
    n = scores.shape[1]
    ranks = _soft_ranks(-scores, tau)
    places = torch.arange(1, n + 1, dtype=scores.dtype, device=scores.device)
    rows: Tensor = torch.softmax((places[None, :, None] - ranks[:, None, :]).abs() / (-n * tau), dim=2)
    return rows


SORTERS: dict[str, Sorter] = {
    sorter.__name__: sorter for sorter in (softsort, neuralsort, sinkhorn, diffsort, torchsort)
}


def sorter_named(name: str) -> Sorter:
    """The sorter called `name`. Raises HashbenchError that lists the known ones."""
    if name not in SORTERS:
        raise HashbenchError(f"unknown sorter '{name}' (allowed: {', '.join(SORTERS)})")
    return SORTERS[name]


def _distance_to_sorted(scores: Tensor) -> Tensor:
    """|s_[r] - s_c|: (B, n, n)."""
    ordered = scores.sort(dim=1, descending=True).values
    return (ordered[:, :, None] - scores[:, None, :]).abs()


@lru_cache(maxsize=4)
def _bitonic_network(n: int, device: torch.device) -> Any:
    return _package("diffsort.networks").get_sorting_network("bitonic", n, device)


def _soft_ranks(values: Tensor, strength: float) -> Tensor:
    package = _package("torchsort")
    needs_cpu = values.is_cuda and importlib.util.find_spec("torchsort.isotonic_cuda") is None
    ranks: Tensor = package.soft_rank(values.cpu() if needs_cpu else values, regularization_strength=strength)
    return ranks.to(values.device)


def _package(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        root = name.partition(".")[0]
        raise HashbenchError(
            f"sorter {root}: the package {root} cannot be imported ({error}); install it with `uv sync`, or choose "
            "softsort, neuralsort or sinkhorn"
        ) from error
