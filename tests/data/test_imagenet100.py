"""ImageNet100: the lists are fetched, the images come on registration."""

from __future__ import annotations

import pytest

from hashbench.data import imagenet100
from hashbench.data.images import BadImageError
from hashbench.errors import HashbenchError

from .publishers import imagenet_files


def test_imagenet100(publish, source, imagenet_images):
    folder = source.folders[0] / "imagenet100"
    publish(imagenet100, imagenet_files())
    dataset = imagenet100.load(source)
    assert dataset.class_names == ("n01", "n02")
    assert dataset.files == ("n01_1.JPEG", "n01_2.JPEG", "n02_1.JPEG", "ILSVRC2012_val_00000002.JPEG")
    assert dataset.labels.argmax(axis=1).tolist() == [0, 0, 1, 1]
    assert dataset.fold.tolist() == [0, 0, 0, 1]
    (folder / "val_image/ILSVRC2012_val_00000002.JPEG").unlink()
    with pytest.raises(BadImageError, match=r"ILSVRC2012_val_00000002\.JPEG: image missing"):
        imagenet100.load(source)


def test_imagenet100_says_what_to_put_where(publish, source):
    publish(imagenet100, [b"n01_1.JPEG 1\n", b"val_1.JPEG 1\n"])
    with pytest.raises(
        HashbenchError,
        match=r"(?s)imagenet100/image is missing; put there the train images of ILSVRC 2012.*100/val_image is missing",
    ):
        imagenet100.load(source)
