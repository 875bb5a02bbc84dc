"""Whatever an array looks like, the bits and the relevance that it meant are those that are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hashbench.evaluation.readers.codes import read_codes
from hashbench.evaluation.readers.found import Found
from hashbench.evaluation.readers.labels import read_labels
from hashbench.evaluation.readers.request import Reading, Role

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 40))
BITS = SHAPES.flatmap(lambda shape: arrays.arrays(np.bool_, shape))


def found(value: Any, role: Role = "query_codes") -> Found:
    return Found(role, Path("codes.npz"), "x", ("x",), value)


def bits_of(value: Any, **how: Any) -> np.ndarray:
    return read_codes(found(value), Reading(**how)).codes.unpack()


@given(BITS, st.sampled_from(["u1", "i1", "i4", "u8", "f2", "f4", "f8"]))
def test_zeros_and_ones_of_any_type(bits: np.ndarray, dtype: str) -> None:
    assert (bits_of(bits.astype(dtype)) == bits).all()


@given(BITS, st.sampled_from(["i1", "i8", "f4"]))
def test_minus_and_plus_one(bits: np.ndarray, dtype: str) -> None:
    assert (bits_of(np.where(bits, 1, -1).astype(dtype)) == bits).all()


REAL = SHAPES.flatmap(lambda shape: arrays.arrays(np.float64, shape, elements=st.floats(-3, 3)))


@given(REAL.filter(lambda values: values.min() < 0))
def test_the_sign_of_real_values(values: np.ndarray) -> None:
    assert (bits_of(values, binarize="sign") == (values > 0)).all()


@given(BITS)
def test_hex_digits(bits: np.ndarray) -> None:
    n_bits = bits.shape[1]
    texts = [
        format(int("".join("01"[bit] for bit in row), 2) << (-n_bits % 4), f"0{-(-n_bits // 4)}X")
        for row in bits.tolist()
    ]
    assert (bits_of(np.array(texts), packed=n_bits) == bits).all()
    assert (bits_of(np.array([f"0x{text}" for text in texts]), packed=n_bits) == bits).all()


@given(BITS.filter(lambda bits: np.packbits(bits, axis=1).max() > 1), st.sampled_from(["u1", "i4", "f8"]))
def test_packed_bytes_in_any_number(bits: np.ndarray, dtype: str) -> None:
    packed = np.packbits(bits, axis=1).astype(dtype)
    assert (bits_of(packed, packed=bits.shape[1]) == bits).all()


@pytest.mark.parametrize("word", ["u2", "u4", "u8", "i8"])
def test_packed_words_have_the_first_bit_highest(word: str) -> None:
    bits = np.random.default_rng(0).random((5, 128)) < 0.5
    size = 8 * np.dtype(word).itemsize
    values = [[int("".join("01"[bit] for bit in part.tolist()), 2) for part in row.reshape(-1, size)] for row in bits]
    words = np.array(values, dtype=f"u{size // 8}").view(word)
    assert (bits_of(words, packed=128) == bits).all()
    if size == 64:
        assert (bits_of(words[:, 0], packed=64) == bits[:, :64]).all()


def relevance(labels: Any) -> np.ndarray:
    """Which database item is relevant to which query, from labels as `evaluate` takes them."""
    if labels.query.ndim == 1:
        return labels.query[:, None] == labels.database
    return (labels.query[:, None] & labels.database).any(axis=2)


NAMES = st.lists(st.sampled_from(["cat", "dog", "polar bear", "ox"]), min_size=1, max_size=8)
SETS = st.lists(st.lists(st.integers(0, 5), max_size=3, unique=True), min_size=1, max_size=8)


def read(query: Any, database: Any, **how: Any) -> np.ndarray:
    n = len(query), len(database)
    return relevance(read_labels(found(query, "query_labels"), found(database, "database_labels"), *n, Reading(**how)))


@given(NAMES, NAMES)
def test_names(query: list[str], database: list[str]) -> None:
    expected = [[one == other for other in database] for one in query]
    assert read(np.array(query), np.array(database)).tolist() == expected


@given(SETS, SETS)
def test_lists(query: list[list[int]], database: list[list[int]]) -> None:
    expected = [[bool(set(one) & set(other)) for other in database] for one in query]
    assert read(query, database, label_form="lists").tolist() == expected


@given(SETS.filter(all), SETS.filter(all))
def test_texts_with_a_separator(query: list[list[int]], database: list[list[int]]) -> None:
    expected = [[bool(set(one) & set(other)) for other in database] for one in query]
    texts = [np.array([" | ".join(map(str, labels)) for labels in side]) for side in (query, database)]
    assert read(*texts, separator="|").tolist() == expected


@pytest.mark.parametrize("shape", [(1, 5), (5, 1)])
def test_vectors_of_matlab(shape: tuple[int, int]) -> None:
    numbers = np.array([0.0, 1, 0, 1, 1])
    assert read(numbers, numbers).tolist() == (numbers[:, None] == numbers).tolist()
    sides = [found(numbers.reshape(shape), role) for role in ("query_labels", "database_labels")]
    labels = read_labels(sides[0], sides[1], 5, 5, Reading(label_form="class-numbers"))
    assert (relevance(labels) == (numbers[:, None] == numbers)).all()
    one_class = read_labels(sides[0], sides[1], 5, 5, Reading(label_form="one-hot"))
    assert (relevance(one_class) == np.outer(numbers, numbers).astype(bool)).all()


def test_large_class_numbers_of_two_types_are_told_apart() -> None:
    query, database = np.array([2**60, 2**60 + 1], np.uint64), np.array([2**60 + 1, 2**60 + 2], np.int64)
    assert read(query, database).tolist() == [[False, False], [True, False]]


def test_items_without_a_label_are_told() -> None:
    query, database = np.eye(3, dtype=np.uint8), np.eye(3, dtype=np.uint8)[[0, 1, 2, 0]]
    database[[1, 3]] = 0
    labels = read_labels(found(query, "query_labels"), found(database, "database_labels"), 3, 4, Reading())
    assert labels.form == "multi-hot, 3 classes"
    assert labels.remark == "2 database items have no label, 2 rows, the first 1, 3"


def test_classes_of_the_queries_alone_are_told() -> None:
    labels = read_labels(
        found(np.array([1, 2, 10]), "query_labels"), found(np.array([0, 1, 2]), "database_labels"), 3, 3, Reading()
    )
    assert labels.remark == "1 of 3 classes of the queries have no item in the database"
