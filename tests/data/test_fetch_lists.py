"""HashNet's lists of ImageNet100 have no published checksum: what is known of them is checked line by line."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from hashbench.data import imagenet100
from hashbench.data.base import Source
from hashbench.errors import HashbenchError

TRAIN, QUERIES = imagenet100.FILES


def line(image: str, number: int) -> str:
    labels = ["0"] * 100
    labels[number] = "1"
    return f"/home/x/imagenet/{image} {' '.join(labels)}"


def train_line(number: int, image: int) -> str:
    return line(f"image/n{number:08}_{image}.JPEG", number)


def query_line(number: int, image: int) -> str:
    return line(f"val_image/ILSVRC2012_val_{50 * number + image + 1:08}.JPEG", number)


@pytest.fixture(scope="module")
def train_lines() -> list[str]:
    return [train_line(number, image) for image in range(130) for number in range(100)]


@pytest.fixture(scope="module")
def query_lines() -> list[str]:
    return [query_line(number, image) for image in range(50) for number in range(100)]


def fetched(server, source: Source, spec, lines: list[str]) -> Path:
    url = server.add(spec.name, "".join(f"{one}\n" for one in lines).encode())
    return source.fetch(dataclasses.replace(spec, urls=(url,)))


def test_lists_of_the_published_form_are_taken_and_pinned(server, source, train_lines, query_lines):
    for spec, lines in ((TRAIN, train_lines), (QUERIES, query_lines)):
        path = fetched(server, source, spec, lines)
        assert path.read_text().splitlines() == lines
        assert path.with_name(f"{path.name}.sha256").exists()


def test_the_lists_are_those_of_one_commit(train_lines):
    for spec in imagenet100.FILES:
        assert all("/thuml/HashNet/48652bff55009f81c5291bdf8b096b43d258e7e2/" in url for url in spec.urls)


TWO_ONES = train_line(7, 0)[:-1] + "1"
BAD_LINES = {
    "": "line 3 names no train image of ILSVRC 2012",
    "404: Not Found": "line 3 names no train image",
    query_line(0, 0): "line 3 names no train image",
    line("n1_0.JPEG", 0): "line 3 names no train image",
    line("n0000000²_0.JPEG", 0): "line 3 names no train image",
    train_line(7, 0)[:-2]: "line 3 does not end in 100 labels, a single 1 among 0s",
    train_line(7, 0) + " 0": "line 3 does not end in 100 labels",
    train_line(7, 0).replace("1 0", "0 0"): "line 3 does not end in 100 labels",
    train_line(7, 0)[:-1] + "2": "line 3 does not end in 100 labels",
    TWO_ONES: "line 3 does not end in 100 labels",
    line("n00000008_9999.JPEG", 7): "its class 7 is both n00000008 and n00000007",
}


@pytest.mark.parametrize(("bad", "problem"), BAD_LINES.items(), ids=range(len(BAD_LINES)))
def test_a_train_list_with_a_line_of_another_form_is_refused(server, source, train_lines, bad, problem):
    lines = [*train_lines[:2], bad, *train_lines[3:]]
    with pytest.raises(HashbenchError, match=r"train\.txt is not the published file: ") as caught:
        fetched(server, source, TRAIN, lines)
    assert problem in str(caught.value)
    assert {path.name for path in (source.folders[0] / "imagenet100").glob("train*")} == {"train.txt.rejected"}


def test_lists_of_other_lengths_or_classes_are_refused(server, source, train_lines, query_lines):
    of_99_synsets = [text.replace("n00000099_", "n00000098_9") for text in train_lines]
    twice = [*query_lines[:-1], query_lines[99]]
    moved = [*query_lines[:-1], query_line(99, 49).replace("0 1", "1 0")]
    for spec, lines, problem in (
        (TRAIN, train_lines[:-1], r"it has 12,999 lines in place of 13,000"),
        (TRAIN, [*train_lines, train_line(0, 130)], r"it has 13,001 lines in place of 13,000"),
        (TRAIN, of_99_synsets, r"it names 99 synsets in place of 100"),
        (QUERIES, query_lines[:2500], r"it has 2,500 lines in place of 5,000"),
        (QUERIES, twice, r"its class 99 has 49 images in place of 50"),
        (QUERIES, moved, r"its class 98 has 51 images in place of 50"),
        (QUERIES, train_lines[:5000], r"line 1 names no validation image of ILSVRC 2012"),
    ):
        with pytest.raises(HashbenchError, match=rf"{spec.name} is not the published file: {problem}; kept aside"):
            fetched(server, source, spec, lines)


def test_a_wrong_list_put_there_by_hand_is_refused(source, train_lines):
    path = source.folders[0] / TRAIN.name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\xff\xfe\n")
    with pytest.raises(HashbenchError, match=r"line 1 names no train image of ILSVRC 2012; kept aside as train\.txt"):
        source.fetch(TRAIN)


def test_the_lists_say_which_images_make_up_the_data_set(server, source, jpeg, train_lines, query_lines, monkeypatch):
    specs = []
    for spec, lines in ((TRAIN, train_lines), (QUERIES, query_lines)):
        url = server.add(spec.name, "\n".join(lines).encode())
        specs.append(dataclasses.replace(spec, urls=(url,)))
    monkeypatch.setattr(imagenet100, "FILES", tuple(specs))
    folder = source.folders[0] / "imagenet100"
    (folder / "image").mkdir(parents=True)
    (folder / "val_image").mkdir()
    (folder / "image" / "n00000042_7.JPEG").write_bytes(jpeg(0))
    (folder / "val_image" / "ILSVRC2012_val_00000051.JPEG").write_bytes(jpeg(1))
    dataset = imagenet100.load(source, on_bad_image="skip")
    assert dataset.class_names == tuple(f"n{number:08}" for number in range(100))
    assert dataset.files == ("n00000042_7.JPEG", "ILSVRC2012_val_00000051.JPEG")
    assert dataset.labels.argmax(axis=1).tolist() == [42, 1]
    assert len(dataset.skipped) == 4999
