"""MIRFlickr-25k: 25,000 photographs from Flickr with several labels each."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Literal

import numpy as np

from hashbench.data.archives import open_zip, read_member
from hashbench.data.base import TRAIN_FOLD, Dataset, Source
from hashbench.data.fetch import FileSpec
from hashbench.data.images import BadImagePolicy, ImageFiles, open_images
from hashbench.errors import HashbenchError
from hashbench.types import Array

TITLE = "MIRFlickr-25k"
LICENCE = "Creative Commons, each photograph under its own terms (listed in the archive)"
CITATION = """\
@inproceedings{huiskes2008mir,
  author = {Huiskes, Mark J. and Lew, Michael S.},
  title = {The MIR Flickr Retrieval Evaluation},
  booktitle = {ACM International Conference on Multimedia Information Retrieval},
  year = {2008}
}"""

_MIRRORS = ("https://press.liacs.nl/mirflickr/mirflickr25k.v3b/", "http://press.liacs.nl/mirflickr/mirflickr25k.v3b/")
_IMAGES, _ANNOTATIONS = "mirflickr25k.zip", "mirflickr25k_annotations_v080.zip"
FILES = (
    FileSpec(
        _IMAGES,
        urls=tuple(mirror + _IMAGES for mirror in _MIRRORS),
        size=3_069_184_257,
        md5="a23d0a8564ee84cda5622a6c2f947785",
    ),
    FileSpec(
        _ANNOTATIONS,
        urls=tuple(mirror + _ANNOTATIONS for mirror in _MIRRORS),
        size=207_220,
        md5="aa0138c79892b1b670184d142380948f",
    ),
)

_N_IMAGES = 25_000


def load(
    source: Source, labels: Literal[24, 38] = 24, min_tag_images: int = 0, on_bad_image: BadImagePolicy = "fatal"
) -> Dataset:
    """The publisher gives no division: every row counts as train part.

    `labels`: 24 for the potential labels, 38 for these and the 14 'relevant' ones (`_r1`), as public codes differ;
    `min_tag_images`: keep only images with a label and with a tag that at least so many images carry (20 leaves the
    20,015 of cross-modal papers); 0 keeps all 25,000.
    """
    if labels not in (24, 38):
        raise HashbenchError(f"data set {source.name}: labels is {labels} (allowed: 24, 38)")
    images, annotations = source.gather(FILES, {})
    class_names, shown = _read_labels(annotations, with_relevant=labels == 38)
    rows = np.arange(_N_IMAGES)
    if min_tag_images:
        rows = np.flatnonzero(shown.any(axis=1) & _has_common_tag(images, min_tag_images))
    names = [f"mirflickr/im{row + 1}.jpg" for row in rows]
    opened = open_images(ImageFiles(tuple(f"{images}/{name}" for name in names)), on_bad_image, source.title)
    return Dataset(
        name=source.name,
        title=source.title,
        labels=shown[rows[opened.kept]],
        class_names=class_names,
        fold=np.full(len(opened.kept), TRAIN_FOLD, dtype=np.int8),
        images=opened.images,
        files=tuple(names[row] for row in opened.kept),
        skipped=opened.skipped,
    )


def _read_labels(path: Path, with_relevant: bool) -> tuple[tuple[str, ...], Array]:
    """Names of the labels, and which of the images 1..25000 show them: one text file a label, one number a line."""
    with open_zip(path) as archive:
        members = {name.rpartition("/")[2].removesuffix(".txt"): name for name in archive.namelist()}
    names = sorted(name for name in members if name and name.lower() != "readme")
    names = [name for name in names if with_relevant or not name.endswith("_r1")]
    shown = np.zeros((_N_IMAGES, len(names)), dtype=np.bool_)
    for column, name in enumerate(names):
        try:
            shown[np.array(read_member(path, members[name]).split(), dtype=np.int64) - 1, column] = True
        except (ValueError, IndexError):
            raise HashbenchError(f"{path}: {members[name]} is no list of image numbers; fetch the zip again") from None
    return tuple(names), shown


def _has_common_tag(path: Path, min_images: int) -> Array:
    """For each image, whether one of its tags is on at least `min_images` images."""
    with open_zip(path) as archive:
        try:
            tags = [set(archive.read(f"mirflickr/meta/tags/tags{n}.txt").split()) for n in range(1, _N_IMAGES + 1)]
        except KeyError as error:
            raise HashbenchError(f"{path}: {error.args[0]}; fetch the zip again") from None
    counts = collections.Counter(tag for image_tags in tags for tag in image_tags)
    return np.array([any(counts[tag] >= min_images for tag in image_tags) for image_tags in tags])
