"""Which of two methods is better on the same queries, by how much, on which classes and queries, and is it luck?

Each method has one AP a query and repetition. Where a method has several repetitions (seeds), both the queries and the
repetitions are resampled: queries together for both methods, repetitions apart, for those of two methods have nothing
in common. With one repetition each this is `paired_bootstrap`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.evaluation.significance import PairedComparison
from hashbench.seeding import numpy_generator, run_seed
from hashbench.types import Array

_DRAWS_AT_A_TIME = 1 << 20
_EQUAL = 1e-12  # APs that differ by less are rounding


@dataclass(frozen=True)
class Contestant:
    """A method: its name, and the AP of each repetition and query, float64 (s, n_q) without NaN."""

    name: str
    ap: Array

    @property
    def map(self) -> float:
        """mAP, the mean over repetitions and queries."""
        return float(self.ap.mean())


@dataclass(frozen=True)
class ClassDifference:
    """The mAP of both methods over the `n_queries` queries that show one class."""

    name: str
    n_queries: int
    map_a: float
    map_b: float

    @property
    def difference(self) -> float:
        """mAP of a minus mAP of b."""
        return self.map_a - self.map_b


@dataclass(frozen=True)
class Comparison:
    """Methods a and b on the same queries.

    `test` compares their mAP; `holm` is its p-value corrected for the number of pairs compared (Holm, Scandinavian
    Journal of Statistics, 1979). `classes`, the largest difference first. `a_better`, `b_better`: on how many queries;
    `flips`: the queries on which the method with the lower mAP is the better one, from 0, the largest difference first.
    """

    a: Contestant
    b: Contestant
    test: PairedComparison
    holm: float
    classes: tuple[ClassDifference, ...]
    a_better: int
    b_better: int
    flips: tuple[int, ...]


def compare(
    contestants: Sequence[Contestant], labels: Array, class_names: Sequence[str], *, seed: int, resamples: int = 10_000
) -> list[Comparison]:
    """Every pair of methods, in order; `labels` bool (n_q, c) of the queries. The same seed gives the same numbers.

    Raises HashbenchError where the methods have other queries than each other or than `labels`.
    """
    if any(each.ap.shape[1] != len(labels) for each in contestants):
        raise HashbenchError(f"a comparison needs an AP for each of the {len(labels)} queries from every method")
    pairs = list(combinations(contestants, 2))
    tests = [crossed_bootstrap(a.ap, b.ap, seed=seed, resamples=resamples) for a, b in pairs]
    corrected = holm([test.p_value for test in tests])
    return [
        _compared(a, b, test, p_value, labels, class_names)
        for (a, b), test, p_value in zip(pairs, tests, corrected, strict=True)
    ]


def _compared(
    a: Contestant, b: Contestant, test: PairedComparison, p_value: float, labels: Array, class_names: Sequence[str]
) -> Comparison:
    ap_a, ap_b = a.ap.mean(axis=0), b.ap.mean(axis=0)
    better = ap_a - ap_b
    against = -np.sign(test.difference) * better if abs(test.difference) > _EQUAL else np.zeros_like(better)
    flips = [int(query) for query in np.argsort(-against, kind="stable") if against[query] > _EQUAL]
    classes = [
        ClassDifference(name, int(shown.sum()), float(ap_a[shown].mean()), float(ap_b[shown].mean()))
        for name, shown in zip(class_names, labels.T, strict=True)
        if shown.any()
    ]
    return Comparison(
        a,
        b,
        test,
        p_value,
        tuple(sorted(classes, key=lambda each: -abs(each.difference))),
        int((better > _EQUAL).sum()),
        int((better < -_EQUAL).sum()),
        tuple(flips),
    )


def crossed_bootstrap(
    ap_a: Array, ap_b: Array, *, seed: int, confidence: float = 0.95, resamples: int = 10_000
) -> PairedComparison:
    """Compare two methods by their AP (s_a, n_q) and (s_b, n_q): repetitions and the same queries in the same order.

    Interval and p-value are those of `paired_bootstrap`, over resamples that draw queries, common to both methods, and
    repetitions of each. With few repetitions the spread over seeds is underestimated, by (s - 1) / s.
    """
    query_draws, seed_draws = numpy_generator(seed), numpy_generator(run_seed(seed, "repetitions"))
    n, means = ap_a.shape[1], np.empty(resamples)
    rows = max(1, _DRAWS_AT_A_TIME // n)
    for start in range(0, resamples, rows):
        part = means[start : start + rows]
        queries = query_draws.integers(n, size=(len(part), n))
        part[:] = _resampled(ap_a, queries, seed_draws) - _resampled(ap_b, queries, seed_draws)
    observed = float(ap_a.mean() - ap_b.mean())
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    as_far = np.abs(means - observed) >= abs(observed) - _EQUAL
    return PairedComparison(observed, float(low), float(high), (1 + int(as_far.sum())) / (1 + resamples))


def _resampled(ap: Array, queries: Array, generator: np.random.Generator) -> Array:
    """The mean of `ap` (s, n_q) over each row of `queries` (m, n_q) and as many drawn repetitions, float64 (m,)."""
    by_repetition = np.stack([each[queries].mean(axis=1) for each in ap])
    drawn = generator.integers(len(ap), size=(len(ap), len(queries)))
    mean: Array = np.take_along_axis(by_repetition, drawn, axis=0).mean(axis=0)
    return mean


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number by Holm's step-down rule, in their own order."""
    corrected, highest = [0.0] * len(p_values), 0.0
    for place, number in enumerate(sorted(range(len(p_values)), key=lambda each: p_values[each])):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[number]))
        corrected[number] = highest
    return corrected
