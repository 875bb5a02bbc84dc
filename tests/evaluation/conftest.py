"""Metrics by brute force: every order inside ties is written out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pytest


def orders(distance: np.ndarray) -> Iterator[tuple[int, ...]]:
    """Every ranking of the items that sorts by distance."""
    ties = [np.flatnonzero(distance == value) for value in np.unique(distance)]
    for arrangement in itertools.product(*(itertools.permutations(tie) for tie in ties)):
        yield tuple(itertools.chain(*arrangement))


def average_precision(ranked: np.ndarray, k: int, denominator: str) -> float:
    """AP@k of one ranking, straight from the definition: `ranked` says of each rank whether it is relevant."""
    if not ranked.any():
        return float("nan")
    total = sum(ranked[: r + 1].mean() for r in range(min(k, len(ranked))) if ranked[r])
    most = {
        "relevant_in_top_k": ranked[:k].sum(),
        "min_k_relevant": min(k, ranked.sum()),
        "relevant": ranked.sum(),
    }[denominator]
    return float(total / most) if most else 0.0


def ndcg(ranked: np.ndarray, k: int) -> float:
    """NDCG@k of one ranking with gain 1 for a relevant item."""
    if not ranked.any():
        return float("nan")
    discount = 1 / np.log2(np.arange(2, len(ranked) + 2))
    ideal = np.sort(ranked)[::-1]
    return float((ranked * discount)[:k].sum() / (ideal * discount)[:k].sum())


class BruteForce:
    """All rankings of one query, bool (orders, n_db): the reference that the engine is compared with."""

    def __init__(self, distance: np.ndarray, relevant: np.ndarray) -> None:
        self.distance, self.relevant = distance, relevant
        self.rankings = np.array([relevant[list(order)] for order in orders(distance)])

    def expected(self, metric: Callable[..., float], *arguments: object) -> float:
        """Mean of a metric of one ranking over all of them."""
        return float(np.mean([metric(ranked, *arguments) for ranked in self.rankings]))

    def ap(self, k: int, denominator: str) -> float:
        """Expected AP@k."""
        return self.expected(average_precision, k, denominator)

    def ap_relevant(self, place: str, k: int, denominator: str) -> float:
        """AP@k of the ranking with relevant items 'first' or 'last' inside each tie."""
        key = ~self.relevant if place == "first" else self.relevant
        return average_precision(self.relevant[np.lexsort((key, self.distance))], k, denominator)

    def ndcg(self, k: int) -> float:
        """Expected NDCG@k."""
        return self.expected(ndcg, k)

    def found(self, rank: int) -> float:
        """Expected number of relevant items among the first `rank`."""
        return self.expected(lambda ranked: ranked[:rank].sum())


@pytest.fixture(scope="session")
def brute_force() -> type[BruteForce]:
    """`brute_force(distance, relevant)` of one query."""
    return BruteForce


@pytest.fixture(scope="session")
def plain_average_precision() -> Callable[[np.ndarray, int, str], float]:
    """AP@k of one ranking, straight from the definition."""
    return average_precision
