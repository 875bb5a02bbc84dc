"""A split on disk: row numbers as uint32, labels one bit each. It carries its own digest."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hashbench.artefacts import store
from hashbench.cells import Frozen
from hashbench.errors import HashbenchError
from hashbench.types import Split

PARTS = ("query", "database", "train")


class _Note(Frozen):
    """What a split says besides its rows and labels; `classes`: how many bits of a row of labels count."""

    name: str
    digest: str
    classes: int


def write_split(path: Path, split: Split) -> None:
    """Write a split."""
    arrays = {part: getattr(split, part).astype(np.uint32) for part in PARTS}
    arrays["labels"] = np.packbits(split.labels, axis=1)
    note = _Note(name=split.name, digest=split.digest, classes=split.labels.shape[1])
    store.write_plain_tensors(path, arrays, note.model_dump(mode="json"))


def read_split(path: Path) -> Split:
    """Read a split. Raises HashbenchError where it is missing or damaged."""
    arrays, said = store.read_plain_tensors(path)
    note = store.validated(path, said, _Note)
    try:
        rows = {part: arrays[part].astype(np.int64) for part in PARTS}
        labels = np.unpackbits(arrays["labels"], axis=1, count=note.classes).astype(np.bool_)
        split = Split(note.name, **rows, labels=labels)
    except KeyError as error:
        raise store.DamagedError(path, f"it has no {error}") from None
    except (TypeError, ValueError, HashbenchError) as error:
        raise store.DamagedError(path, str(error)) from None
    if split.digest != note.digest:
        raise store.DamagedError(path, "its digest is not the recorded one")
    return split


def warn_of_damage(path: Path) -> None:
    """Log the name of a damaged split before it is made again."""
    try:
        if path.is_file():
            read_split(path)
    except store.DamagedError as error:
        error.warn()
