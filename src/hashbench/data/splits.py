"""Protocols: named, seeded ways to draw query, train and database rows.

A protocol's name ends in its three counts, query_train_database, because papers number theirs I, II, III in different
ways. Whether the database holds the train rows follows from the counts and is said in `PROTOCOLS`. A protocol applies
to any data set that has the counts: it checks them, not the data set's name. Every part comes in shuffled order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from hashbench.data.base import TEST_FOLD, TRAIN_FOLD, Dataset
from hashbench.errors import HashbenchError
from hashbench.seeding import numpy_generator, run_seed
from hashbench.types import Array, Split

Parts = tuple[Array, Array, Array]
Draw = Callable[[Dataset, np.random.Generator], Parts]
DatabaseRule = Callable[[int, Array, Array], Array]


@dataclass(frozen=True)
class Protocol:
    """A function of (data set, seed): calling it draws a `Split`, checked against the three `counts`.

    `counts` are (query, train, database), or None for a protocol that takes them from the data set.
    """

    name: str
    describes: str
    counts: tuple[int, int, int] | None
    draw: Draw

    def __call__(self, dataset: Dataset, seed: int) -> Split:
        """Draw the split. Raises HashbenchError where the data set does not have what the protocol needs."""
        try:
            parts = self.draw(dataset, numpy_generator(run_seed("split", self.name, seed)))
        except HashbenchError as error:
            raise HashbenchError(f"protocol {self.name} on data set {dataset.name}: {error}") from None
        counts = tuple(len(part) for part in parts)
        if self.counts is None:
            name = "_".join([self.name, *map(str, counts)])
        elif counts == self.counts:
            name = self.name
        else:
            raise HashbenchError(
                f"protocol {self.name} on data set {dataset.name}: got {_counts(counts)} query, train and database "
                f"rows in place of {_counts(self.counts)}; the data set has {len(dataset):,} rows, so it is another "
                f"version or incomplete"
            )
        query, train, database = parts
        return Split(name, query=query, database=database, train=train, labels=dataset.labels)


def _counts(counts: Iterable[int]) -> str:
    return " / ".join(f"{count:,}" for count in counts)


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
        query_rows = np.concatenate([order[:query] for order in orders])
        train_rows = np.concatenate([order[query : query + train] for order in orders])
        return _shuffled(generator, query_rows, train_rows, database(len(dataset), query_rows, train_rows))

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
        return _shuffled(generator, query_rows, train_rows, database_rows)

    return draw


def at_random(query: int, train: int, database: DatabaseRule) -> Draw:
    """Query and train rows at random over all rows, whatever they show; the train rows are no queries."""

    def draw(dataset: Dataset, generator: np.random.Generator) -> Parts:
        _need(query + train, len(dataset), "rows")
        order = generator.permutation(len(dataset))
        query_rows, train_rows = order[:query], order[query : query + train]
        return _shuffled(generator, query_rows, train_rows, database(len(dataset), query_rows, train_rows))

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
        return _shuffled(generator, query_rows, train_part[train_positions], database_rows)

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
        return _shuffled(generator, queries, trains, all_but_query(len(dataset), queries, trains))

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
    return np.concatenate([order[:count] for order in _shuffled_classes(dataset, rows, count, generator)])


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


def _shuffled(generator: np.random.Generator, *parts: Array) -> Parts:
    query, train, database = (generator.permutation(part.astype(np.int64)) for part in parts)
    return query, train, database


def _named(name: str, draw: Draw, describes: str) -> Protocol:
    query, train, database = (int(count) for count in name.split("_")[-3:])
    return Protocol(name, describes, (query, train, database), draw)


PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        _named(
            "digits_200_500_1097",
            per_class(20, 50, neither_query_nor_train),
            "20 query and 50 train rows a class; the database is the rest, without the train rows",
        ),
        _named(
            "digits_mosaic_200_500_1000",
            at_random_by_fold(200, 500, neither_query_nor_train),
            "queries from the mosaics of the digits kept apart; the database is the rest, without the train rows",
        ),
        _named(
            "cifar10_1000_5000_54000",
            per_class(100, 500, neither_query_nor_train),
            "100 query and 500 train rows a class of all 60,000; database without the train rows (WCH, DeepHash)",
        ),
        _named(
            "cifar10_1000_5000_59000",
            per_class(100, 500, all_but_query),
            "100 query and 500 train rows a class of all 60,000; database with the train rows",
        ),
        _named(
            "cifar10_10000_50000_50000",
            per_class(1000, 5000, the_train_rows),
            "1,000 query rows a class of all 60,000; the other 50,000 are train rows and database (BiHalf I)",
        ),
        _named(
            "cifar10_10000_5000_50000",
            per_class(1000, 500, all_but_query),
            "1,000 query and 500 train rows a class of all 60,000; database with the train rows (BiHalf II, CIMON)",
        ),
        _named(
            "cifar10_official_10000_50000_50000",
            by_fold(None, None, the_train_rows),
            "the publisher's division: test part as queries, train part as train rows and database (GreedyHash, TBH)",
        ),
        _named(
            "cifar10_official_5000_5000_50000",
            half_the_test_part(500),
            "half the test part as queries, 500 train rows a class, the train part as database (CIBHash)",
        ),
        _named(
            "nuswide21_2100_10500_193734",
            quota_per_concept(100, 500),
            "quotas of 100 query and 500 train rows a concept; database with the train rows",
        ),
        _named(
            "nuswide10_5000_5000_181577",
            at_random(5000, 5000, all_but_query),
            "5,000 queries and 5,000 train rows at random; database with the train rows (DPCHash)",
        ),
        _named(
            "nuswide10_5000_10500_181577",
            at_random(5000, 10500, all_but_query),
            "5,000 queries and 10,500 train rows at random; database with the train rows (BiHalf)",
        ),
        _named(
            "mscoco_5000_10000_117218",
            at_random(5000, 10000, all_but_query),
            "5,000 queries and 10,000 train rows at random of the images with a label; database with the train rows",
        ),
        _named(
            "mirflickr25k_2000_5000_23000",
            at_random(2000, 5000, all_but_query),
            "2,000 queries and 5,000 train rows at random; database with the train rows; 24 labels (BiHalf, DPCHash)",
        ),
        _named(
            "mirflickr25k_1000_4000_20000",
            at_random(1000, 4000, neither_query_nor_train),
            "1,000 queries and 4,000 train rows at random; database without the train rows; 38 labels (DeepHash)",
        ),
        _named(
            "mirflickr25k_2000_10000_18015",
            at_random(2000, 10000, all_but_query),
            "of the 20,015 images with common tags; database with the train rows; 24 labels (SSDH)",
        ),
        _named(
            "imagenet100_5000_13000_128503",
            by_fold(None, 130, all_but_query),
            "all 50 validation images a class as queries, 130 train rows a class, the train part as database (HashNet)",
        ),
        _named(
            "imagenet100_5000_10000_128503",
            by_fold(None, 100, all_but_query),
            "all 50 validation images a class as queries, 100 train rows a class, the train part as database",
        ),
    )
}

_GENERIC: dict[str, tuple[str, Callable[[int, int], Draw]]] = {
    r"per_class_(\d+)_(\d+)_without_train": (
        "per_class_<query>_<train>_without_train",
        lambda query, train: per_class(query, train, neither_query_nor_train),
    ),
    r"per_class_(\d+)_(\d+)_with_train": (
        "per_class_<query>_<train>_with_train",
        lambda query, train: per_class(query, train, all_but_query),
    ),
    r"at_random_(\d+)_(\d+)_without_train": (
        "at_random_<query>_<train>_without_train",
        lambda query, train: at_random(query, train, neither_query_nor_train),
    ),
    r"at_random_(\d+)_(\d+)_with_train": (
        "at_random_<query>_<train>_with_train",
        lambda query, train: at_random(query, train, all_but_query),
    ),
}


def protocol(name: str) -> Protocol:
    """The protocol called `name`.

    Beside those of `PROTOCOLS`: `per_class_<query>_<train>_with_train` (counts of each class) and
    `at_random_<query>_<train>_with_train` (counts of rows) for any data set, or `_without_train`, by whether the
    database holds the train rows; `official` for the publisher's division; `lists:<folder>` for published lists.
    """
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    if name == "official":
        return Protocol(name, "the publisher's division", None, by_fold(None, None, the_train_rows))
    if name.startswith("lists:"):
        folder = Path(name.removeprefix("lists:"))
        return Protocol(f"lists_{folder.name}", f"the lists in {folder}", None, from_lists(folder))
    for pattern, (describes, build) in _GENERIC.items():
        if match := re.fullmatch(pattern, name):
            query, train = (int(count) for count in match.groups())
            return Protocol(name, describes, None, build(query, train))
    allowed = [*PROTOCOLS, *(form for form, _ in _GENERIC.values()), "official", "lists:<folder>"]
    raise HashbenchError(f"unknown protocol '{name}' (allowed: {', '.join(allowed)})")


def from_lists(folder: Path) -> Draw:
    """Rows named by published list files: test.txt, train.txt and database.txt in `folder`.

    A line is an image's path, then the 0s and 1s of its labels (as HashNet publishes them) or nothing. Paths are
    matched by their last parts, as many as tell the data set's files apart; labels must agree with the data set's, in
    whatever order of classes. Where database.txt is missing, the database is every row that is no query.
    """

    def draw(dataset: Dataset, generator: np.random.Generator) -> Parts:
        if not dataset.files:
            raise HashbenchError("list files name images by file name, and this data set has none")
        rows_of = _row_finder(dataset.files)
        query = _read_list(folder / "test.txt", dataset, rows_of)
        train = _read_list(folder / "train.txt", dataset, rows_of)
        database_list = folder / "database.txt"
        if database_list.exists():
            return _shuffled(generator, query, train, _read_list(database_list, dataset, rows_of))
        return _shuffled(generator, query, train, all_but_query(len(dataset), query, train))

    return draw


def _row_finder(files: tuple[str, ...]) -> Callable[[str], int | None]:
    """A function from a published path to the row whose file ends in the same parts."""
    deepest = max(len(PurePosixPath(name).parts) for name in files)
    for depth in range(1, deepest + 1):
        rows = {PurePosixPath(name).parts[-depth:]: row for row, name in enumerate(files)}
        if len(rows) == len(files):
            return lambda path: rows.get(PurePosixPath(path).parts[-depth:])
    raise HashbenchError("the data set has two files of the same name, so that lists cannot tell them apart")


def _read_list(path: Path, dataset: Dataset, row_of: Callable[[str], int | None]) -> Array:
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise HashbenchError(f"list {path} cannot be read ({error}); put the published lists there") from None
    rows = []
    for number, (name, *_) in enumerate(lines, start=1):
        row = row_of(name)
        if row is None:
            raise HashbenchError(f"{path} line {number}: the data set has no file {name}")
        rows.append(row)
    found = np.array(rows, dtype=np.int64)
    _check_labels(path, [fields[1:] for fields in lines], dataset.labels[found])
    return found


def _check_labels(path: Path, listed: list[list[str]], labels: Array) -> None:
    """The listed labels must be the data set's, up to the order of the classes."""
    if not any(listed):
        return
    if any(len(fields) != labels.shape[1] or not set(fields) <= {"0", "1"} for fields in listed):
        raise HashbenchError(f"{path}: lines must hold a path and {labels.shape[1]} labels of 0 or 1")
    columns = np.array(listed) == "1"
    if sorted(column.tobytes() for column in columns.T) != sorted(column.tobytes() for column in labels.T):
        raise HashbenchError(f"{path}: its labels are not those of the data set")


