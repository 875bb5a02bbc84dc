"""Splits as lists that people read and other programs take: txt, csv, npz, and HashNet's.

A row of a list names an item by its row number in the data set, by its file, or by both, and tells its labels. `txt`,
`csv` and `npz` say the split's digest, which reading them checks; to that end they also list the rows that are in no
part, as `unused`. HashNet's lists have no room for a digest; `SPLIT.txt` beside them has it. The order of the rows is
kept: codes that somebody made follow it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from hashbench.artefacts import store
from hashbench.artefacts.split import PARTS
from hashbench.types import Array, Split

UNUSED = "unused"
HASHNET_NAMES = {"query": "test", "train": "train", "database": "database"}
_FIELDS = ("part", "row", "labels", "file")


def header_of(split: Split) -> str:
    """What a list says of its split: digest, protocol, and how many rows and classes there are."""
    n, c = split.labels.shape
    return f"hashbench split digest {split.digest}, protocol {split.name}, {n} rows, {c} classes"


def write_lists(target: Path, split: Split, files: Sequence[str], form: str) -> list[Path]:
    """Write a split in one of `FORMATS` to `target`, a folder for txt and hashnet, else a file; what was written.

    `files`: the data set's file names by row, or none, for a data set without.
    """
    texts = FORMATS[form](split, files)
    paths = [target / name if name else target for name in texts]
    for path, content in zip(paths, texts.values(), strict=True):
        with store.replacing(path) as temporary:
            temporary.write_bytes(content)
    return paths


def rows_by_part(split: Split) -> dict[str, Array]:
    """The rows of each part, in order, and those that are in none."""
    parts = {part: getattr(split, part) for part in PARTS}
    unused = np.setdiff1d(np.arange(len(split.labels)), np.concatenate(list(parts.values())))
    return parts | ({UNUSED: unused} if len(unused) else {})


def _txt(split: Split, files: Sequence[str]) -> dict[str, bytes]:
    """A file a part; row number, class numbers and file name, between tabs."""
    return {
        f"{part}.txt": "".join(
            [f"# {header_of(split)}; {part}\n", *("\t".join(line) + "\n" for line in _lines(split, rows, files))]
        ).encode()
        for part, rows in rows_by_part(split).items()
    }


def _csv(split: Split, files: Sequence[str]) -> dict[str, bytes]:
    """One file; class numbers are separated by spaces."""
    buffer = io.StringIO()
    buffer.write(f"# {header_of(split)}\n")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_FIELDS if files else _FIELDS[:3])
    for part, rows in rows_by_part(split).items():
        writer.writerows((part, *line) for line in _lines(split, rows, files))
    return {"": buffer.getvalue().encode()}


def _lines(split: Split, rows: Array, files: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for row in rows.tolist():
        shown = " ".join(map(str, np.flatnonzero(split.labels[row]).tolist()))
        yield (str(row), shown, *([files[row]] if files else []))


def _npz(split: Split, files: Sequence[str]) -> dict[str, bytes]:
    """Row numbers of each part, labels bool (n, c) of all rows, and the digest."""
    arrays = {part: getattr(split, part) for part in PARTS} | {"labels": split.labels}
    texts = {"header": np.array(header_of(split))} | ({"files": np.array(files)} if files else {})
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays, **texts)
    return {"": buffer.getvalue()}


def _hashnet(split: Split, files: Sequence[str]) -> dict[str, bytes]:
    """test.txt, train.txt and database.txt; a line is an item's file (or row number) and a 0 or 1 for each class."""

    def line(row: int) -> str:
        name = files[row] if files else str(row)
        return " ".join([name, *("1" if shown else "0" for shown in split.labels[row])]) + "\n"

    lists = {f"{HASHNET_NAMES[part]}.txt": "".join(map(line, getattr(split, part).tolist())).encode() for part in PARTS}
    return lists | {"SPLIT.txt": f"{header_of(split)}\n".encode()}


FORMATS: dict[str, Callable[[Split, Sequence[str]], dict[str, bytes]]] = {
    "txt": _txt,
    "csv": _csv,
    "npz": _npz,
    "hashnet": _hashnet,
}
