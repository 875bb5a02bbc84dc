"""Image folder: any folder or zip laid out `train/<class>/<image>` and `test/<class>/<image>`."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np

from hashbench.data.base import TEST_FOLD, TRAIN_FOLD, Dataset, Source, one_hot
from hashbench.data.fetch import FileSpec
from hashbench.data.images import IMAGE_ENDINGS, BadImagePolicy, ImageFiles, open_images, zip_names
from hashbench.errors import HashbenchError

TITLE = "Image folder"
LICENCE = "that of the images"
CITATION = ""
FILES: tuple[FileSpec, ...] = ()
BY_HAND = {"{file}": "put there a folder or zip laid out train/<class>/<image>, test/<class>/<image>"}

_FOLDS = {"train": TRAIN_FOLD, "test": TEST_FOLD}


def load(source: Source, file: str, sha256: str | None = None, on_bad_image: BadImagePolicy = "fatal") -> Dataset:
    """The classes are the folder names, sorted. A zip is read in place, never unpacked.

    `file`: path of the folder or zip, below a data folder; `sha256`: the zip's, checked where it is given.
    """
    path = source.find(file, BY_HAND["{file}"])
    if path.is_file():
        path = source.fetch(FileSpec(file, sha256=sha256))
    names = image_names(path)
    places = [_place(path, name) for name in names]
    classes = sorted({class_name for _, class_name in places})

    opened = open_images(ImageFiles(tuple(f"{path}/{name}" for name in names)), on_bad_image, source.title)
    kept = [places[row] for row in opened.kept]
    return Dataset(
        name=source.name,
        title=source.title,
        labels=one_hot(np.array([classes.index(class_name) for _, class_name in kept]), len(classes)),
        class_names=tuple(classes),
        fold=np.array([_FOLDS[part] for part, _ in kept], dtype=np.int8),
        images=opened.images,
        files=tuple(names[row] for row in opened.kept),
        skipped=opened.skipped,
    )


def image_names(path: Path) -> list[str]:
    """The images in a folder or zip at any depth, by their paths in it, sorted; hidden files are none."""
    if path.is_file():
        found = sorted(zip_names(path))
    else:
        found = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    names = [name for name in found if name.lower().endswith(IMAGE_ENDINGS)]
    return [name for name in names if not PurePosixPath(name).name.startswith(".")]


def _place(path: Path, name: str) -> tuple[str, str]:
    """The part (train or test) and class that an image's path says."""
    parts = PurePosixPath(name).parts
    if len(parts) != 3 or parts[0] not in _FOLDS:
        raise HashbenchError(f"{path}: {name} is not laid out train/<class>/<image> or test/<class>/<image>")
    return parts[0], parts[1]
