"""Counts of both engines, against a comparison of every pair."""

from __future__ import annotations

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
    n_database=st.sampled_from([1, 22, 23]),
    n_bits=st.sampled_from([1, 4, 7, 12, 63, 64, 65, 127, 128, 200]),  # from 128 on a key is no byte any more
    n_classes=st.sampled_from([1, 10, 16, 17, 64, 65, 128, 150]),
)
def test_counts_are_those_of_every_pair(seed, n_database, n_bits, n_classes):
    items = random_items(seed, 3, n_database, n_bits, n_classes)
    np.testing.assert_array_equal(hamming.count(*pack(*items), n_bits), counts_by_hand(*items))


@pytest.mark.parametrize("n_bits", [127, 1024])
def test_the_longest_codes_of_each_kind_of_key_at_the_longest_distance(n_bits):
    query, database = np.zeros((1, n_bits), bool), np.ones((3, n_bits), bool)
    labels = np.array([0]), np.array([0, 1, 0])
    counts = hamming.count(*pack(query, database, *labels), n_bits)
    assert counts[0, n_bits].tolist() == [1, 2]
    assert counts.sum() == 3


@pytest.mark.parametrize("n_bits", [8, 130])
def test_a_bucket_of_more_equal_codes_than_16_bits_can_count(n_bits):
    query, database = np.zeros((2, n_bits), bool), np.zeros((200_001, n_bits), bool)
    query[1] = True
    labels = np.array([0, 1]), np.repeat([0, 1], [150_000, 50_001])
    counts = hamming.count(*pack(query, database, *labels), n_bits)
    assert counts[0, 0].tolist() == [50_001, 150_000]
    assert counts[1, n_bits].tolist() == [150_000, 50_001]
    assert counts.sum() == 2 * 200_001


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
    add_distance = hamming._add_distance
    for kind in (np.uint8, np.uint16):
        keys = np.zeros(3, kind)
        add_distance(np.array([0b1011, 0, 1], np.uint64), np.uint64(1), keys)
        assert keys.tolist() == [4, 2, 0]
    assert all("llvm.ctpop.v" in code for code in add_distance.inspect_llvm().values())
