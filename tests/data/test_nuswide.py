"""NUS-WIDE, whose files come by form only."""

from __future__ import annotations

import pytest

from hashbench.data import nuswide
from hashbench.data.images import BadImageError
from hashbench.data.splits import protocol
from hashbench.errors import HashbenchError

from .publishers import nus_files, put


@pytest.fixture
def nus(source, nus_images, zipped, jpeg):
    put(source.folders[0], dict(zip([spec.name for spec in nuswide.FILES], nus_files(zipped, jpeg), strict=True)))
    return source.folders[0] / "nuswide"


def test_nuswide_keeps_the_images_of_the_most_frequent_concepts(nus, source):
    dataset = nuswide.load(source, concepts=2)
    assert dataset.class_names == ("person", "sky")
    assert dataset.labels.tolist() == [[0, 1], [1, 1], [1, 0], [1, 1]]
    assert dataset.files == ("actor/0000_0.jpg", "actor/0001_1.jpg", "zoo/0002_2.jpg", "zoo/0003_3.jpg")
    assert dataset.fold.tolist() == [0, 0, 0, 1]
    assert dataset.read([2])[0].shape == (22, 24, 3)
    assert nuswide.load(source, concepts=3).class_names == ("cow", "person", "sky")
    with pytest.raises(HashbenchError, match=r"concepts is 81 \(allowed: 1 to 4\)"):
        nuswide.load(source, concepts=81)


def test_nuswide_images_that_flickr_lost_are_named_or_skipped(nus, source):
    (nus / "Flickr/actor/0001_1.jpg").unlink()
    with pytest.raises(BadImageError, match=r"actor/0001_1\.jpg: image missing, one of 1"):
        nuswide.load(source, concepts=2)
    dataset = nuswide.load(source, concepts=2, on_bad_image="skip")
    assert dataset.labels.tolist() == [[0, 1], [1, 0], [1, 1]]
    assert [path.rpartition("Flickr/")[2] for path in dataset.skipped] == ["actor/0001_1.jpg"]


def test_nuswide_says_what_to_put_where(source):
    with pytest.raises(HashbenchError) as caught:
        nuswide.load(source, concepts=21)
    folder = source.folders[0] / "nuswide"
    for place, what in (
        ("ImageList.zip", "is missing and cannot be fetched: put there the 'Image List' zip of https"),
        ("Groundtruth.zip", "is missing and cannot be fetched: put there the 'Groundtruth' zip"),
        ("Flickr", "is missing; ask for the images by the form at https"),
    ):
        assert f"{folder / place} {what}" in str(caught.value)


def test_nuswide_keeps_images_without_a_label_on_request(nus, source):
    dataset = nuswide.load(source, concepts=2, unlabelled=True)
    assert len(dataset) == 5
    assert not dataset.labels[4].any()


def test_nuswide_follows_published_lists_that_name_photographs_by_their_web_address(nus, source, tmp_path):
    (tmp_path / "test.txt").write_text("images/17_3_0a1b2c3d4e_m.jpg 1 1\n")
    (tmp_path / "train.txt").write_text("./data/images/4_0_0123456789_m.jpg 1 0\nactor/0001_1.jpg 1 1\n")
    split = protocol(f"lists:{tmp_path}")(nuswide.load(source, concepts=2), 0)
    assert split.query.tolist() == [3]
    assert sorted(split.train.tolist()) == [0, 1]


def test_nuswide_notices_a_label_file_that_does_not_fit(nus, source, zipped):
    (nus / "Groundtruth.zip").write_bytes(zipped({"Groundtruth/AllLabels/Labels_sky.txt": b"1\n0\n"}))
    with pytest.raises(HashbenchError, match=r"Labels_sky\.txt is no list of 5 zeros and ones"):
        nuswide.load(source, concepts=1)
