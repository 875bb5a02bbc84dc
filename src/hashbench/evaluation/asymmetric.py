"""`evaluate_asymmetric`: binary database codes ranked by the real values of a query, as some methods' authors do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.evaluation.packing import pack_codes, pack_labels, to_numpy, unpack_codes
from hashbench.evaluation.results import Ranked
from hashbench.evaluation.rules import Rules, check_ranks
from hashbench.types import Array

_STEP = 2.0**32
_QUERIES_AT_A_TIME = 64


def evaluate_asymmetric(
    query_logits: Any,
    database_codes: Any,
    query_labels: Any,
    database_labels: Any,
    *,
    k: int | None = None,
    denominator: str = "relevant_in_top_k",
    empty: str = "zero",
    ranks: Sequence[int] | Array | None = None,
) -> Ranked:
    """Rank database codes c in {0, 1}^b by their distance sum |sigmoid(z) - c| to the logits z of each query.

    A query is not binarised, so these numbers are no Hamming numbers and never stand in one column with them.
    `query_logits`: finite real values (n_q, b), an array or tensor; everything else is as for `evaluate`. Items of one
    distance are ties, of which `ap`, `ndcg`, `precision_at` and `recall_at` are the exact expectation. Distances are
    compared after rounding each tanh(z / 2) to 2^-32, so that they are exact sums, the same on every machine; float32
    logits tell no more. Raises HashbenchError on anything else than the above.

    >>> codes = np.array([[0, 0], [0, 1], [1, 1]])
    >>> evaluate_asymmetric(np.array([[-0.1, 2.0]]), codes, np.array([7]), np.array([8, 7, 7])).map
    1.0
    """
    rules = Rules(k, denominator, empty, "random")  # type: ignore[arg-type]  # Rules is what checks them
    words, n_bits = pack_codes(database_codes, "database_codes")
    query_classes, database_classes = pack_labels(query_labels, database_labels)
    logits = _checked(query_logits, (len(query_classes), n_bits))
    if len(words) != len(database_classes):
        raise HashbenchError(f"database_codes have {len(words)} items and database_labels {len(database_classes)}")
    at_ranks = check_ranks(ranks, k, len(words))
    ties = _ties(logits, words, n_bits, query_classes, database_classes)
    return _measure(ties, at_ranks, rules, len(words))


def _checked(query_logits: Any, shape: tuple[int, int]) -> Array:
    logits = to_numpy(query_logits, "query_logits")
    if logits.shape != shape:
        raise HashbenchError(f"query_logits must be (queries, bits) {shape} by labels and codes, got {logits.shape}")
    if not np.isfinite(logits).all():
        raise HashbenchError("query_logits must be finite real values, got NaN or infinity")
    return logits.astype(np.float64)


def _ties(
    logits: Array, words: Array, n_bits: int, query_classes: Array, database_classes: Array
) -> Iterator[tuple[Array, Array]]:
    """For each query the items of each distance, nearest first: int64 (1, ties) relevant and total."""
    codes, code_of = np.unique(words, axis=0, return_inverse=True)
    signs, n_of_code = 2.0 * unpack_codes(codes, n_bits) - 1, np.bincount(code_of)
    # sum |sigmoid(z) - c| = (b - s . tanh(z / 2)) / 2 with s = 2 c - 1. Products and sums of these whole numbers are
    # exact in float64, in whatever order a matrix product adds them up.
    weights = np.round(np.tanh(logits / 2) * _STEP)
    for start in range(0, len(logits), _QUERIES_AT_A_TIME):
        part = slice(start, start + _QUERIES_AT_A_TIME)
        for far, classes in zip(-weights[part] @ signs.T, query_classes[part], strict=True):
            distances, tie_of = np.unique(far, return_inverse=True)
            found = (database_classes & classes).any(axis=1)
            relevant = np.bincount(tie_of[code_of[found]], minlength=len(distances))
            total = np.bincount(tie_of, weights=n_of_code).astype(np.int64)
            yield relevant[np.newaxis], total[np.newaxis]


def _measure(ties: Iterator[tuple[Array, Array]], ranks: Array, rules: Rules, n: int) -> Ranked:
    from hashbench.evaluation import metrics

    cut = n if rules.k is None else min(rules.k, n)
    cumulative = metrics.discounts(cut)

    def measured(relevant: Array, total: Array) -> tuple[Array, ...]:
        orders = ((relevant, total), metrics.relevant_first(relevant, total), metrics.relevant_last(relevant, total))
        return (
            relevant.sum(axis=1),
            *(metrics.average_precision(*order, cut, rules.denominator) for order in orders),
            metrics.ndcg(relevant, total, cumulative),
            metrics.found_at(relevant, total, ranks),
        )

    each = [measured(relevant, total) for relevant, total in ties]
    n_relevant, ap, optimistic, pessimistic, ndcg, found = map(np.concatenate, zip(*each, strict=True))

    def mean(values: Array) -> Any:
        return metrics.mean_over_queries(values, n_relevant > 0, rules.empty)

    return Ranked(
        k=rules.k,
        denominator=rules.denominator,
        empty=rules.empty,
        n_relevant=n_relevant,
        ap=ap,
        ap_optimistic=optimistic,
        ap_pessimistic=pessimistic,
        ndcg=ndcg,
        ranks=ranks,
        precision_at=mean(found / ranks),
        recall_at=mean(found / np.maximum(n_relevant, 1)[:, np.newaxis]),
    )
