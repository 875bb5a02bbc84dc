"""MIRFlickr-25k through its own download."""

from __future__ import annotations

import zipfile

import pytest

from hashbench.data import mirflickr25k
from hashbench.data.images import ImageFiles
from hashbench.errors import HashbenchError

from .publishers import mirflickr_files


@pytest.fixture
def mirflickr(publish, zipped, jpeg, monkeypatch):
    monkeypatch.setattr(mirflickr25k, "_N_IMAGES", 6)
    publish(mirflickr25k, mirflickr_files(zipped, jpeg))


def test_mirflickr25k(mirflickr, source, jpeg):
    dataset = mirflickr25k.load(source)
    assert dataset.class_names == ("baby", "sky")
    assert dataset.labels.tolist() == [[0, 1], [1, 1], [1, 0], [0, 1], [0, 0], [0, 0]]
    assert isinstance(dataset.images, ImageFiles)
    assert [image.shape for image in dataset.read([0, 5])] == [(21, 30, 3), (26, 30, 3)]
    assert dataset.files[5] == "mirflickr/im6.jpg"
    with_relevant = mirflickr25k.load(source, labels=38)
    assert with_relevant.class_names == ("baby", "baby_r1", "sky")
    assert with_relevant.labels[2].tolist() == [True, True, False]


def test_mirflickr25k_with_common_tags_only(mirflickr, source):
    assert mirflickr25k.load(source, min_tag_images=3).files == tuple(f"mirflickr/im{n}.jpg" for n in (1, 2, 3))
    assert mirflickr25k.load(source, min_tag_images=1).files == tuple(f"mirflickr/im{n}.jpg" for n in (1, 2, 3, 4))


def test_mirflickr25k_allows_24_or_38_labels(mirflickr, source):
    with pytest.raises(HashbenchError, match=r"labels is 25 \(allowed: 24, 38\)"):
        mirflickr25k.load(source, labels=25)


def test_the_zip_of_a_data_set_is_opened_only_when_verified(publish, source, zipped, monkeypatch):
    monkeypatch.setattr(mirflickr25k, "_N_IMAGES", 1)
    publish(mirflickr25k, [zipped({"mirflickr/im1.jpg": b""}), zipped({"sky.txt": b"1"})])
    target = source.folders[0] / mirflickr25k.FILES[0].name
    target.parent.mkdir(parents=True)
    target.write_bytes(b"not it")
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("opened before it was verified"))
    with pytest.raises(HashbenchError, match=r"mirflickr25k\.zip is not the published file"):
        mirflickr25k.load(source)
