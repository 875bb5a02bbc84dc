"""Image list: any folder or zip of images, and list files that say what each of them shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hashbench.data.base import TEST_FOLD, TRAIN_FOLD, Dataset, Source
from hashbench.data.fetch import FileSpec
from hashbench.data.image_lists import ENDINGS, ImageList, read_image_list
from hashbench.data.imagefolder import image_names
from hashbench.data.images import BadImagePolicy, ImageFiles, open_images
from hashbench.data.lists import lists_in, row_finder
from hashbench.errors import HashbenchError
from hashbench.types import Array

TITLE = "Image list"
LICENCE = "that of the images"
CITATION = ""
FILES: tuple[FileSpec, ...] = ()
BY_HAND = {
    "{images}": "put there the folder or zip of the images",
    "{lists}": "put there a list of the images (.txt or .csv), or a folder with lists called test, train and database",
}


def load(
    source: Source, images: str, lists: str, classes: list[str] | None = None, on_bad_image: BadImagePolicy = "fatal"
) -> Dataset:
    """Every image that a list names, in the order of the lists; those of a list called test are the test part.

    `images`: path of the folder or zip, below a data folder; a listed path is found by its last parts, as many as tell
    the images apart. `lists`: path of a list or of a folder with lists of test, train and database (some or all), in
    the forms of `read_image_list`. `classes`: the names of the classes of lists of 0s and 1s, in order.
    """
    folder, place = source.gather((), {name.format(images=images, lists=lists): how for name, how in BY_HAND.items()})
    parts = lists_in(place) if place.is_dir() else {"": place}
    if not parts or (place.is_file() and place.suffix not in ENDINGS):
        raise HashbenchError(f"{place} is no list (.txt or .csv) and no folder with lists of test, train or database")
    listed = {part: read_image_list(path) for part, path in parts.items()}
    names = _class_names(place, list(listed.values()), classes)
    rows = _rows(place, listed, names)

    inside = image_names(folder)
    if not inside:
        raise HashbenchError(f"{folder} holds no images")
    find = row_finder(tuple(inside))
    paths = tuple(f"{folder}/{name if (row := find(name)) is None else inside[row]}" for name in rows)
    opened = open_images(ImageFiles(paths), on_bad_image, source.title)
    listed_names = tuple(rows)
    kept = [listed_names[row] for row in opened.kept]
    return Dataset(
        name=source.name,
        title=source.title,
        labels=np.stack([rows[name][1] for name in kept]),
        class_names=names,
        fold=np.array([rows[name][0] for name in kept], dtype=np.int8),
        images=opened.images,
        files=tuple(kept),
        skipped=opened.skipped,
    )


def _class_names(place: Path, listed: list[ImageList], classes: list[str] | None) -> tuple[str, ...]:
    """The names of all lists, or those given for lists that number their classes."""
    widths = {0 if each.labels is None else each.labels.shape[1] for each in listed if not each.names}
    named = [each.names for each in listed if each.names]
    if (widths and named) or len(widths) > 1 or widths == {0}:
        raise HashbenchError(f"{place}: its lists must all name the labels, or all have as many 0s and 1s a line")
    if named:
        if classes is not None:
            raise HashbenchError(f"{place}: its lists name the classes; leave the option `classes` out")
        return tuple(sorted(set().union(*named)))
    (width,) = widths
    if classes is not None and (len(classes) != width or len(set(classes)) != width):
        raise HashbenchError(f"{place}: its lines have {width} labels; `classes` must be as many different names")
    return tuple(classes) if classes else tuple(map(str, range(width)))


def _rows(place: Path, listed: dict[str, ImageList], names: tuple[str, ...]) -> dict[str, tuple[int, Array]]:
    """Of each listed path its part and labels (c,). Raises HashbenchError where two lists tell other labels of one."""
    rows: dict[str, tuple[int, Array]] = {}
    for part, each in listed.items():
        fold = TEST_FOLD if part == "test" else TRAIN_FOLD
        columns = [names.index(name) for name in each.names] if each.names else list(range(len(names)))
        for path, shown in zip(each.paths, np.asarray(each.labels), strict=True):
            labels = np.zeros(len(names), dtype=np.bool_)
            labels[columns] = shown
            first = rows.setdefault(path, (fold, labels))
            if not np.array_equal(first[1], labels):
                raise HashbenchError(f"{place}: {path} has other labels in one list than in another")
    return rows
