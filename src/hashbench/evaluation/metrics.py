"""Every ranking metric, computed from counts alone.

A ranking by Hamming distance is a sequence of ties: bin i holds `total[i]` items, `relevant[i]` of them relevant, in
no order of their own. Here a metric's value is its exact expectation over all orders inside the ties (McSherry and
Najork, "Computing information retrieval performance measures efficiently in the presence of tied scores", ECIR 2008;
He, Cakir, Bargal and Sclaroff, "Hashing as tie-aware learning to rank", CVPR 2018). A ranking without ties is the case
of bins of one item. `relevant` and `total` are int64 (n_q, bins) throughout, nearest bin first.

In the code below `seen` items were ranked before a tie, `found` of them relevant; the tie holds `items`, `hits` of
them relevant, and its first `inside` places lie inside the cut-off.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from hashbench.evaluation.rules import Denominator, Empty
from hashbench.types import Array


def average_precision(relevant: Array, total: Array, k: int, denominator: Denominator) -> Array:
    """Expected AP@k of each query, float64 (n_q,) in [0, 1]; NaN where no bin holds anything relevant.

    AP@k = (sum over ranks r <= k of precision(r) rel(r)) / denominator, with the denominator
    `relevant_in_top_k`: relevant items among the first k (AP is 0 where there are none), the field's habit;
    `min_k_relevant`: min(k, relevant items); `relevant`: relevant items in the whole database.
    `relevant_in_top_k` is itself random where a tie straddles rank k; the expectation is that of the ratio.
    """
    n_relevant = relevant.sum(axis=1)
    precision_sum, ratio = _expected_average_precision(relevant, total, k)
    if denominator == "relevant_in_top_k":
        return np.where(n_relevant > 0, ratio, np.nan)
    most = n_relevant if denominator == "relevant" else np.minimum(k, n_relevant)
    return _divide(precision_sum, most)


def relevant_first(relevant: Array, total: Array) -> tuple[Array, Array]:
    """The counts (n_q, 2 bins) of the luckiest ranking: inside each tie, relevant items come first."""
    return _interleave(relevant, np.zeros_like(relevant)), _interleave(relevant, total - relevant)


def relevant_last(relevant: Array, total: Array) -> tuple[Array, Array]:
    """The counts (n_q, 2 bins) of the unluckiest ranking: inside each tie, relevant items come last."""
    return _interleave(np.zeros_like(relevant), relevant), _interleave(total - relevant, relevant)


def found_at(relevant: Array, total: Array, ranks: Array) -> Array:
    """Expected number of relevant items among the first t, float64 (n_q, len(ranks)); `ranks` ascending, int64."""
    found: Array = _found_at(relevant, total, ranks)
    return found


def discounts(n: int) -> Array:
    """The cumulative discounts of DCG, float64 (n + 1,): entry r is the sum of 1 / log2(1 + i) over ranks i <= r."""
    return np.concatenate([np.zeros(1), np.cumsum(1 / np.log2(np.arange(2, n + 2)))])


def ndcg(relevant: Array, total: Array, cumulative: Array) -> Array:
    """Expected NDCG@k with gain 1 for a relevant item, float64 (n_q,) in [0, 1]; NaN where nothing is relevant.

    `cumulative` = `discounts(k)`. The ideal ranking has min(k, relevant items) relevant items in front (Järvelin and
    Kekäläinen, ACM TOIS 20(4), 2002).
    """
    k = len(cumulative) - 1
    reached = cumulative[np.minimum(np.cumsum(total, axis=1), k)]
    gain = (relevant / np.maximum(total, 1) * np.diff(reached, axis=1, prepend=0.0)).sum(axis=1)
    ideal = cumulative[np.minimum(relevant.sum(axis=1), k)]
    return _divide(gain, ideal)


def precision_within(relevant: Array, total: Array) -> Array:
    """Precision among the items of bins 0..i, float64 (n_q, bins); 0 where there are none."""
    precision: Array = np.cumsum(relevant, axis=1) / np.maximum(np.cumsum(total, axis=1), 1)
    return precision


def recall_within(relevant: Array) -> Array:
    """Share of the relevant items that lie in bins 0..i, float64 (n_q, bins); NaN where nothing is relevant."""
    return _divide(np.cumsum(relevant, axis=1), relevant.sum(axis=1, keepdims=True))


def precision_within_2(relevant: Array, total: Array) -> Array:
    """Precision within Hamming radius 2, float64 (n_q,): 0 for a query that finds nothing there, NaN where nothing in
    the database is relevant."""
    return np.where(relevant.any(axis=1), precision_within(relevant, total)[:, :3][:, -1], np.nan)


def found_nothing_within_2(relevant: Array, total: Array) -> Array:
    """Whether a query finds nothing within Hamming radius 2: 0.0 or 1.0, float64 (n_q,)."""
    found_nothing: Array = total[:, :3].sum(axis=1) == 0
    return found_nothing.astype(np.float64)


MEASURES: dict[str, Callable[[Array, Array], Array]] = {
    measure.__name__: measure for measure in (precision_within_2, found_nothing_within_2)
}
"""Numbers of each query, float64 (n_q,), from the counts at each Hamming distance; NaN where a query has none. Their
means over queries stand in every record, under these names."""


def mean_over_queries(values: Array, answerable: Array, empty: Empty) -> Any:
    """Mean over the first axis. A query that is not `answerable` (bool (n_q,)) counts 0 or, for "nan", is left out."""
    counted = len(values) if empty == "zero" else np.count_nonzero(answerable)
    mean: Any = values[answerable].sum(axis=0) / (counted or np.nan)
    return mean


def _divide(a: Array, b: Array) -> Array:
    quotient: Array = np.divide(a, b, out=np.full(np.broadcast_shapes(a.shape, b.shape), np.nan), where=b > 0)
    return quotient


def _interleave(a: Array, b: Array) -> Array:
    return np.stack([a, b], axis=2).reshape(len(a), -1)


@numba.njit(nogil=True, cache=True)
def _found_at(relevant: Array, total: Array, ranks: Array) -> Array:
    result = np.empty((len(total), len(ranks)))
    for q in range(len(total)):
        seen, found, tie = 0, 0, 0
        for place, rank in enumerate(ranks):
            while tie < total.shape[1] and seen + total[q, tie] <= rank:
                seen += total[q, tie]
                found += relevant[q, tie]
                tie += 1
            result[q, place] = found
            if tie < total.shape[1]:
                result[q, place] += (rank - seen) * relevant[q, tie] / total[q, tie]
    return result


@numba.njit(nogil=True, cache=True)
def _expected_average_precision(relevant: Array, total: Array, k: int) -> tuple[Array, Array]:
    """Per query, the expectation of the sum of precisions at relevant ranks <= k, and of its ratio to their number."""
    precision_sum, ratio = np.zeros(len(total)), np.zeros(len(total))
    for q in range(len(total)):
        seen, found, expected = 0, 0, 0.0
        for tie in range(total.shape[1]):
            if seen == k:
                break
            items, hits = total[q, tie], relevant[q, tie]
            inside = min(items, k - seen)
            in_tie = _expected_in_tie(seen, found, items, hits, inside)
            if inside < items:
                ratio[q] = _expected_ratio_at_cut(seen, found, items, hits, inside, expected)
            else:
                ratio[q] = (expected + in_tie) / max(found + hits, 1)
            seen, found, expected = seen + inside, found + hits, expected + in_tie
        precision_sum[q] = expected
    return precision_sum, ratio


@numba.njit(nogil=True, cache=True)
def _expected_in_tie(seen: int, found: int, items: int, hits: int, inside: int) -> float:
    """Expected sum of precisions at the relevant ones of a tie's first `inside` places, in random order."""
    if hits == 0:
        return 0.0
    return _by_harmonic_numbers(seen, found, items, hits, inside, _harmonic_difference(seen, inside))


