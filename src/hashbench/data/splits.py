"""Protocols: named, seeded ways to draw query, train and database rows.

A protocol's name ends in its three counts, query_train_database, because papers number theirs I, II, III in different
ways. Whether the database holds the train rows follows from the counts and is said in `PROTOCOLS`. A protocol applies
to any data set that has the counts: it checks them, not the data set's name. Every part comes in shuffled order. Where
authors published their rows as list files, a protocol with their name in it takes those.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hashbench.data.base import Dataset
from hashbench.data.drawing import (
    Draw,
    all_but_query,
    at_random,
    at_random_by_fold,
    by_fold,
    half_the_test_part,
    neither_query_nor_train,
    per_class,
    quota_per_concept,
    the_train_rows,
)
from hashbench.data.lists import from_lists, published
from hashbench.errors import HashbenchError
from hashbench.seeding import numpy_generator, run_seed
from hashbench.types import Array, Split


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
        for part in parts:
            _check_order(name, dataset.labels[part])
        return Split(name, query=query, database=database, train=train, labels=dataset.labels)


def _check_order(name: str, labels: Array) -> None:
    """Raise HashbenchError where rows (n, c) that stand together share a label more often than rows far apart do.

    Codes tie by the thousand, so an order that knows the labels would move a ranking. The limit is seven standard
    deviations of what a random order gives.
    """
    n = len(labels)
    if n < 3:
        return
    near, far = ((labels & np.roll(labels, shift, axis=0)).any(axis=1).mean() for shift in (1, n // 2))
    if abs(near - far) > 7 * np.sqrt(0.5 / n):
        raise HashbenchError(f"protocol {name}: rows lie in the order of their labels; shuffle them")


def _counts(counts: Iterable[int]) -> str:
    return " / ".join(f"{count:,}" for count in counts)


def _named(name: str, draw: Draw, describes: str) -> Protocol:
    query, train, database = (int(count) for count in name.split("_")[-3:])
    return Protocol(name, describes, (query, train, database), draw)


_HASHNET, _HASHNET_COMMIT = "thuml/HashNet", "48652bff55009f81c5291bdf8b096b43d258e7e2"
_DEEPHASH, _DEEPHASH_COMMIT = "swuxyj/DeepHash-pytorch", "3e82823d36bab6467c171bdbe2cdf5a3bff2e0ff"

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
            "cifar10_200_1000_4800",
            per_class(20, 100, neither_query_nor_train),
            "20 query and 100 train rows a class of 6,000 images; database without the train rows",
        ),
        _named(
            "mosaic_200_1000_2000",
            at_random_by_fold(200, 1000, neither_query_nor_train),
            "queries from the mosaics of the images kept apart; the database is the rest, without the train rows",
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
            "nuswide21_deephash_2100_10500_193734",
            published(_DEEPHASH, _DEEPHASH_COMMIT, "data/nuswide_21", test="test.txt", train="train.txt"),
            "the lists of DeepHash-pytorch for NUS-WIDE-21; database with the train rows",
        ),
        _named(
            "nuswide10_bihalf_5000_10500_181577",
            published(
                "liyunqianggyn/Deep-Unsupervised-Image-Hashing",
                "3517c1ad8eafd164667244306ddfa4467135ddfd",
                "ImageHashing/data/Nuswide(II)",
                test="test_sett2.txt",
                train="train_sett2.txt",
            ),
            "BiHalf's lists for NUS-WIDE with 10 concepts; database with the train rows",
        ),
        _named(
            "nuswide81_5000_10000_218496",
            at_random(5000, 10000, all_but_query),
            "5,000 queries and 10,000 train rows at random of 223,496 images; database with the train rows",
        ),
        _named(
            "nuswide81_hashnet_5000_10000_218496",
            published(
                _HASHNET,
                "92631268d47eaed1ca0f7c1726de8e286b719249",
                "pytorch/data/nuswide_81",
                test="test.txt",
                train="train.txt",
            ),
            "HashNet's lists for its copy of 223,496 images, 81 concepts; database with the train rows",
        ),
        _named(
            "mscoco_hashnet_5000_10000_117218",
            published(_HASHNET, _HASHNET_COMMIT, "pytorch/data/coco", test="test.txt", train="train.txt"),
            "HashNet's lists for MS-COCO; database with the train rows",
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
            "mirflickr25k_deephash_1000_4000_20000",
            published(
                _DEEPHASH,
                "8fd4fbbd43ab6746c3dda7f6dd274f7578710fbb",
                "data/mirflickr",
                test="test.txt",
                train="train.txt",
                database="database.txt",
            ),
            "the lists of DeepHash-pytorch for MIRFlickr-25k; database without the train rows; 38 labels",
        ),
        _named(
            "mirflickr25k_2000_10000_18015",
            at_random(2000, 10000, all_but_query),
            "of the 20,015 images with common tags; database with the train rows; 24 labels (SSDH)",
        ),
        _named(
            "voc2012_deephash_1000_4000_6540",
            published(
                _DEEPHASH,
                "15429ebf95c3b5bc423352bff19f3e42de96d339",
                "data/voc2012",
                test="test.txt",
                train="train.txt",
                database="database.txt",
            ),
            "the lists of DeepHash-pytorch for VOC2012; database without the train rows; 20 labels",
        ),
        _named(
            "imagenet100_5000_13000_128503",
            by_fold(None, 130, all_but_query),
            "all 50 validation images a class as queries, 130 train rows a class, the train part as database (HashNet)",
        ),
        _named(
            "imagenet100_hashnet_5000_13000_128503",
            published(_HASHNET, _HASHNET_COMMIT, "pytorch/data/imagenet", test="test.txt", train="train.txt"),
            "HashNet's lists for ImageNet100; the train part as database",
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
