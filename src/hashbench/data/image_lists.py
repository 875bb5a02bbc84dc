"""List files of labelled images: a path and the 0s and 1s of its labels a line, or a CSV with the labels' names."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.types import Array

ENDINGS = (".txt", ".csv")
_BETWEEN = ";"  # the names of an image's labels in a CSV file


@dataclass(frozen=True)
class ImageList:
    """The `paths` of m images and on which `lines` they stand; `labels` bool (m, c), or None where it tells none.

    `names` (c,) of the classes, where it has any.
    """

    paths: tuple[str, ...]
    lines: tuple[int, ...]
    labels: Array | None
    names: tuple[str, ...] = ()


def read_image_list(path: Path) -> ImageList:
    """Read a list in one of two forms.

    `.txt`: a line is a path, then the 0s and 1s of its labels (as HashNet publishes them) or nothing. `.csv`: the
    columns `file` and `labels`, the names of an image's labels with `;` between them; the classes are sorted by name.
    Raises HashbenchError that names file and line for anything else.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise HashbenchError(f"list {path} cannot be read ({error}); put the published lists there") from None
    found = _named(path, text) if path.suffix == ".csv" else _numbered(path, text)
    if not found.paths:
        raise HashbenchError(f"list {path} is empty")
    return found


def _numbered(path: Path, text: str) -> ImageList:
    lines = [(number, line.split()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    n_labels = len(lines[0][1]) - 1 if lines else 0
    for number, fields in lines:
        if len(fields) != n_labels + 1 or not set(fields[1:]) <= {"0", "1"}:
            raise HashbenchError(
                f"{path} line {number}: expected a path and {n_labels} labels of 0 or 1, as many as on the first line"
            )
    labels = np.array([fields[1:] for _, fields in lines]) == "1" if n_labels else None
    return ImageList(tuple(fields[0] for _, fields in lines), tuple(number for number, _ in lines), labels)


def _named(path: Path, text: str) -> ImageList:
    header, *rows = csv.reader(text.splitlines()) if text.strip() else [[]]
    if header != ["file", "labels"]:
        raise HashbenchError(f"{path}: its first line must be 'file,labels', got '{','.join(header)[:80]}'")
    shown = []
    for number, row in enumerate(rows, start=2):
        if len(row) != 2:
            raise HashbenchError(f"{path} line {number}: expected a file and its labels, got {len(row)} columns")
        shown.append({name.strip() for name in row[1].split(_BETWEEN) if name.strip()})
    names = tuple(sorted(set().union(*shown)))
    labels = np.array([[name in each for name in names] for each in shown], dtype=np.bool_)
    labels = labels.reshape(len(rows), len(names))
    return ImageList(tuple(row[0] for row in rows), tuple(range(2, len(rows) + 2)), labels, names)
