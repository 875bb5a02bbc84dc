"""Hold-outs: parts of the train rows that stand for queries and database, so that nothing else has a say in a setting.

One tenth is queried and two others are searched; a method is fitted on the seven that are left. As in the benchmark, no
row that is searched was seen by the fit: what remembers its own rows would win otherwise. No query and no database row
of the benchmark can be reached from here, and their labels are blanked out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hashbench.evaluation import evaluate
from hashbench.fitting import Features
from hashbench.seeding import numpy_generator
from hashbench.types import Array, Codes, ItemView, Split, TrainView

TENTHS, SEARCHED = 10, 2
FEWEST = 10  # items of a ranking by which a setting is judged


@dataclass(frozen=True)
class HoldOut:
    """Features of train rows alone: what a method is fitted on, and the split by which it is judged."""

    split: Split
    train: TrainView
    all: Features

    def items(self, rows: Array) -> ItemView:
        """The features of some rows of the data set."""
        return self.all.items(rows)


def hold_out(features: Features, seed: int, number: int) -> HoldOut:
    """Hold-out `number`, 0 to 9, of the train rows in an order drawn by `seed`; those of one seed share no query."""
    order = numpy_generator(seed).permutation(len(features.train))
    size = len(order) // TENTHS
    held, searched, kept = np.split(np.roll(order, -number * size), [size, (1 + SEARCHED) * size])
    kept = np.sort(kept)
    train, labels = features.train, np.zeros_like(features.split.labels)
    labels[train.rows] = features.split.labels[train.rows]
    rows = train.rows
    split = Split(f"hold-out {number}", rows[held], rows[searched], rows[kept], labels)
    return HoldOut(split, _part(train, kept), features)


def _part(train: TrainView, kept: Array) -> TrainView:
    """The train rows at the positions `kept`."""

    def of(array: Array | None) -> Array | None:
        return None if array is None else array[kept]

    def of_views(array: Array | None) -> Array | None:
        return None if array is None else array[:, kept]

    return replace(
        train,
        rows=train.rows[kept],
        pooled=of(train.pooled),
        token_mean=of(train.token_mean),
        images=of(train.images),
        views=of_views(train.views),
        view_tokens=of_views(train.view_tokens),
        clip_pooled=of(train.clip_pooled),
        clip_views=of_views(train.clip_views),
    )


def cut_off(k: int | None, held: HoldOut) -> int:
    """The k of validation mAP@k: as large a share of the rows searched as the data set's k is of its database, and all
    where that is all.

    The share decides what wins: a larger one favours codes that gather whole classes in few buckets over codes that
    put the nearest first. At least 10 rows, as the AP of fewer is little but luck.
    """
    n_searched, n_database = len(held.split.database), len(held.all.split.database)
    share = n_searched if k is None else round(k * n_searched / n_database)
    return min(n_searched, max(FEWEST, share))


def validation_map(query: Codes, database: Codes, split: Split, k: int) -> float:
    """The mAP@k of the held-out rows, searched for among the rows that are held out with them."""
    labels = split.labels[split.query], split.labels[split.database]
    return float(evaluate(query, database, *labels, k=k).map)
