"""Which methods cannot be told from the best, or from another: a paired bootstrap over seeds and queries, and Holm's
correction for their number.

A hierarchical bootstrap draws at every level at which the numbers could have come out otherwise: which queries were
asked, the same ones for all methods, and which repetitions of a method were run, for each method by itself (Davison and
Hinkley, "Bootstrap methods and their application", 1997, section 3.8). Holm's step-down procedure then keeps the chance
to call even one of the equals worse below the level ("A simple sequentially rejective multiple test procedure",
Scandinavian Journal of Statistics 6, 1979).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.seeding import numpy_generator
from hashbench.types import Array

RESAMPLES = 10_000
LEVEL = 0.05
_RESAMPLES_AT_A_TIME = 1000


def tied_with_best(ap: Mapping[str, Array], *, seed: int, level: float = LEVEL, resamples: int = RESAMPLES) -> set[str]:
    """The best method by mean AP, and all that are not worse by a test at `level`.

    `ap`: by method the AP of each repetition and query, (s, n_q), of any number of repetitions and the same queries in
    the same order. Raises HashbenchError where the queries differ in number or an AP is NaN.
    """
    observed, drawn = _means(ap, seed, resamples)
    best = _best(observed)
    return {best} | {name for name, p in holm(_p_values(observed, drawn, best)).items() if p >= level}


def compared_with(
    ap: Mapping[str, Array], reference: str, *, seed: int, resamples: int = RESAMPLES
) -> dict[str, float]:
    """The two-sided p-value, in (0, 1], of each other method's having the mean AP of `reference`, not yet corrected for
    their number.

    The share of resampled differences, shifted to mean 0, that lie at least as far from 0 as the one observed; one is
    added to both counts. The other arguments and errors of `tied_with_best`.
    """
    return _p_values(*_means(ap, seed, resamples), reference)


def rank_groups(
    ap: Mapping[str, Array], *, seed: int, level: float = LEVEL, resamples: int = RESAMPLES
) -> dict[str, int]:
    """The rank group of each method, from 1: those that tie with the best, then those that tie with the best of the
    others, and so on, each time by the test of `tied_with_best`, whose arguments and errors these are."""
    observed, drawn = _means(ap, seed, resamples)
    groups: dict[str, int] = {}
    while len(groups) < len(observed):
        left = {name: mean for name, mean in observed.items() if name not in groups}
        p_values = holm(_p_values(left, drawn, _best(left)))
        tied = [name for name in left if p_values.get(name, 1.0) >= level]
        groups |= dict.fromkeys(tied, max(groups.values(), default=0) + 1)
    return groups


def _means(ap: Mapping[str, Array], seed: int, resamples: int) -> tuple[dict[str, float], dict[str, Array]]:
    """The mean AP of each method, as observed and as resampled."""
    values = {name: _checked(name, array) for name, array in ap.items()}
    if len({array.shape[1] for array in values.values()}) > 1:
        raise HashbenchError("methods can only be compared on the same queries, in the same order")
    observed = {name: float(array.mean()) for name, array in values.items()}
    given = tuple((name, len(values[name]), values[name].tobytes()) for name in sorted(values))
    return observed, _kept_means(given, seed, resamples)


@lru_cache(maxsize=32)  # the tie, the rank groups and the comparisons of a column are read off the same draws
def _kept_means(given: tuple[tuple[str, int, bytes], ...], seed: int, resamples: int) -> dict[str, Array]:
    ap = {name: np.frombuffer(values).reshape(repetitions, -1) for name, repetitions, values in given}
    return resampled_means(ap, seed=seed, resamples=resamples)


def _best(observed: Mapping[str, float]) -> str:
    return max(observed, key=lambda name: observed[name])


def _p_values(observed: Mapping[str, float], drawn: Mapping[str, Array], reference: str) -> dict[str, float]:
    """As `compared_with`, of the methods of `observed`."""
    found = {}
    for name in sorted(observed.keys() - {reference}):
        difference = observed[reference] - observed[name]
        # The slack of rounding keeps equal differences equal.
        as_far = np.abs(drawn[reference] - drawn[name] - difference) >= abs(difference) - 1e-12
        found[name] = (1 + int(np.count_nonzero(as_far))) / (1 + len(as_far))
    return found


def resampled_means(ap: Mapping[str, Array], *, seed: int, resamples: int) -> dict[str, Array]:
    """The mean AP of each method, float64 (resamples,), over drawn queries, shared by all, and drawn repetitions."""
    generator, means = numpy_generator(seed), {name: np.empty(resamples) for name in ap}
    n_queries = next(iter(ap.values())).shape[1]
    for start in range(0, resamples, _RESAMPLES_AT_A_TIME):
        size = min(_RESAMPLES_AT_A_TIME, resamples - start)
        queries = _times_drawn(generator, size, n_queries)
        for name in sorted(ap):  # so that the draws do not depend on the order in which methods are given
            by_repetition = queries @ ap[name].T
            repetitions = _times_drawn(generator, size, len(ap[name]))
            means[name][start : start + size] = (by_repetition * repetitions).sum(axis=1)
    return means


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's adjusted p-values: rejecting all below a level keeps the family-wise error at it."""
    adjusted, highest = {}, 0.0
    for place, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[name]))
        adjusted[name] = highest
    return adjusted


def _times_drawn(generator: np.random.Generator, size: int, n: int) -> Array:
    """How often each of n was drawn in n draws with replacement, as shares: float64 (size, n), rows add up to 1."""
    return generator.multinomial(n, np.full(n, 1 / n), size=size) / n


def _checked(name: str, ap: Array) -> Array:
    values = np.asarray(ap, np.float64)
    if values.ndim != 2 or 0 in values.shape or np.isnan(values).any():
        raise HashbenchError(f"the AP of {name} must be numbers by repetition and query, got {values.shape}")
    return values
