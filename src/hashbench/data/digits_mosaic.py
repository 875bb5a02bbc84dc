"""Digit mosaics: a small multi-label data set composed of scikit-learn's digits; no download.

Each image is a 2 x 2 grid of cells of 8 x 8 pixels; one to four cells hold a digit, the others are black. An image's
labels are the digits it shows. The composition is drawn from a fixed seed, so it is the same everywhere.
"""

from __future__ import annotations

import numpy as np

from hashbench.data import digits
from hashbench.data.base import TEST_FOLD, TRAIN_FOLD, Dataset, Source
from hashbench.data.fetch import FileSpec
from hashbench.seeding import numpy_generator, run_seed
from hashbench.types import Array

TITLE = "Digit mosaics"
LICENCE = digits.LICENCE
CITATION = digits.CITATION
FILES: tuple[FileSpec, ...] = ()

_MOSAICS = {TRAIN_FOLD: 1500, TEST_FOLD: 300}
_CELLS = ((0, 0), (0, 8), (8, 0), (8, 8))


def load(source: Source) -> Dataset:
    """10 labels; uint8 (1800, 16, 16, 3); 1,500 train mosaics and 300 test mosaics that share no source digit."""
    singles = digits.load(source)
    parts = [_compose(singles, fold, count) for fold, count in _MOSAICS.items()]
    return Dataset(
        name=source.name,
        title=source.title,
        labels=np.concatenate([labels for _, labels in parts]),
        class_names=singles.class_names,
        fold=np.repeat(np.array(list(_MOSAICS), dtype=np.int8), list(_MOSAICS.values())),
        images=np.concatenate([images for images, _ in parts]),
    )


def _compose(singles: Dataset, fold: int, count: int) -> tuple[Array, Array]:
    """`count` mosaics of the digits of one fold: images uint8 (count, 16, 16, 3), labels bool (count, 10)."""
    generator = numpy_generator(run_seed("digits_mosaic", fold))
    pool = np.flatnonzero(singles.fold == fold)
    images = np.zeros((count, 16, 16, 3), dtype=np.uint8)
    labels = np.zeros((count, 10), dtype=np.bool_)
    for image, label in zip(images, labels, strict=True):
        shown = generator.choice(pool, size=generator.integers(1, 5), replace=False)
        for row, cell in zip(shown, generator.permutation(4), strict=False):
            top, left = _CELLS[cell]
            image[top : top + 8, left : left + 8] = singles.read([row])[0]
            label |= singles.labels[row]
    return images, labels
