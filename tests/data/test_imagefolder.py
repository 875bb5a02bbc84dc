"""Folders and zips of images, a folder a class."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from hashbench.data import cifar10, imagefolder
from hashbench.data.images import BadImageError
from hashbench.data.splits import protocol
from hashbench.errors import HashbenchError


@pytest.fixture
def tree(jpeg):
    return {
        f"{part}/{name}/{n}.jpg": jpeg(n)
        for part, count in (("train", 4), ("test", 2))
        for name in ("cat", "ant")
        for n in range(count)
    }


def test_imagefolder_reads_a_zip_and_a_folder_alike(source, tree, zipped):
    folder = source.folders[0]
    for name, content in {**tree, "train/cat/notes.txt": b"", "train/cat/.hidden.jpg": b""}.items():
        path = folder / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / "tree.zip").write_bytes(zipped(tree))
    unpacked, packed = imagefolder.load(source, "tree"), imagefolder.load(source, "tree.zip")
    np.testing.assert_array_equal(unpacked.images, packed.images)
    for dataset in (unpacked, packed):
        assert dataset.class_names == ("ant", "cat")
        assert dataset.images.shape == (12, 24, 24, 3)
        assert dataset.labels.sum(axis=0).tolist() == [6, 6]
        assert dataset.fold.sum() == 4
        assert dataset.files == tuple(sorted(tree))


def test_imagefolder_refuses_another_layout_and_a_zip_that_changed(source, tree, zipped):
    path = source.folders[0] / "tree.zip"
    path.parent.mkdir(parents=True)
    path.write_bytes(zipped({**tree, "val/cat/0.jpg": b""}))
    with pytest.raises(HashbenchError, match=r"tree\.zip: val/cat/0\.jpg is not laid out train/<class>/<image>"):
        imagefolder.load(source, "tree.zip")
    path.write_bytes(zipped(tree))
    with pytest.raises(HashbenchError, match="not the published file"):
        imagefolder.load(source, "tree.zip")


def test_imagefolder_skips_or_names_a_truncated_image_in_a_zip(source, tree, zipped):
    path = source.folders[0] / "tree.zip"
    path.parent.mkdir(parents=True)
    path.write_bytes(zipped({**tree, "test/ant/0.jpg": tree["test/ant/0.jpg"][:200]}))
    with pytest.raises(BadImageError, match=r"tree\.zip/test/ant/0\.jpg: image cannot be decoded"):
        imagefolder.load(source, "tree.zip")
    dataset = imagefolder.load(source, "tree.zip", on_bad_image="skip")
    assert len(dataset) == 11
    assert "test/ant/0.jpg" not in dataset.files


def test_the_real_cifar10_as_jpeg(shared, source, zipped):
    """Every twentieth of the 60,000 real images; all of them take ten seconds to decode and show no more."""
    with zipfile.ZipFile(shared / "data" / "cifar10-jpeg.zip") as whole:
        assert len(whole.namelist()) == 60_000
        some = zipped({name: whole.read(name) for name in whole.namelist()[::20]})
    path = source.folders[0] / "some.zip"
    path.parent.mkdir(parents=True)
    path.write_bytes(some)
    dataset = imagefolder.load(source, "some.zip")
    assert dataset.images.shape == (3000, 32, 32, 3)
    assert dataset.class_names == cifar10._CLASSES
    assert dataset.labels.sum(axis=0).tolist() == [300] * 10
    assert dataset.fold.sum() == 500
    assert 100 < dataset.images.mean() < 140
    assert protocol("per_class_5_25_without_train")(dataset, 0).name.endswith("_50_250_2700")
