"""Splits that authors published as list files."""

from __future__ import annotations

import collections
import re
import urllib.parse
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from hashbench.data.base import Dataset, Source
from hashbench.data.drawing import Draw, Parts, all_but_query, shuffled
from hashbench.data.fetch import FileSpec
from hashbench.data.image_lists import ENDINGS, read_image_list
from hashbench.errors import HashbenchError
from hashbench.types import Array

_GITHUB = "https://raw.githubusercontent.com"


def published(repository: str, commit: str, folder: str, **files: str) -> Draw:
    """The rows that authors published as list files in `folder` of a GitHub repository at `commit`.

    `files`: the names of their lists, as `test`, `train` and, where there is one, `database`; see `from_lists`. They
    are fetched into the data folder like any data file, or found there.
    """
    project = repository.partition("/")[2].lower()

    def spec(file: str) -> FileSpec:
        path = urllib.parse.quote(f"{repository}/{commit}/{folder}/{file}")
        return FileSpec(f"lists/{project}/{PurePosixPath(folder).name}/{file}", urls=(f"{_GITHUB}/{path}",))

    def draw(dataset: Dataset, generator: np.random.Generator) -> Parts:
        specs = {part: spec(file) for part, file in files.items()}
        source = Source.default(dataset.name)
        paths = source.gather(tuple(specs.values()), {})
        return _draw_listed(dict(zip(specs, paths, strict=True)), dataset, generator)

    return draw


def from_lists(folder: Path) -> Draw:
    """Rows named by list files in `folder`: test, train and database, as `read_image_list` reads them.

    Paths are matched by their last parts, as many as tell the data set's files apart, or by Flickr's number of the
    photograph; labels must agree with the data set's, classes that have no names in whatever order. Where the list of
    the database is missing, the database is every row that is no query.
    """

    def draw(dataset: Dataset, generator: np.random.Generator) -> Parts:
        needed = {part: folder / f"{part}.txt" for part in ("test", "train")}
        return _draw_listed(needed | lists_in(folder), dataset, generator)

    return draw


def lists_in(folder: Path) -> dict[str, Path]:
    """The lists of test, train and database images that a folder has. Raises HashbenchError for two of one part."""
    found: dict[str, Path] = {}
    for part in ("test", "train", "database"):
        files = [path for ending in ENDINGS if (path := folder / f"{part}{ending}").is_file()]
        if len(files) > 1:
            raise HashbenchError(f"{folder} has both {part}.txt and {part}.csv; leave one of them there")
        if files:
            found[part] = files[0]
    return found


def _draw_listed(lists: Mapping[str, Path], dataset: Dataset, generator: np.random.Generator) -> Parts:
    if not dataset.files:
        raise HashbenchError("list files name images by file name, and this data set has none")
    row_of = row_finder(dataset.files)
    rows = {part: _read_list(path, dataset, row_of) for part, path in lists.items()}
    query, train = rows["test"], rows["train"]
    database = rows["database"] if "database" in rows else all_but_query(len(dataset), query, train)
    return shuffled(generator, query, train, database)


def row_finder(files: tuple[str, ...]) -> Callable[[str], int | None]:
    """A function from a published path to the row whose file ends in the same parts, or shows the same photograph."""
    deepest = max(len(PurePosixPath(name).parts) for name in files)
    for depth in range(1, deepest + 1):
        rows = {PurePosixPath(name).parts[-depth:]: row for row, name in enumerate(files)}
        if len(rows) == len(files):
            photos = _rows_by_photo(files)
            return lambda path: rows.get(PurePosixPath(path).parts[-depth:], photos.get(_photo(path)))
    raise HashbenchError("the data set has two files of the same name, so that lists cannot tell them apart")


_FLICKR_PHOTO = re.compile(r"\d+_(\d+)(?:_[0-9a-f]+_\w)?\.jpg")


def _photo(path: str) -> str:
    """Flickr's number of a photograph of NUS-WIDE; empty for other files.

    The publisher calls it 0047_2124494179.jpg, lists made from web addresses 46_2124494179_b039ddccac_m.jpg.
    """
    match = _FLICKR_PHOTO.fullmatch(PurePosixPath(path).name)
    return match[1] if match else ""


def _rows_by_photo(files: tuple[str, ...]) -> dict[str, int]:
    """The row of every photograph that is there once."""
    photos = [_photo(name) for name in files]
    counts = collections.Counter(photos)
    return {photo: row for row, photo in enumerate(photos) if photo and counts[photo] == 1}


def _read_list(path: Path, dataset: Dataset, row_of: Callable[[str], int | None]) -> Array:
    listed, rows = read_image_list(path), []
    for number, name in zip(listed.lines, listed.paths, strict=True):
        row = row_of(name)
        if row is None:
            raise HashbenchError(f"{path} line {number}: the data set has no file {name}")
        rows.append(row)
    found = np.array(rows, dtype=np.int64)
    if listed.labels is not None:
        _check_labels(path, listed.labels, listed.names, dataset, found)
    return found


def _check_labels(path: Path, listed: Array, names: tuple[str, ...], dataset: Dataset, rows: Array) -> None:
    """The listed labels must be the data set's: by name, or where classes are numbered, up to their order."""
    labels = dataset.labels[rows]
    if names:
        places = [dataset.class_names.index(name) for name in names if name in dataset.class_names]
        agree = len(places) == len(names) and np.array_equal(labels[:, places], listed)
        agree = agree and int(labels.sum()) == int(listed.sum())
    else:
        if listed.shape[1] != labels.shape[1]:
            raise HashbenchError(f"{path}: lines must hold a path and {labels.shape[1]} labels of 0 or 1")
        agree = sorted(column.tobytes() for column in listed.T) == sorted(column.tobytes() for column in labels.T)
    if not agree:
        raise HashbenchError(f"{path}: its labels are not those of the data set")
