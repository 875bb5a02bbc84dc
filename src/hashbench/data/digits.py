"""Digits: the 1,797 handwritten digits of 8 x 8 pixels that scikit-learn ships; no download."""

from __future__ import annotations

import numpy as np

from hashbench.data.base import Dataset, Source, one_hot
from hashbench.data.fetch import FileSpec

TITLE = "Digits"
LICENCE = "CC BY 4.0 (UCI Machine Learning Repository)"
CITATION = """\
@misc{alpaydin1998digits,
  author = {Alpaydin, E. and Kaynak, C.},
  title = {Optical Recognition of Handwritten Digits},
  howpublished = {UCI Machine Learning Repository},
  year = {1998},
  doi = {10.24432/C50P49}
}"""
FILES: tuple[FileSpec, ...] = ()

_TEST_ROWS = 360


def load(source: Source) -> Dataset:
    """10 classes; uint8 (1797, 8, 8, 3), grey levels 0-16 stretched to 0-255.

    The set has no published division (it is itself the test part of the original); rows follow the order of
    writing, so the last 360 are the test fold, which keeps one writer's digits together.
    """
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]

    bunch = load_digits()
    grey = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    fold = (np.arange(len(grey)) >= len(grey) - _TEST_ROWS).astype(np.int8)
    return Dataset(
        name=source.name,
        title=source.title,
        labels=one_hot(bunch.target, 10),
        class_names=tuple(str(digit) for digit in range(10)),
        fold=fold,
        images=np.repeat(grey[..., None], 3, axis=3),
    )
