"""A prepared data set on disk: images of one size as one array, others where they lie."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import flip_a_byte
from PIL import Image

from hashbench.artefacts import store
from hashbench.artefacts.dataset import dataset_files, pixels_digest, read_dataset, write_dataset
from hashbench.artefacts.layout import Layout
from hashbench.data.base import Dataset
from hashbench.data.images import ImageFiles
from hashbench.errors import HashbenchError

RNG = np.random.default_rng(0)
LABELS = RNG.random((6, 3)) < 0.5
FOLD = np.array([0, 0, 0, 0, 1, 1], dtype=np.int8)
IMAGES = RNG.integers(256, size=(6, 4, 4, 3), dtype=np.uint8)


@pytest.fixture
def of_one_size() -> Dataset:
    files = tuple(f"{row}.png" for row in range(6))
    return Dataset("shapes", "Shapes", LABELS, ("a", "b", "µ"), FOLD, IMAGES, files)


@pytest.fixture
def of_any_size(tmp_path: Path) -> Dataset:
    (tmp_path / "images").mkdir()
    paths = [tmp_path / "images" / f"{row}.png" for row in range(6)]
    for row, path in enumerate(paths):
        Image.fromarray(IMAGES[row, : 1 + row % 3]).save(path)
    return Dataset("scans", "Scans", LABELS, ("a", "b", "c"), FOLD, ImageFiles(tuple(map(str, paths))))


@pytest.mark.parametrize("name", ["of_one_size", "of_any_size"])
def test_a_data_set_comes_back(layout: Layout, name: str, request: pytest.FixtureRequest) -> None:
    dataset: Dataset = request.getfixturevalue(name)
    write_dataset(layout, dataset)
    read = read_dataset(layout, dataset.name)
    assert (read.name, read.class_names, read.files) == (dataset.name, dataset.class_names, dataset.files)
    for part in ("labels", "fold"):
        assert np.array_equal(getattr(read, part), getattr(dataset, part))
        assert getattr(read, part).dtype == getattr(dataset, part).dtype
    for found, expected in zip(read.read(range(6)), dataset.read(range(6)), strict=True):
        assert np.array_equal(found, expected)
    assert read.pixels_digest() == dataset.pixels_digest() == pixels_digest(layout, dataset.name)


def test_images_of_one_size_are_mapped_and_no_others_are_kept(
    layout: Layout, of_one_size: Dataset, of_any_size: Dataset
) -> None:
    for dataset, names in ((of_one_size, ["images.npy", "labels.safetensors"]), (of_any_size, ["labels.safetensors"])):
        write_dataset(layout, dataset)
        assert [path.name for path in dataset_files(layout, dataset.name)] == names
    assert isinstance(read_dataset(layout, "shapes").images, np.memmap)


def test_what_is_written_again_is_left_as_it_lies(layout: Layout, of_one_size: Dataset) -> None:
    write_dataset(layout, of_one_size)
    before = {path: path.stat().st_ino for path in layout.dataset("shapes").iterdir()}
    write_dataset(layout, of_one_size)
    assert {path: path.stat().st_ino for path in layout.dataset("shapes").iterdir()} == before


def test_one_changed_pixel_is_another_digest(layout: Layout, of_one_size: Dataset) -> None:
    write_dataset(layout, of_one_size)
    before = pixels_digest(layout, "shapes")
    images = IMAGES.copy()
    images[3, 2, 1, 0] ^= 1
    write_dataset(layout, replace(of_one_size, images=images))
    assert pixels_digest(layout, "shapes") != before


@pytest.mark.parametrize("name", ["images.npy", "images.npy.json", "labels.safetensors", "labels.safetensors.json"])
def test_damage_is_refused_and_named_before_it_is_mended(
    layout: Layout, of_one_size: Dataset, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_dataset(layout, of_one_size)
    path = layout.dataset("shapes") / name
    whole = path.read_bytes()
    flip_a_byte(path)
    with pytest.raises(store.DamagedError) as caught:
        read_dataset(layout, "shapes")
    assert str(caught.value).startswith(f"{path} is damaged (")
    with caplog.at_level("WARNING", logger="hashbench"):
        write_dataset(layout, of_one_size)
    assert f"{path} is damaged" in caplog.text
    assert path.read_bytes() == whole


@pytest.mark.parametrize("name", ["images.npy", "labels.safetensors", "labels.safetensors.json"])
def test_a_missing_file_is_told_with_its_remedy(layout: Layout, of_one_size: Dataset, name: str) -> None:
    write_dataset(layout, of_one_size)
    (layout.dataset("shapes") / name).unlink()
    with pytest.raises(HashbenchError, match=r"is missing; run `dvc repro` to make it") as caught:
        read_dataset(layout, "shapes")
    assert name in str(caught.value)
