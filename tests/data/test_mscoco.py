"""MS-COCO through its own download."""

from __future__ import annotations

import numpy as np
import pytest

from hashbench.data import mscoco
from hashbench.data.splits import protocol

from .publishers import coco_files


@pytest.fixture
def coco(publish, zipped, jpeg):
    return lambda **habits: publish(mscoco, coco_files(zipped, jpeg), **habits)


def test_mscoco_keeps_the_images_that_show_an_object(coco, source):
    coco()
    dataset = mscoco.load(source)
    assert dataset.class_names == ("person", "dog", "toothbrush")
    assert dataset.labels.tolist() == [[1, 1, 0], [0, 0, 1], [0, 1, 0], [1, 0, 1]]
    assert dataset.fold.tolist() == [0, 0, 1, 1]
    assert dataset.files[0] == "train2014/COCO_train2014_000000000009.jpg"
    assert [image.shape[0] for image in dataset.read(np.arange(4))] == [19, 40, 52, 83]


def test_mscoco_survives_broken_downloads_and_busy_servers(coco, source):
    coco(cut=[1000, 1500], statuses=[503])
    assert len(mscoco.load(source)) == 4


def test_mscoco_follows_published_lists_with_their_own_paths_and_class_order(coco, source, tmp_path):
    coco()
    dataset = mscoco.load(source)
    (tmp_path / "test.txt").write_text("/home/someone/dataset/coco/val2014/COCO_val2014_000000000073.jpg 1 0 1\n")
    (tmp_path / "train.txt").write_text(
        "/home/someone/dataset/coco/train2014/COCO_train2014_000000000009.jpg 0 1 1\n"
        "/home/someone/dataset/coco/train2014/COCO_train2014_000000000030.jpg 1 0 0\n"
    )
    split = protocol(f"lists:{tmp_path}")(dataset, 0)
    assert split.query.tolist() == [3]
    assert sorted(split.train.tolist()) == [0, 1]
    assert sorted(split.database.tolist()) == [0, 1, 2]
