"""Reading lists that name the rows of a split: those that hashbench writes, and those that people have."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hashbench.artefacts.split import PARTS, read_split
from hashbench.artefacts.split_lists import HASHNET_NAMES, UNUSED
from hashbench.data.base import Dataset
from hashbench.data.drawing import all_but_query
from hashbench.data.lists import row_finder
from hashbench.errors import HashbenchError
from hashbench.types import Array, Split

_DIGEST = re.compile(r"hashbench split digest ([0-9a-f]{12}), protocol (\S+), (\d{1,9}) rows, (\d{1,9}) classes")
_MOST_LABELS = 1 << 30  # rows times classes: as many bytes
_MOST_BYTES = 1 << 31  # of a split, unpacked
_FORMS = "a folder with test.txt, train.txt and database.txt, or a .csv, .npz or .safetensors file"


@dataclass(frozen=True)
class Item:
    """A line of a list: an item's row number, or its file, or both, and the numbers of its classes, if it tells."""

    row: int | None
    file: str
    classes: tuple[int, ...] | None

    @property
    def name(self) -> str:
        """What tells the item from others."""
        return str(self.row) if self.row is not None else self.file


@dataclass(frozen=True)
class Listed:
    """The lines of each part of a split, in order, and what its header says: digest, protocol, rows and classes."""

    name: str
    parts: Mapping[str, Sequence[Item]]
    header: tuple[str, str, int, int] | None = None


def read_listed(path: Path, dataset: Dataset | None = None) -> Split:
    """The split that lists name. `dataset` finds rows by file, gives all labels, and stands in for a missing database
    list, as all that is no query.

    Without it, rows are as the lists number them, or else numbered in the order in which items first appear. Raises
    HashbenchError where the lists cannot be read, do not fit the data set, or are not those of the digest they name.
    """
    if path.suffix == ".safetensors":
        return read_split(path)
    if path.suffix == ".npz":
        return _read_npz(path)
    listed = _read(path)
    for part, items in listed.parts.items():
        if not items:
            raise HashbenchError(f"{path}: the list of the part {part} names no item")
    split = _placed(listed, dataset) if dataset is not None else _numbered(path, listed)
    _check_digest(path, split, listed.header)
    return split


def _read(path: Path) -> Listed:
    try:
        if path.is_dir():
            return _read_folder(path)
        if path.suffix == ".csv" and path.is_file():
            return _read_csv(path)
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError) as error:
        raise HashbenchError(f"{path} cannot be read as lists of a split ({error}); give {_FORMS}") from None
    raise HashbenchError(f"{path} is no list of a split: give {_FORMS}")


def _read_folder(folder: Path) -> Listed:
    parts: dict[str, list[Item]] = {}
    header = None
    for part in (*PARTS, UNUSED):
        names = dict.fromkeys([f"{part}.txt", f"{HASHNET_NAMES.get(part, part)}.txt"])
        found = [folder / name for name in names if (folder / name).is_file()]
        if len(found) > 1:
            raise HashbenchError(f"{folder} has {found[0].name} and {found[1].name}: leave one of them there")
        for path in found:
            lines = path.read_text(encoding="utf-8").splitlines()
            header = header or _header(lines[:1])
            parts[part] = [
                _item(path, *each) for each in enumerate(lines, start=1) if each[1].strip() and each[1][0] != "#"
            ]
    missing = [HASHNET_NAMES[part] for part in ("query", "train") if part not in parts]
    if missing:
        raise HashbenchError(f"{folder / missing[0]}.txt is missing: give {_FORMS}")
    return Listed(f"lists_{folder.resolve().name}", parts, header)


def _item(path: Path, number: int, line: str) -> Item:
    """One line: `row TAB classes TAB file` as hashbench writes it, or `file 0 1 0 ...`, or a file alone."""
    if "\t" in line:
        return _of_fields(f"{path}, line {number}", *line.split("\t"))
    name, *labels = line.split()
    if not set(labels) <= {"0", "1"}:
        raise HashbenchError(f"{path}, line {number}: after an item's name come labels of 0 and 1, or nothing")
    classes = tuple(place for place, label in enumerate(labels) if label == "1") if labels else None
    return Item(int(name), "", classes) if _is_row(name) else Item(None, name, classes)


def _of_fields(where: str, row: str, classes: str, file: str = "", *more: str) -> Item:
    shown = classes.split()
    if not _is_row(row) or more or not all(map(_is_row, shown)):
        raise HashbenchError(f"{where}: a row number, class numbers and a file must stand there, or less")
    return Item(int(row), file, tuple(map(int, shown)))


