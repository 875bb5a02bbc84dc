"""Multi-label images composed of single-label ones: a 2 x 2 grid whose cells hold an image each or stay black."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from hashbench.data.base import Dataset, Source
from hashbench.seeding import numpy_generator, run_seed
from hashbench.types import Array

CELLS = 4

Draw = Callable[[np.random.Generator, Array], Array]


def compose(source: Source, singles: Dataset, counts: Mapping[int, int], draw: Draw, seed_of: str) -> Dataset:
    """`counts` mosaics of each fold of `singles`, made of that fold's images alone; labels are all that is shown.

    `draw` chooses the rows of one mosaic, 1 to 4, from those of a fold (n,); where each lies is random. `seed_of` is
    the name that a fold's seed is made from.
    """
    parts = [_fold(singles, fold, count, draw, seed_of) for fold, count in counts.items()]
    return Dataset(
        name=source.name,
        title=source.title,
        labels=np.concatenate([labels for _, labels in parts]),
        class_names=singles.class_names,
        fold=np.repeat(np.array(list(counts), dtype=np.int8), list(counts.values())),
        images=np.concatenate([images for images, _ in parts]),
    )


def _fold(singles: Dataset, fold: int, count: int, draw: Draw, seed_of: str) -> tuple[Array, Array]:
    generator, pool = numpy_generator(run_seed(seed_of, fold)), np.flatnonzero(singles.fold == fold)
    height, width = np.asarray(singles.read(pool[:1])).shape[1:3]
    images = np.zeros((count, 2 * height, 2 * width, 3), dtype=np.uint8)
    labels = np.zeros((count, len(singles.class_names)), dtype=np.bool_)
    for image, label in zip(images, labels, strict=True):
        shown = draw(generator, pool)
        for row, cell in zip(shown, generator.permutation(CELLS), strict=False):
            top, left = height * (cell // 2), width * (cell % 2)
            image[top : top + height, left : left + width] = singles.read([row])[0]
            label |= singles.labels[row]
    return images, labels
