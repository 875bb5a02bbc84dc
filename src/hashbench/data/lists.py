"""Splits that authors published as list files: a line is an image's path, then the 0s and 1s of its labels."""

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
    """Rows named by published list files: test.txt, train.txt and database.txt in `folder`.

    A line is an image's path, then the 0s and 1s of its labels (as HashNet publishes them) or nothing. Paths are
    matched by their last parts, as many as tell the data set's files apart, or by Flickr's number of the photograph;
    labels must agree with the data set's, in whatever order of classes. Where database.txt is missing, the database is
    every row that is no query.
    """

    def draw(dataset: Dataset, generator: np.random.Generator) -> Parts:
        parts = ["test", "train", *(["database"] if (folder / "database.txt").exists() else [])]
        return _draw_listed({part: folder / f"{part}.txt" for part in parts}, dataset, generator)

    return draw


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
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise HashbenchError(f"list {path} cannot be read ({error}); put the published lists there") from None
    rows = []
    for number, (name, *_) in enumerate(lines, start=1):
        row = row_of(name)
        if row is None:
            raise HashbenchError(f"{path} line {number}: the data set has no file {name}")
        rows.append(row)
    found = np.array(rows, dtype=np.int64)
    _check_labels(path, [fields[1:] for fields in lines], dataset.labels[found])
    return found


def _check_labels(path: Path, listed: list[list[str]], labels: Array) -> None:
    """The listed labels must be the data set's, up to the order of the classes."""
    if not any(listed):
        return
    if any(len(fields) != labels.shape[1] or not set(fields) <= {"0", "1"} for fields in listed):
        raise HashbenchError(f"{path}: lines must hold a path and {labels.shape[1]} labels of 0 or 1")
    columns = np.array(listed) == "1"
    if sorted(column.tobytes() for column in columns.T) != sorted(column.tobytes() for column in labels.T):
        raise HashbenchError(f"{path}: its labels are not those of the data set")
