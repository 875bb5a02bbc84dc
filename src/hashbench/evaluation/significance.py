"""Is a difference in mAP more than the luck of the queries? Bootstrap over queries, from stored per-query AP.

Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 13 (percentile interval) and 16 (tests).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.seeding import numpy_generator
from hashbench.types import Array

_DRAWS_AT_A_TIME = 1 << 20


@dataclass(frozen=True)
class PairedComparison:
    """How much better method a is than method b on the same queries.

    `difference`: mAP of a minus mAP of b; `low`, `high`: its confidence interval; `p_value`: two-sided, of no
    difference, in (0, 1].
    """

    difference: float
    low: float
    high: float
    p_value: float


def bootstrap_interval(
    ap: Array, *, seed: int, confidence: float = 0.95, resamples: int = 10_000
) -> tuple[float, float]:
    """Percentile confidence interval of the mean of `ap` (n_q,) over resampled queries.

    NaN (a query without anything relevant) is left out; put 0 there first where such queries count 0. The same seed
    gives the same interval. Raises HashbenchError on a `confidence` outside (0, 1) or a `resamples` below 1.
    """
    values = np.asarray(ap, np.float64)
    low, high = _interval(_resampled_means(values[~np.isnan(values)], seed, resamples), confidence)
    return low, high


def paired_bootstrap(
    ap_a: Array, ap_b: Array, *, seed: int, confidence: float = 0.95, resamples: int = 10_000
) -> PairedComparison:
    """Compare two methods by their AP (n_q,) on the same queries in the same order, resampling queries.

    The p-value is the share of resamples of the differences, shifted to mean 0, whose mean lies at least as far from 0
    as the difference observed; one is added to both counts, so that it is never 0. A query that is NaN in both is left
    out. Raises HashbenchError where the shapes differ or a query is NaN in one of the two.
    """
    a, b = np.asarray(ap_a, np.float64), np.asarray(ap_b, np.float64)
    if a.shape != b.shape or (np.isnan(a) != np.isnan(b)).any():
        raise HashbenchError("a paired comparison needs the AP of both methods on the same queries, in the same order")
    differences = (a - b)[~np.isnan(a)]
    means = _resampled_means(differences, seed, resamples)
    observed = float(differences.mean())
    low, high = _interval(means, confidence)
    # The slack of rounding keeps equal differences equal.
    as_far = np.abs(means - observed) >= abs(observed) - 1e-12
    return PairedComparison(observed, low, high, (1 + int(np.count_nonzero(as_far))) / (1 + resamples))


def _resampled_means(values: Array, seed: int, resamples: int) -> Array:
    if values.ndim != 1 or len(values) == 0:
        raise HashbenchError(f"AP must be a vector with at least one query that is not NaN, got {values.shape}")
    if resamples < 1:
        raise HashbenchError(f"resamples must be at least 1, got {resamples}")
    generator, means = numpy_generator(seed), np.empty(resamples)
    rows = max(1, _DRAWS_AT_A_TIME // len(values))
    for start in range(0, resamples, rows):
        part = means[start : start + rows]
        part[:] = values[generator.integers(len(values), size=(len(part), len(values)))].mean(axis=1)
    return means


def _interval(means: Array, confidence: float) -> tuple[float, float]:
    if not 0 < confidence < 1:
        raise HashbenchError(f"confidence must lie between 0 and 1, such as 0.95, got {confidence}")
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
