"""Hold-outs: parts of the train rows, and nothing else, of which no two share a query."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashbench.config.lengths import rows_of_a_search
from hashbench.search.hold_outs import cut_off, hold_out, validation_map
from hashbench.seeding import numpy_generator
from hashbench.types import Array, Codes, ItemView, Split, TrainView


@dataclass(frozen=True)
class All:
    """Features of 300 rows: 100 queries, 100 train rows, 100 others of the database."""

    split: Split
    train: TrainView

    def items(self, rows: Array) -> ItemView:
        return ItemView(rows)


@pytest.fixture(scope="module")
def features() -> All:
    rng = np.random.default_rng(0)
    rows, groups = rng.permutation(300), rng.integers(3, size=300)
    split = Split("all", rows[:100], rows[100:], rows[100:200], np.eye(3, dtype=np.bool_)[groups])
    pooled, views = rng.normal(size=(100, 4)), rng.normal(size=(2, 100, 4))
    return All(split, TrainView(split.train, pooled=pooled, views=views))


def test_a_hold_out_is_of_train_rows_alone(features: All) -> None:
    held = hold_out(features, 3, 0)
    parts = held.split.query, held.split.database, held.split.train
    assert [len(part) for part in parts] == [10, 20, rows_of_a_search(100)]
    assert sorted(np.concatenate(parts)) == sorted(features.split.train), "no row is in two of them"
    assert np.array_equal(held.train.rows, held.split.train)
    kept = np.flatnonzero(np.isin(features.train.rows, held.split.train))
    assert features.train.pooled is not None
    assert features.train.views is not None
    assert np.array_equal(held.train.pooled, features.train.pooled[kept])  # type: ignore[arg-type]
    assert np.array_equal(held.train.views, features.train.views[:, kept])  # type: ignore[arg-type]
    assert sorted(numpy_generator(3).permutation(100)[30:]) == kept.tolist()


def test_labels_of_other_rows_are_blanked_out(features: All) -> None:
    labels = hold_out(features, 3, 0).split.labels
    train = features.split.train
    assert np.array_equal(labels[train], features.split.labels[train])
    assert labels.sum() == len(train)


def test_ten_hold_outs_share_no_query_and_ask_for_all_rows(features: All) -> None:
    held = np.concatenate([hold_out(features, 5, number).split.query for number in range(10)])
    assert sorted(held) == sorted(features.split.train)


def rows(n: int) -> Any:
    return SimpleNamespace(database=range(n))


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 10**6))
def test_the_cut_off_is_the_share_of_the_data_set_and_no_fewer_than_ten(k: int, searched: int, database: int) -> None:
    held: Any = SimpleNamespace(split=rows(searched), all=SimpleNamespace(split=rows(database)))
    found = cut_off(min(k, database), held)
    share = min(k, database) / database
    assert min(10, searched) <= found <= searched
    assert found == 10 or abs(found - share * searched) <= 0.5 or found == searched < 10
    assert cut_off(None, held) == searched


def test_cifar10_is_searched_by_the_share_that_its_table_asks_for() -> None:
    held: Any = SimpleNamespace(split=rows(1000), all=SimpleNamespace(split=rows(54_000)))
    assert cut_off(1000, held) == 19


def test_validation_map_is_that_of_a_loop(features: All) -> None:
    held = hold_out(features, 3, 2)
    rng = np.random.default_rng(0)
    # Codes that are all at different distances from the one query, so that the ranking has no ties.
    database = np.tril(np.ones((20, 20), dtype=np.bool_))[rng.permutation(20)]
    query = np.zeros((10, 20), dtype=np.bool_)
    order = database.sum(axis=1).argsort()
    labels = held.split.labels
    aps = []
    for row in held.split.query:
        relevant = (labels[held.split.database[order]] & labels[row]).any(axis=1)[:4]
        precision = np.cumsum(relevant) / np.arange(1, 5)
        aps.append((precision * relevant).sum() / max(relevant.sum(), 1))
    found = validation_map(Codes.pack(query), Codes.pack(database), held.split, 4)
    assert found == pytest.approx(np.mean(aps), abs=1e-12)