@numba.njit(nogil=True, cache=True)
def _by_harmonic_numbers(seen: int, found: int, items: int, hits: int, inside: int, harmonic: float) -> float:
    """The same, given `harmonic` = 1 / (seen + 1) + ... + 1 / (seen + inside).

    At place j a relevant item stands with probability hits / items, and then (j - 1)(hits - 1) / (items - 1) relevant
    ones are expected before it in the tie: the sum over j of
    hits / items (found + 1 + (j - 1)(hits - 1) / (items - 1)) / (seen + j), in closed form.
    """
    earlier = (hits - 1) / (items - 1) * (inside - (seen + 1) * harmonic) if items > 1 else 0.0
    return hits / items * ((found + 1) * harmonic + earlier)


@numba.njit(nogil=True, cache=True)
def _expected_ratio_at_cut(seen: int, found: int, items: int, hits: int, inside: int, expected: float) -> float:
    """Expectation of (sum of precisions) / (relevant items inside the cut-off) where a tie straddles it.

    The number of relevant items that fall inside is hypergeometric; given it, their places are uniform. Weights are
    relative to the mode's, and counted from where they exceed 1e-20 to where they fall below it again.
    """
    least, most = max(0, inside - (items - hits)), min(inside, hits)
    mode = min(max((inside + 1) * (hits + 1) // (items + 2), least), most)
    others_beyond = items - hits - inside  # plus the relevant items inside: the other items beyond the cut-off
    inner, weight = mode, 1.0
    while inner > least and weight > 1e-20:
        weight *= inner * (others_beyond + inner) / ((hits - inner + 1) * (inside - inner + 1))
        inner -= 1
    weights, weighted, harmonic = 0.0, 0.0, _harmonic_difference(seen, inside)
    while inner <= most and (inner <= mode or weight > 1e-20):
        weights += weight
        in_tie = _by_harmonic_numbers(seen, found, inside, inner, inside, harmonic)
        weighted += weight * (expected + in_tie) / max(found + inner, 1)
        weight *= (hits - inner) * (inside - inner) / ((inner + 1) * (others_beyond + inner + 1))
        inner += 1
    return weighted / weights


@numba.njit(nogil=True, cache=True)
def _harmonic_difference(start: int, count: int) -> float:
    """1 / (start + 1) + ... + 1 / (start + count), to a relative error of some 1e-16, without a loop over count.

    From 32 on by the asymptotic series of the harmonic numbers, whose logarithms are taken of the ratio: a difference
    of two tabulated harmonic numbers would lose the digits that (inside - (seen + 1) * harmonic) needs.
    """
    direct, stop = 0.0, start + count
    while start < min(stop, 32):
        start += 1
        direct += 1.0 / start
    if start == stop:
        return direct
    a, b = 1.0 / start, 1.0 / stop
    series = (b - a) / 2 - (b**2 - a**2) / 12 + (b**4 - a**4) / 120 - (b**6 - a**6) / 252
    return direct + math.log1p((stop - start) * a) + series
