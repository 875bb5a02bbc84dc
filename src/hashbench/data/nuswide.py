"""NUS-WIDE: 269,648 photographs from Flickr with 81 concepts, of which papers use the 21 or 10 most frequent."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hashbench.data.archives import open_zip, read_member
from hashbench.data.base import Dataset, Source
from hashbench.data.fetch import FileSpec
from hashbench.data.images import BadImagePolicy, ImageFiles, open_images
from hashbench.errors import HashbenchError
from hashbench.types import Array

TITLE = "NUS-WIDE"
LICENCE = "non-commercial research; photographs under Flickr's terms, each with its own licence"
CITATION = """\
@inproceedings{chua2009nus,
  author = {Chua, Tat-Seng and Tang, Jinhui and Hong, Richang and Li, Haojie and Luo, Zhiping and Zheng, Yantao},
  title = {{NUS-WIDE}: A Real-World Web Image Database from National University of Singapore},
  booktitle = {ACM International Conference on Image and Video Retrieval},
  year = {2009}
}"""

_PAGE = "https://lms.comp.nus.edu.sg/wp-content/uploads/2019/research/nuswide/NUS-WIDE.html"
FILES = (
    FileSpec("nuswide/ImageList.zip", by_hand=f"put there the 'Image List' zip of {_PAGE}"),
    FileSpec("nuswide/Groundtruth.zip", by_hand=f"put there the 'Groundtruth' zip (concepts) of {_PAGE}"),
)
BY_HAND = {
    "nuswide/Flickr": f"ask for the images by the form at {_PAGE} and put them there as the publisher lays them out, "
    f"<folder>/<name>.jpg, the paths of Imagelist.txt"
}


def load(source: Source, concepts: int, unlabelled: bool = False, on_bad_image: BadImagePolicy = "fatal") -> Dataset:
    """The images that show at least one of the `concepts` most frequent concepts (of 81).

    21 leaves 195,834 images, 10 leaves 186,577; `unlabelled` keeps the images that show none, as HashNet's lists do.
    The test part is the publisher's. Many copies lack images whose owners removed them: `on_bad_image: skip` leaves
    these out, and a protocol that needs them all says so.
    """
    image_list, truth, images = source.gather(FILES, BY_HAND)
    names = _read_names(image_list, "Imagelist.txt")
    test_names = set(_read_names(image_list, "TestImagelist.txt"))
    class_names, labels = _read_concepts(truth, len(names))
    if not 1 <= concepts <= len(class_names):
        raise HashbenchError(f"data set {source.name}: concepts is {concepts} (allowed: 1 to {len(class_names)})")
    chosen = np.sort(np.argsort(-labels.sum(axis=0), kind="stable")[:concepts])
    labels = labels[:, chosen]
    rows = np.arange(len(labels)) if unlabelled else np.flatnonzero(labels.any(axis=1))
    opened = open_images(ImageFiles(tuple(f"{images}/{names[row]}" for row in rows)), on_bad_image, source.title)
    rows = rows[opened.kept]
    return Dataset(
        name=source.name,
        title=source.title,
        labels=labels[rows],
        class_names=tuple(class_names[column] for column in chosen),
        fold=np.array([names[row] in test_names for row in rows], dtype=np.int8),
        images=opened.images,
        files=tuple(names[row] for row in rows),
        skipped=opened.skipped,
    )


def _read_names(path: Path, ending: str) -> list[str]:
    """The image paths of a list; the publisher writes them with backslashes."""
    with open_zip(path) as archive:
        members = [name for name in archive.namelist() if name.rpartition("/")[2] == ending]
    if len(members) != 1:
        raise HashbenchError(
            f"{path}: holds {len(members)} files {ending}, expected one; put the publisher's zip there"
        )
    return read_member(path, members[0]).decode().replace("\\", "/").split()


def _read_concepts(path: Path, n: int) -> tuple[list[str], Array]:
    """Concept names, sorted, and labels bool (n, c), from AllLabels/Labels_<concept>.txt: a 0 or 1 for each image."""
    with open_zip(path) as archive:
        members = sorted(name for name in archive.namelist() if "AllLabels/Labels_" in name)
    if not members:
        raise HashbenchError(f"{path}: holds no AllLabels/Labels_<concept>.txt; put the publisher's zip there")
    labels = np.zeros((n, len(members)), dtype=np.bool_)
    for column, member in enumerate(members):
        values = read_member(path, member).split()
        if len(values) != n or not set(values) <= {b"0", b"1"}:
            raise HashbenchError(f"{path}: {member} is no list of {n:,} zeros and ones; put the publisher's zip there")
        labels[:, column] = np.array(values) == b"1"
    return [member.rpartition("Labels_")[2].removesuffix(".txt") for member in members], labels
