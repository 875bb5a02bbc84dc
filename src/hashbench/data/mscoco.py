"""MS-COCO 2014, train and validation parts, with the 80 object categories as labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.data.archives import read_member
from hashbench.data.base import TEST_FOLD, TRAIN_FOLD, Dataset, Source
from hashbench.data.fetch import FileSpec
from hashbench.data.images import BadImagePolicy, ImageFiles, open_images
from hashbench.errors import HashbenchError
from hashbench.types import Array

TITLE = "MS-COCO"
LICENCE = "annotations CC BY 4.0; photographs under Flickr's terms, each with its own licence"
CITATION = """\
@inproceedings{lin2014microsoft,
  author = {Lin, Tsung-Yi and Maire, Michael and Belongie, Serge and Hays, James and Perona, Pietro and
            Ramanan, Deva and Doll{\\'a}r, Piotr and Zitnick, C. Lawrence},
  title = {Microsoft {COCO}: Common Objects in Context},
  booktitle = {European Conference on Computer Vision},
  year = {2014}
}"""

# The publisher's own host has no valid https certificate, hence the second address of the same store.
_MIRRORS = ("http://images.cocodataset.org/", "https://s3.amazonaws.com/images.cocodataset.org/")
FILES = tuple(
    FileSpec(f"mscoco/{path.rpartition('/')[2]}", urls=tuple(mirror + path for mirror in _MIRRORS), size=size, md5=md5)
    for path, size, md5 in (
        ("zips/train2014.zip", 13_510_573_713, "0da8c0bd3d6becc4dcb32757491aca88"),
        ("zips/val2014.zip", 6_645_013_297, "a3d79f5ed8d289b7a7554ce06a5782b3"),
        ("annotations/annotations_trainval2014.zip", 252_872_794, "0a379cfc70b0e71301e0f377548639bd"),
    )
)


def load(source: Source, on_bad_image: BadImagePolicy = "fatal") -> Dataset:
    """80 labels; the 122,218 images that show at least one object; the validation images are the test part."""
    train, val, annotations = source.gather(FILES, {})
    parts = [_read_part(annotations, part) for part in ("train2014", "val2014")]
    if parts[0][0] != parts[1][0]:
        raise HashbenchError(f"{annotations}: the parts differ in their categories; delete it and fetch it again")
    paths = [f"{train}/train2014/{name}" for name in parts[0][1]] + [f"{val}/val2014/{name}" for name in parts[1][1]]
    opened = open_images(ImageFiles(tuple(paths)), on_bad_image, source.title)
    fold = np.repeat(np.array([TRAIN_FOLD, TEST_FOLD], dtype=np.int8), [len(names) for _, names, _ in parts])
    names = [
        f"{part}/{name}" for part, (_, names, _) in zip(("train2014", "val2014"), parts, strict=True) for name in names
    ]
    return Dataset(
        name=source.name,
        title=source.title,
        labels=np.concatenate([labels for _, _, labels in parts])[opened.kept],
        class_names=parts[0][0],
        fold=fold[opened.kept],
        images=opened.images,
        files=tuple(names[row] for row in opened.kept),
        skipped=opened.skipped,
    )


def _without_outlines(item: dict[str, Any]) -> dict[str, Any]:
    """An annotation without its object's outline: such numbers fill gigabytes, and nobody reads them."""
    item.pop("segmentation", None)
    return item


def _read_part(path: Path, part: str) -> tuple[tuple[str, ...], list[str], Array]:
    """Category names in the order of their ids; file names of the images that show an object; labels bool (n, c)."""
    member = f"annotations/instances_{part}.json"
    try:
        content: dict[str, Any] = json.loads(read_member(path, member), object_hook=_without_outlines)
        categories = sorted(content["categories"], key=lambda category: category["id"])
        column_of = {category["id"]: column for column, category in enumerate(categories)}
        shown: dict[int, set[int]] = {}
        for annotation in content["annotations"]:
            shown.setdefault(annotation["image_id"], set()).add(column_of[annotation["category_id"]])
        images = [image for image in content["images"] if image["id"] in shown]
        labels = np.zeros((len(images), len(categories)), dtype=np.bool_)
        for row, image in enumerate(images):
            labels[row, list(shown[image["id"]])] = True
        return tuple(category["name"] for category in categories), [image["file_name"] for image in images], labels
    except (ValueError, KeyError, TypeError) as error:
        raise HashbenchError(f"{path}: {member} is damaged ({error}); delete the zip and fetch it again") from None
