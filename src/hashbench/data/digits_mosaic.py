"""Digit mosaics: a small multi-label data set composed of scikit-learn's digits; no download.

Each image is a 2 x 2 grid of cells of 8 x 8 pixels; one to four cells hold a digit, the others are black. An image's
labels are the digits it shows. The composition is drawn from a fixed seed, so it is the same everywhere.
"""

from __future__ import annotations

import numpy as np

from hashbench.data import digits
from hashbench.data.base import TEST_FOLD, TRAIN_FOLD, Dataset, Source
from hashbench.data.fetch import FileSpec
from hashbench.data.mosaics import CELLS, compose
from hashbench.types import Array

TITLE = "Digit mosaics"
LICENCE = digits.LICENCE
CITATION = digits.CITATION
FILES: tuple[FileSpec, ...] = ()

_MOSAICS = {TRAIN_FOLD: 1500, TEST_FOLD: 300}


def load(source: Source) -> Dataset:
    """10 labels; uint8 (1800, 16, 16, 3); 1,500 train mosaics and 300 test mosaics that share no source digit."""
    return compose(source, digits.load(source), _MOSAICS, _draw, "digits_mosaic")


def _draw(generator: np.random.Generator, pool: Array) -> Array:
    return generator.choice(pool, size=generator.integers(1, CELLS + 1), replace=False)
