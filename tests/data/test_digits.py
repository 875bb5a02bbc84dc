"""The two data sets that need no download."""

from __future__ import annotations

import numpy as np

from hashbench.data import digits, digits_mosaic


def test_digits(source):
    dataset = digits.load(source)
    assert dataset.images.shape == (1797, 8, 8, 3)
    assert (dataset.images.min(), dataset.images.max()) == (0, 255)
    assert dataset.is_single_label
    assert dataset.fold.sum() == 360
    assert dataset.labels[dataset.fold == 1].sum(axis=0).min() >= 30


def test_digits_mosaic_shows_its_labels_and_shares_no_digit_between_the_parts(source):
    singles, dataset = digits.load(source), digits_mosaic.load(source)
    assert dataset.images.shape == (1800, 16, 16, 3)
    assert not dataset.is_single_label
    rows_of: dict[bytes, set[int]] = {}
    for row, image in enumerate(singles.images):
        rows_of.setdefault(image.tobytes(), set()).add(row)
    for row in range(len(dataset)):
        image = dataset.images[row]
        cells = [image[top : top + 8, left : left + 8] for top in (0, 8) for left in (0, 8)]
        shown = [rows_of[np.ascontiguousarray(cell).tobytes()] for cell in cells if cell.any()]
        assert 1 <= len(shown) <= 4
        assert all({int(singles.fold[source_row]) for source_row in rows} == {dataset.fold[row]} for rows in shown)
        digits_shown = {int(singles.labels[next(iter(rows))].argmax()) for rows in shown}
        assert digits_shown == set(np.flatnonzero(dataset.labels[row]))
    sizes = np.unique(dataset.labels.sum(axis=1))
    assert sizes.tolist() == [1, 2, 3, 4]
    assert digits_mosaic.load(source).images.tobytes() == dataset.images.tobytes()
