"""Mosaics of an image folder's images."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from hashbench.config.params import load_params
from hashbench.data import imagefolder, mosaic
from hashbench.data.base import Source
from hashbench.data.registry import load_dataset

ROOT = Path(__file__).parents[2]


@pytest.fixture
def embedded(monkeypatch):
    """`embedded(name)`: a data set of params.yaml whose files the repository brings along."""
    monkeypatch.chdir(ROOT)
    params = load_params()

    def load(name):
        block = params.datasets[name]
        return load_dataset(block.kind, Source(name, block.title, (Path("nowhere"),)), block.load_options)

    return load


def test_cells_hold_the_images_of_one_part_and_labels_are_what_is_shown(source, jpeg, zipped):
    tree = {
        f"{part}/{name}/{n}.png": jpeg(100 * n + 10 * (part == "test") + place)
        for part, count in (("train", 9), ("test", 5))
        for place, name in enumerate(("ant", "bee", "cat"))
        for n in range(count)
    }
    source.folders[0].mkdir(parents=True, exist_ok=True)
    (source.folders[0] / "tree.zip").write_bytes(zipped(tree))
    singles = imagefolder.load(source, "tree.zip")
    dataset = mosaic.load(source, "tree.zip", train=300, test=60)
    assert dataset.images.shape == (360, 48, 48, 3)
    assert dataset.fold.tolist() == [0] * 300 + [1] * 60
    row_of = {image.tobytes(): row for row, image in enumerate(singles.images)}
    counts = []
    for image, labels, fold in zip(dataset.images, dataset.labels, dataset.fold, strict=True):
        cells = [image[top : top + 24, left : left + 24] for top in (0, 24) for left in (0, 24)]
        rows = [row_of[np.ascontiguousarray(cell).tobytes()] for cell in cells if cell.any()]
        assert len(set(rows)) == len(rows)
        assert (singles.fold[rows] == fold).all()
        assert np.array_equal(singles.labels[rows].any(axis=0), labels)
        counts.append(len(rows))
    assert np.bincount(counts, minlength=5)[0] == 0
    assert np.bincount(counts, minlength=5)[1:].min() > 0
    again = mosaic.load(source, "tree.zip", train=300, test=60)
    assert again.images.tobytes() == dataset.images.tobytes()


def test_the_embedded_images_are_those_that_the_readme_tells_of(embedded):
    dataset = embedded("cifar10_6000")
    assert dataset.images.shape == (6000, 32, 32, 3)
    assert dataset.labels[dataset.fold == 0].sum(axis=0).tolist() == [500] * 10
    assert dataset.labels[dataset.fold == 1].sum(axis=0).tolist() == [100] * 10
    readme = (ROOT / "embedded/README.md").read_text()
    for path in (ROOT / "embedded").iterdir():
        if path.name != "README.md":
            assert hashlib.sha256(path.read_bytes()).hexdigest() in readme, path.name


def test_the_embedded_mosaics_are_as_uneven_as_photographs(embedded):
    dataset = embedded("cifar10_mosaic")
    labels = dataset.labels.astype(np.int64)
    frequencies = labels.mean(axis=0)
    assert frequencies[0] == pytest.approx(0.4, abs=0.03)
    assert frequencies[-1] == pytest.approx(1 / 12, abs=0.02)
    query, rest = labels[dataset.fold == 1], labels[dataset.fold == 0]
    assert (len(query), len(rest)) == (200, 3000)
    assert (query @ rest.T > 0).mean() == pytest.approx(1 / 3, abs=0.03)
