"""`evaluate`: codes and labels in, an `Evaluation` out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.evaluation.packing import PackedItems, pack_codes, pack_labels
from hashbench.evaluation.ranking import rankings
from hashbench.evaluation.results import Evaluation
from hashbench.evaluation.rules import Engine, Rules, check_choice, check_ranks
from hashbench.types import Array


def evaluate(
    query_codes: Any,
    database_codes: Any,
    query_labels: Any,
    database_labels: Any,
    *,
    k: int | None = None,
    denominator: str = "relevant_in_top_k",
    empty: str = "zero",
    order: str = "random",
    ranks: Sequence[int] | Array | None = None,
    query_rows: Any = None,
    database_rows: Any = None,
    engine: str = "cpu",
) -> Evaluation:
    """Rank a database by Hamming distance to each query and measure how well relevant items come first.

    Codes: (n_q, b) and (n_db, b), 1 to 1024 bits, as NumPy arrays or torch tensors of bool, of 0 and 1, or of -1 and
    +1, or as `Codes`. Labels: both one- or multi-hot (n, c), or both class numbers (n,). An item is
    relevant to a query if they share a label.

    `k`: cut-off of AP and NDCG (None: the whole database). `denominator` of AP@k: "relevant_in_top_k",
    "min_k_relevant" or "relevant". `empty`: a query with nothing relevant in the database counts "zero" in every mean,
    or is left out of it ("nan"). `order` inside ties: "random" gives exact expectations; "database" and "argsort" are
    what published code does, and hold for `ap`, `ndcg`, `precision_at` and `recall_at`. `ranks`: where to take
    precision and recall, in 1..n_db; default: 1, 2, 5, 10, ... with k and n_db.
    `query_rows`, `database_rows`: int (n_q,) and (n_db,) row numbers, each database row once; a pair with the same row
    is an item and itself and is left out. `engine`: "cpu", or "cuda" for the same counts on a GPU.

    docs/evaluation.md has all definitions. Raises HashbenchError on anything else than the above.

    >>> codes = np.array([[0, 0], [0, 1], [1, 1]])
    >>> evaluate(codes[:1], codes, np.array([7]), np.array([7, 8, 7])).map
    0.8333333333333333
    """
    rules = Rules(k, denominator, empty, order)  # type: ignore[arg-type]  # Rules is what checks them
    check_choice("engine", engine, get_args(Engine))
    query, database, n_bits = _pack(query_codes, database_codes, query_labels, database_labels)
    excluded = _self_matches(query_rows, database_rows, len(query), len(database))
    at_ranks = check_ranks(ranks, k, len(database))
    counts = _count(query, database, n_bits, engine)
    _leave_out(counts, query, database, excluded)
    return _measure(counts, query, database, excluded, at_ranks, rules)


def _measure(
    counts: Array, query: PackedItems, database: PackedItems, excluded: Array, ranks: Array, rules: Rules
) -> Evaluation:
    from hashbench.evaluation import metrics

    n = len(database)
    cut = n if rules.k is None else min(rules.k, n)
    relevant, total = np.ascontiguousarray(counts[:, :, 1]), counts[:, :, 0] + counts[:, :, 1]
    n_relevant = relevant.sum(axis=1)
    answerable = n_relevant > 0
    cumulative = metrics.discounts(cut)

    def along_ranks(relevant: Array, total: Array) -> tuple[Array, Array, Array]:
        return (
            metrics.average_precision(relevant, total, cut, rules.denominator),
            metrics.ndcg(relevant, total, cumulative),
            metrics.found_at(relevant, total, ranks),
        )

    if rules.order == "random":
        ap, ndcg, found = along_ranks(relevant, total)
    else:
        each = [along_ranks(*ranking) for ranking in rankings(query, database, rules.order, excluded)]
        ap, ndcg, found = (np.concatenate(parts) for parts in zip(*each, strict=True))

    def mean(values: Array) -> Any:
        return metrics.mean_over_queries(values, answerable, rules.empty)

    of_queries = {name: measure(relevant, total) for name, measure in metrics.MEASURES.items()}
    return Evaluation(
        n_bits=counts.shape[1] - 1,
        k=rules.k,
        denominator=rules.denominator,
        empty=rules.empty,
        order=rules.order,
        n_relevant=n_relevant,
        ap=ap,
        ap_optimistic=metrics.average_precision(*metrics.relevant_first(relevant, total), cut, rules.denominator),
        ap_pessimistic=metrics.average_precision(*metrics.relevant_last(relevant, total), cut, rules.denominator),
        ndcg=ndcg,
        ranks=ranks,
        precision_at=mean(found / ranks),
        recall_at=mean(found / np.maximum(n_relevant, 1)[:, np.newaxis]),
        radius_precision=mean(metrics.precision_within(relevant, total)),
        radius_recall=mean(metrics.recall_within(relevant)),
        measures={
            name: float(metrics.mean_over_queries(values, ~np.isnan(values), rules.empty))
            for name, values in of_queries.items()
        },
        relevant_histogram=relevant.sum(axis=0),
        other_histogram=counts[:, :, 0].sum(axis=0),
    )


def _pack(
    query_codes: Any, database_codes: Any, query_labels: Any, database_labels: Any
) -> tuple[PackedItems, PackedItems, int]:
    query_words, query_bits = pack_codes(query_codes, "query_codes")
    database_words, n_bits = pack_codes(database_codes, "database_codes")
    if query_bits != n_bits:
        raise HashbenchError(f"query_codes have {query_bits} bits and database_codes {n_bits}: they must agree")
    query_classes, database_classes = pack_labels(query_labels, database_labels)
    query, database = PackedItems(query_words, query_classes), PackedItems(database_words, database_classes)
    for name, items in (("query", query), ("database", database)):
        if len(items.codes) != len(items.labels):
            raise HashbenchError(f"{name}_codes have {len(items.codes)} items and {name}_labels {len(items.labels)}")
    return query, database, n_bits


def _self_matches(query_rows: Any, database_rows: Any, n_query: int, n_database: int) -> Array:
    """Positions (query, database) of pairs with the same row, int64 (pairs, 2)."""
    if query_rows is None and database_rows is None:
        return np.empty((0, 2), np.int64)
    if query_rows is None or database_rows is None:
        raise HashbenchError("query_rows and database_rows must be given together: a pair of equal rows is left out")
    wanted, rows = np.asarray(query_rows), np.asarray(database_rows)
    for name, array, n in (("query_rows", wanted, n_query), ("database_rows", rows, n_database)):
        if array.shape != (n,) or array.dtype.kind not in "iu":
            raise HashbenchError(f"{name} must be {n} whole numbers, one an item, got {array.dtype} {array.shape}")
    by_row = np.argsort(rows)
    if (np.diff(rows[by_row]) == 0).any():
        raise HashbenchError("database_rows names a row twice, so that self-matches are not one item a query")
    place = np.minimum(np.searchsorted(rows, wanted, sorter=by_row), len(rows) - 1)
    same = rows[by_row[place]] == wanted
    return np.stack([np.flatnonzero(same), by_row[place[same]]], axis=1)


def _count(query: PackedItems, database: PackedItems, n_bits: int, engine: str) -> Array:
    if engine == "cpu":
        from hashbench.evaluation import hamming

        return hamming.count(query, database, n_bits)
    import torch

    from hashbench.evaluation import hamming_torch

    if not torch.cuda.is_available():
        raise HashbenchError("engine is 'cuda' and torch sees no CUDA device here; use engine='cpu'")
    return hamming_torch.count(query, database, n_bits, "cuda")


def _leave_out(counts: Array, query: PackedItems, database: PackedItems, excluded: Array) -> None:
    q, d = excluded.T
    distance = np.bitwise_count(query.codes[q] ^ database.codes[d]).sum(axis=1)
    relevant = (query.labels[q] & database.labels[d]).any(axis=1)
    np.subtract.at(counts, (q, distance, relevant.astype(np.int64)), 1)
