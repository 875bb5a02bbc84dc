"""Mosaics: a multi-label data set composed of the images of an image folder, with class frequencies as in photographs.

Each image is a 2 x 2 grid; one to four cells hold an image, the others are black. An image's labels are the classes it
shows. The composition is drawn from a fixed seed, so it is the same everywhere. As real multi-label sets are, it is
uneven: two images in five show the first class, one in twelve the last, and about a third of all pairs share a label.
"""

from __future__ import annotations

import numpy as np

from hashbench.data import imagefolder
from hashbench.data.base import TEST_FOLD, TRAIN_FOLD, Dataset, Source
from hashbench.data.fetch import FileSpec
from hashbench.data.images import ImageFiles
from hashbench.data.mosaics import compose
from hashbench.errors import HashbenchError
from hashbench.types import Array

TITLE = "Mosaics"
LICENCE = imagefolder.LICENCE
CITATION = imagefolder.CITATION
FILES: tuple[FileSpec, ...] = ()
BY_HAND = imagefolder.BY_HAND

_SHOWN = np.array([0.45, 0.3, 0.15, 0.1])  # how many mosaics show one, two, three and four images
_UNEVENNESS = 0.7  # the class number r, from 1, is drawn in proportion to r to the minus this


def load(source: Source, file: str, train: int, test: int, sha256: str | None = None) -> Dataset:
    """`train` mosaics of the train part's images and `test` of the test part's, so that the two share no image.

    `file`, `sha256`: as of an image folder, single-label and with images of one size.
    """
    singles = imagefolder.load(source, file, sha256)
    if isinstance(singles.images, ImageFiles):
        raise HashbenchError(f"data set {source.name}: the images of {file} differ in size or are too large")
    classes = singles.labels.argmax(axis=1)
    sizes = np.bincount(classes, minlength=len(singles.class_names))
    weights = (np.arange(1, len(sizes) + 1) ** -_UNEVENNESS / sizes)[classes]

    def draw(generator: np.random.Generator, pool: Array) -> Array:
        count = 1 + generator.choice(len(_SHOWN), p=_SHOWN)
        return generator.choice(pool, size=count, replace=False, p=weights[pool] / weights[pool].sum())

    return compose(source, singles, {TRAIN_FOLD: train, TEST_FOLD: test}, draw, "mosaic")
