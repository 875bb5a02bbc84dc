"""Counts of both engines, against a comparison of every pair."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashbench.evaluation import hamming
from hashbench.evaluation.packing import PackedItems, pack_codes, pack_labels


def counts_by_hand(query, database, query_labels, database_labels):
    """int64 (n_q, b + 1, 2) from unpacked codes and multi-hot labels, pair by pair."""
    result = np.zeros((len(query), query.shape[1] + 1, 2), np.int64)
    for q in range(len(query)):
        for d in range(len(database)):
            shares = bool((query_labels[q] & database_labels[d]).any())
            result[q, (query[q] != database[d]).sum(), int(shares)] += 1
    return result


def random_items(seed, n_query, n_database, n_bits, n_classes):
    """Codes and multi-hot labels of queries and database, as bool."""
    rng = np.random.default_rng(seed)
    codes = [rng.random((n, n_bits)) < 0.5 for n in (n_query, n_database)]
    labels = [rng.random((n, n_classes)) < 1.5 / n_classes for n in (n_query, n_database)]
    return *codes, *labels


def pack(query, database, query_labels, database_labels):
    """The four arrays as two PackedItems."""
    labels = pack_labels(query_labels, database_labels)
    return PackedItems(pack_codes(query, "q")[0], labels[0]), PackedItems(pack_codes(database, "d")[0], labels[1])


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n_bits=st.sampled_from([1, 4, 7, 12, 63, 64, 65, 128, 200]),
    n_classes=st.sampled_from([1, 10, 64, 65, 128, 150]),
)
def test_counts_are_those_of_every_pair(seed, n_bits, n_classes):
    items = random_items(seed, 3, 23, n_bits, n_classes)
    np.testing.assert_array_equal(hamming.count(*pack(*items), n_bits), counts_by_hand(*items))


def test_the_longest_codes_at_the_longest_distance():
    query, database = np.zeros((1, 1024), bool), np.ones((2, 1024), bool)
    labels = np.array([0]), np.array([0, 1])
    counts = hamming.count(*pack(query, database, *labels), 1024)
    assert counts[0, 1024].tolist() == [1, 1]
    assert counts.sum() == 2


def test_more_items_than_a_block_and_more_queries_than_a_task():
    items = random_items(0, 130, 9001, 16, 5)
    query, database, query_labels, database_labels = items
    distance = (query[:, None] != database[None]).sum(axis=2)
    shares = (query_labels.astype(int) @ database_labels.T.astype(int)) > 0
    expected = np.zeros((130, 17, 2), np.int64)
    np.add.at(expected, (np.arange(130)[:, None], distance, shares.astype(int)), 1)
    np.testing.assert_array_equal(hamming.count(*pack(*items), 16), expected)


@pytest.mark.parametrize(("n_bits", "n_classes"), [(4, 3), (64, 10), (100, 128), (1024, 21)])
def test_torch_gives_the_same_counts(n_bits, n_classes, monkeypatch):
    torch = pytest.importorskip("torch")
    from hashbench.evaluation import hamming_torch

    # Small blocks, so that several of them, and a partial one, are added up.
    monkeypatch.setattr(hamming_torch, "_PAIRS_AT_A_TIME", 700)
    monkeypatch.setattr(hamming_torch, "_QUERIES_AT_A_TIME", 7)
    query, database = pack(*random_items(1, 17, 333, n_bits, n_classes))
    expected = hamming.count(query, database, n_bits)
    for device in ("cpu", *(["cuda"] if torch.cuda.is_available() else [])):
        np.testing.assert_array_equal(hamming_torch.count(query, database, n_bits, device), expected)


def test_inner_loop_uses_the_vector_unit():
    """The speed rests on LLVM turning the loop over words into vector code; numba must not lose it silently."""
    add_distance = numba.njit(nogil=True)(hamming._add_distance.py_func)  # what comes from the cache shows no code
    keys = np.zeros(3, np.uint16)
    add_distance(np.array([0b1011, 0, 1], np.uint64), np.uint64(1), keys)
    assert keys.tolist() == [4, 2, 0]
    assert "llvm.ctpop.v" in next(iter(add_distance.inspect_llvm().values()))