def _is_row(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _read_csv(path: Path) -> Listed:
    lines = path.read_text(encoding="utf-8").splitlines()
    header = _header(lines[:1])
    parts: dict[str, list[Item]] = {}
    reader = csv.DictReader((line for line in lines if not line.startswith("#")), restval="")
    for number, row in enumerate(reader, start=1):
        if row["part"] not in (*PARTS, UNUSED):
            raise HashbenchError(f"{path}, row {number}: the part '{row['part']}' is none of {', '.join(PARTS)}")
        item = _of_fields(f"{path}, row {number}", row["row"], row["labels"], row.get("file") or "")
        parts.setdefault(row["part"], []).append(item)
    missing = [part for part in PARTS if part not in parts]
    if missing:
        raise HashbenchError(f"{path} lists no row of the part {missing[0]}")
    return Listed(f"lists_{path.stem}", parts, header)


def _read_npz(path: Path) -> Split:
    try:
        with np.load(path, allow_pickle=False) as archive:
            if sum(member.file_size for member in archive.zip.infolist()) > _MOST_BYTES:
                raise HashbenchError(f"{path} would unpack to more than {_MOST_BYTES:,} bytes: refused as a bomb")
            rows = {part: archive[part].astype(np.int64) for part in PARTS}
            labels, header = archive["labels"].astype(np.bool_), _header([str(archive["header"])])
    except FileNotFoundError:
        raise HashbenchError(f"{path} is missing: give {_FORMS}") from None
    except HashbenchError:
        raise
    except Exception as error:  # a hostile header of an array can raise nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise HashbenchError(f"{path} is no split of `hashbench splits export` ({reason!a})") from None
    split = Split(header[1] if header else f"lists_{path.stem}", **rows, labels=labels)
    _check_digest(path, split, header)
    return split


def _header(lines: Sequence[str]) -> tuple[str, str, int, int] | None:
    match = _DIGEST.search(lines[0]) if lines else None
    return (match[1], match[2], int(match[3]), int(match[4])) if match else None


def _check_digest(path: Path, split: Split, header: tuple[str, str, int, int] | None) -> None:
    if header is not None and split.digest != header[0]:
        raise HashbenchError(
            f"{path} says that it is the split of digest {header[0]}, and its rows and labels have {split.digest}: it "
            "was changed; export it again, or take its header out"
        )


def _numbered(path: Path, listed: Listed) -> Split:
    """The split by the lists alone."""
    if "database" not in listed.parts:
        raise HashbenchError(
            f"{path / 'database.txt'} is missing: name the data set by --dataset, and the database is all but queries"
        )
    items = [item for part in listed.parts.values() for item in part]
    by_number = all(item.row is not None for item in items)
    if not by_number and any(item.row is not None for item in items):
        raise HashbenchError(f"{path} names some items by row number and others by file: name all in one way")
    rows = {name: place for place, name in enumerate(dict.fromkeys(item.name for item in items))}
    row_of = {item.name: item.row if item.row is not None else rows[item.name] for item in items}
    _, name, n, c = listed.header or ("", listed.name, max(row_of.values()) + 1, 0)
    c = max([c, *(number + 1 for item in items for number in item.classes or ())])
    if max(row_of.values()) >= n:
        raise HashbenchError(f"{path} names row {max(row_of.values())}, and its header says that there are {n}")
    if n * c > _MOST_LABELS:
        raise HashbenchError(f"{path} names row {n - 1:,} and class {c - 1:,}: no data set has as many of both")
    labels = np.zeros((n, c), np.bool_)
    classes_of: dict[str, tuple[int, ...] | None] = {}
    for item in items:
        if classes_of.setdefault(item.name, item.classes) != item.classes:
            raise HashbenchError(f"{path} gives the item {item.name} other labels in one list than in another")
        labels[row_of[item.name], list(item.classes or ())] = True
    parts = {part: np.array([row_of[item.name] for item in listed.parts[part]], np.int64) for part in PARTS}
    return Split(name, **parts, labels=labels)


def _placed(listed: Listed, dataset: Dataset) -> Split:
    """The split as rows of a data set, whose labels hold."""
    find = row_finder(dataset.files) if dataset.files else (lambda file: None)
    parts: dict[str, Array] = {}
    for part, items in listed.parts.items():
        rows = [item.row if item.row is not None else find(item.file) for item in items]
        for item, row in zip(items, rows, strict=True):
            if row is None or row >= len(dataset):
                raise HashbenchError(f"{part} list: data set {dataset.name} has no item {item.name}")
        parts[part] = np.array(rows, np.int64)
        _check_labels(part, items, dataset.labels[parts[part]])
    if "database" not in parts:
        parts["database"] = all_but_query(len(dataset), parts["query"], parts["train"])
    name = listed.header[1] if listed.header else listed.name
    return Split(name, **{part: parts[part] for part in PARTS}, labels=dataset.labels)


def _check_labels(part: str, items: Sequence[Item], labels: Array) -> None:
    """The listed labels, where there are any, must be the data set's, up to the order of the classes."""
    if all(item.classes is None for item in items):
        return
    c = labels.shape[1]
    if any(number >= c for item in items for number in item.classes or ()):
        raise HashbenchError(f"{part} list: it numbers more classes than the {c} of the data set")
    listed = np.zeros_like(labels)
    for place, item in enumerate(items):
        listed[place, list(item.classes or ())] = True
    if sorted(column.tobytes() for column in listed.T) != sorted(column.tobytes() for column in labels.T):
        raise HashbenchError(f"{part} list: its labels are not those of the data set")