def diff_splits(a: Split, b: Split) -> str:
    """What tells two splits apart, as text of a few lines."""
    lines = [f"a: {_describe(a)}", f"b: {_describe(b)}"]
    if a.digest == b.digest:
        return "\n".join([*lines, "equal: same rows, same order, same labels"])
    for part in ("query", "train", "database"):
        lines.append(f"{part}: {_compare_rows(getattr(a, part), getattr(b, part))}")
    lines.append(f"labels: {_compare_labels(a.labels, b.labels)}")
    return "\n".join(lines)


def _describe(split: Split) -> str:
    within = np.isin(split.train, split.database).mean()
    held = "all" if within == 1 else "none" if within == 0 else f"{within:.1%}"
    counts = _counts((len(split.query), len(split.train), len(split.database)))
    return f"{split.name}, digest {split.digest}, {counts} query / train / database, {held} of train in the database"


def _compare_rows(a: Array, b: Array) -> str:
    if np.array_equal(a, b):
        return "equal"
    only_a, only_b = len(np.setdiff1d(a, b)), len(np.setdiff1d(b, a))
    if not only_a and not only_b:
        return "same rows in another order"
    return f"{len(np.intersect1d(a, b)):,} rows in both, {only_a:,} only in a, {only_b:,} only in b"


def _compare_labels(a: Array, b: Array) -> str:
    if a.shape != b.shape:
        return f"{a.shape[0]:,} rows of {a.shape[1]} classes in a, {b.shape[0]:,} rows of {b.shape[1]} classes in b"
    different = int((a != b).any(axis=1).sum())
    return f"differ in {different:,} of {len(a):,} rows" if different else "equal"
