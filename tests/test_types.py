"""The shared types: what they hold, what they refuse, and that nothing can be written through them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hashbench.errors import HashbenchError
from hashbench.types import Codes, ItemView, Split, TrainView


def _rows(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


def _split(**changes):
    labels = np.eye(3, dtype=np.bool_)[np.array([0, 1, 2, 0, 1, 2])]
    parts = {"query": _rows(5, 0), "database": _rows(1, 2, 3, 4), "train": _rows(3, 1), "labels": labels, **changes}
    return Split("six", **parts)


def test_a_split_keeps_its_rows_read_only():
    split = _split()
    assert split.query.tolist() == [5, 0]
    for array in (split.query, split.database, split.train, split.labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[1]
    with pytest.raises(dataclasses.FrozenInstanceError):
        split.name = "other"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"query": _rows(5, 1)}, "1 rows are both query and database"),
        ({"train": _rows(5, 0, 1)}, "2 rows are both query and train"),
        ({"query": _rows(5, 5)}, "query names a row twice"),
        ({"database": _rows(1, 6)}, "database names rows outside the 6 of the data set"),
        ({"train": _rows(-1)}, "train names rows outside the 6"),
        ({"train": _rows()}, "train must be a non-empty int64 vector"),
        ({"query": np.array([5, 0], dtype=np.int32)}, "query must be a non-empty int64 vector"),
        ({"database": _rows(1, 2)[None]}, "database must be a non-empty int64 vector"),
        ({"labels": np.zeros((6, 3))}, "labels must be bool"),
        ({"labels": np.zeros(6, dtype=np.bool_)}, "labels must be bool"),
    ],
)
def test_a_split_that_breaks_a_rule_is_refused(changes, sentence):
    with pytest.raises(HashbenchError, match=f"split six: {sentence}"):
        _split(**changes)


def test_the_digest_of_a_split_follows_rows_order_and_labels():
    labels = np.eye(3, dtype=np.bool_)[np.array([0, 1, 2, 0, 1, 1])]
    others = [
        _split(query=_rows(0, 5)),
        _split(database=_rows(1, 2, 4, 3)),
        _split(train=_rows(3)),
        _split(query=_rows(5), database=_rows(0, 1, 2, 3, 4)),  # the same numbers, divided elsewhere
        _split(labels=labels),
    ]
    digests = [split.digest for split in (_split(), *others)]
    assert len(set(digests)) == len(digests)
    assert all(len(digest) == 12 for digest in digests)
    assert (
        _split().digest
        == Split("renamed", **{f: getattr(_split(), f) for f in ("query", "database", "train", "labels")}).digest
    )


def test_views_name_what_they_provide_and_are_read_only():
    pooled = np.zeros((3, 2), dtype=np.float32)
    items = ItemView(_rows(7, 8, 9), pooled=pooled)
    assert len(items) == 3
    assert items.provides == {"pooled"}
    with pytest.raises(ValueError, match="read-only"):
        items.pooled[0] = 1
    pooled[0] = 1  # the caller's own array stays writable
    train = TrainView(_rows(7, 8, 9), pooled=pooled, views=np.zeros((4, 3, 2)), view_tokens=np.zeros((4, 3, 5, 2)))
    assert train.provides == {"pooled", "views", "view_tokens"}
    assert ItemView(_rows(1)).provides == frozenset()
    with pytest.raises(ValueError, match="read-only"):
        train.view_tokens[0] = 1


@pytest.mark.parametrize("name", ["pooled", "token_mean", "images", "views", "view_tokens"])
def test_views_count_their_rows(name):
    shape = (4, 2, 5, 2) if name.startswith("view") else (2, 4)
    with pytest.raises(HashbenchError, match=f"{name} has 2 rows where 3 were named"):
        TrainView(_rows(1, 2, 3), **{name: np.zeros(shape, dtype=np.float32)})


def test_views_have_no_label_field():
    assert not [field.name for field in dataclasses.fields(TrainView) if "label" in field.name]


@given(hnp.arrays(np.bool_, st.tuples(st.integers(0, 9), st.integers(1, 70))))
def test_packed_bits_come_back(bits):
    codes = Codes.pack(bits)
    assert codes.packed.dtype == np.uint8
    assert codes.packed.shape == (len(bits), -(-bits.shape[1] // 8))
    assert np.array_equal(codes.unpack(), bits)
    assert len(codes) == len(bits)
    assert codes.rows.tolist() == list(range(len(bits)))
    ones = np.array([bin(int(byte)).count("1") for byte in codes.packed.ravel()], dtype=int)
    assert ones.sum() == bits.sum(), "the filling of the last byte is zeros"


def test_the_first_bit_is_the_highest():
    codes = Codes.pack(np.array([[1, 0, 0, 0, 0, 0, 0, 0, 1]], dtype=np.bool_), rows=_rows(42))
    assert codes.packed.tolist() == [[128, 128]]
    assert codes.rows.tolist() == [42]


@pytest.mark.parametrize(
    "bits",
    [np.zeros(8, dtype=np.bool_), np.zeros((2, 8)), np.zeros((2, 0), dtype=np.bool_), np.ones((2, 8), dtype=int)],
)
def test_what_are_no_bits_is_refused(bits):
    with pytest.raises(HashbenchError, match="bits"):
        Codes.pack(bits)


BITS, LOGITS = np.array([[True, False, True]]), np.array([[0.5, -2.0, 0.0]], dtype=np.float32)


def test_codes_keep_the_logits_whose_signs_they_are():
    codes = Codes.pack(BITS, logits=LOGITS)
    assert np.array_equal(codes.logits, LOGITS)
    assert not codes.logits.flags.writeable
    assert Codes.pack(BITS).logits is None
    Codes.pack(~BITS & (LOGITS == 0) | (LOGITS > 0), logits=LOGITS)  # either bit may go with 0


@pytest.mark.parametrize(
    ("logits", "sentence"),
    [
        (-LOGITS, "logits contradict the bits"),
        (LOGITS.astype(np.float64), r"finite float32 \(1, 3\), got float64"),
        (LOGITS[:, :2], r"got float32 \(1, 2\)"),
        (np.array([[np.inf, -1, 0]], dtype=np.float32), "must be finite"),
    ],
)
def test_logits_that_are_not_those_of_the_bits_are_refused(logits, sentence):
    with pytest.raises(HashbenchError, match=sentence):
        Codes.pack(BITS, logits=logits)


def test_codes_check_their_shape():
    for packed, n_bits, rows in [
        (np.zeros((2, 2), dtype=np.uint8), 8, _rows(0, 1)),
        (np.zeros((2, 1), dtype=np.uint8), 8, _rows(0)),
        (np.zeros((2, 1), dtype=np.int64), 8, _rows(0, 1)),
        (np.zeros((2, 200), dtype=np.uint8), 1600, _rows(0, 1)),
    ]:
        with pytest.raises(HashbenchError, match="bits"):
            Codes(packed, n_bits, rows)
