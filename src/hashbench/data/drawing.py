"""How protocols draw rows: which are queries, which are train rows, and what the database holds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hashbench.data.base import TEST_FOLD, TRAIN_FOLD, Dataset
from hashbench.errors import HashbenchError
from hashbench.types import Array

Parts = tuple[Array, Array, Array]
Draw = Callable[[Dataset, np.random.Generator], Parts]
DatabaseRule = Callable[[int, Array, Array], Array]

# What the database holds, given all n rows, the query rows and the train rows.


def neither_query_nor_train(n: int, query: Array, train: Array) -> Array:
    """Every row that is neither query nor train."""
    return np.setdiff1d(np.arange(n), np.concatenate([query, train]))


def all_but_query(n: int, query: Array, train: Array) -> Array:
    """Every row that is no query: the train rows are in the database."""
    return np.setdiff1d(np.arange(n), query)


def the_train_rows(n: int, query: Array, train: Array) -> Array:
    """Exactly the train rows."""
    return train


# How query and train rows are drawn.


def per_class(query: int, train: int, database: DatabaseRule) -> Draw:
    """`query` and then `train` rows of every class at random, over all rows of a single-label data set."""

    def draw(dataset: Dataset, generator: np.random.Generator) -> Parts:
        everything = np.arange(len(dataset))
        orders = _shuffled_classes(dataset, everything, query + train, generator)
        query_rows = _checked(dataset, query, [order[:query] for order in orders])
        train_rows = _checked(dataset, train, [order[query : query + train] for order in orders])
        return shuffled(generator, query_rows, train_rows, database(len(dataset), query_rows, train_rows))

    return draw


def by_fold(query: int | None, train: int | None, database: DatabaseRule) -> Draw:
    """Queries from the publisher's test part, train and database rows from the train part.

    `query` and `train` are how many of each class, or None for the whole part.
    """

    def draw(dataset: Dataset, generator: np.random.Generator) -> Parts:
        train_part = np.flatnonzero(dataset.fold == TRAIN_FOLD)
        test_part = np.flatnonzero(dataset.fold == TEST_FOLD)
        query_rows = _of_each_class(dataset, test_part, query, generator)
        train_rows = _of_each_class(dataset, train_part, train, generator)
        database_rows = train_part[database(len(train_part), _EMPTY, np.searchsorted(train_part, np.sort(train_rows)))]
        return shuffled(generator, query_rows, train_rows, database_rows)

    return draw


def at_random(query: int, train: int, database: DatabaseRule) -> Draw:
    """Query and train rows at random over all rows, whatever they show; the train rows are no queries."""

    def draw(dataset: Dataset, generator: np.random.Generator) -> Parts:
        _need(query + train, len(dataset), "rows")
        order = generator.permutation(len(dataset))
        query_rows, train_rows = order[:query], order[query : query + train]
        return shuffled(generator, query_rows, train_rows, database(len(dataset), query_rows, train_rows))

    return draw


def at_random_by_fold(query: int, train: int, database: DatabaseRule) -> Draw:
    """Queries at random from the publisher's test part, train and database rows from the train part."""

    def draw(dataset: Dataset, generator: np.random.Generator) -> Parts:
        train_part = np.flatnonzero(dataset.fold == TRAIN_FOLD)
        test_part = np.flatnonzero(dataset.fold == TEST_FOLD)
        _need(query, len(test_part), "rows in the test part")
        _need(train, len(train_part), "rows in the train part")
        query_rows = generator.permutation(test_part)[:query]
        train_positions = generator.permutation(len(train_part))[:train]
        database_rows = train_part[database(len(train_part), _EMPTY, train_positions)]
        return shuffled(generator, query_rows, train_part[train_positions], database_rows)

    return draw


def quota_per_concept(query: int, train: int) -> Draw:
    """The rule of the public NUS-WIDE lists: rows in random order fill one place each until all quotas are full.

    A row goes through the concepts it shows, in order: the first whose train quota (`train`) is open takes it as a
    train row, or else whose query quota (`query`) is open as a query. So each concept has at least its quota, and
    usually far more. The database is every row that is no query.
    """

    def draw(dataset: Dataset, generator: np.random.Generator) -> Parts:
        n_classes = dataset.labels.shape[1]
        train_open, query_open = np.full(n_classes, train), np.full(n_classes, query)
        train_rows: list[int] = []
        query_rows: list[int] = []
        for row in generator.permutation(len(dataset)):
            for concept in np.flatnonzero(dataset.labels[row]):
                if train_open[concept]:
                    train_open[concept] -= 1
                    train_rows.append(row)
                    break
                if query_open[concept]:
                    query_open[concept] -= 1
                    query_rows.append(row)
                    break
            if len(train_rows) + len(query_rows) == n_classes * (train + query):
                break
        unfilled = np.flatnonzero(train_open + query_open)
        if len(unfilled):
            raise HashbenchError(f"too few rows show '{dataset.class_names[unfilled[0]]}' to fill its quota")
        queries, trains = np.array(query_rows, dtype=np.int64), np.array(train_rows, dtype=np.int64)
        return shuffled(generator, queries, trains, all_but_query(len(dataset), queries, trains))

    return draw


def half_the_test_part(train: int) -> Draw:
    """Half of each class of the test part as queries, `train` rows of each class, the train part as database.

    The other half of the test part is left for validation.
    """

    def draw(dataset: Dataset, generator: np.random.Generator) -> Parts:
        sizes = dataset.labels[dataset.fold == TEST_FOLD].sum(axis=0)
        if len(np.unique(sizes)) != 1:
            raise HashbenchError("the classes of the test part differ in size")
        return by_fold(int(sizes[0]) // 2, train, all_but_query)(dataset, generator)

    return draw


_EMPTY = np.empty(0, dtype=np.int64)


def _of_each_class(dataset: Dataset, rows: Array, count: int | None, generator: np.random.Generator) -> Array:
    if count is None:
        return rows
    return _checked(dataset, count, [order[:count] for order in _shuffled_classes(dataset, rows, count, generator)])


def _checked(dataset: Dataset, count: int, of_classes: list[Array]) -> Array:
    """The rows of all classes together. Raises HashbenchError unless they are `count` of each class."""
    rows = np.concatenate(of_classes)
    if (dataset.labels[rows].sum(axis=0) != count).any():
        raise HashbenchError(f"drew other than {count} rows of each class")
    return rows


def _shuffled_classes(dataset: Dataset, rows: Array, count: int, generator: np.random.Generator) -> list[Array]:
    """For every class its `rows` in random order, at least `count` of them."""
    if not dataset.is_single_label:
        raise HashbenchError("counts per class need a data set with one label a row, and this one has several")
    orders = [generator.permutation(rows[dataset.labels[rows, number]]) for number in range(dataset.labels.shape[1])]
    for name, order in zip(dataset.class_names, orders, strict=True):
        _need(count, len(order), f"rows of class '{name}'")
    return orders


def _need(count: int, available: int, what: str) -> None:
    if count > available:
        raise HashbenchError(f"needs {count:,} {what}, and there are {available:,}")


def shuffled(generator: np.random.Generator, *parts: Array) -> Parts:
    query, train, database = (generator.permutation(part.astype(np.int64)) for part in parts)
    return query, train, database
