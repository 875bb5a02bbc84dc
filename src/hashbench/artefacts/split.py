"""A split on disk: row numbers as uint32, labels one bit each. It carries its own digest."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hashbench.artefacts import store
from hashbench.types import Split

PARTS = ("query", "database", "train")


def write_split(path: Path, split: Split) -> None:
    """Write a split."""
    arrays = {part: getattr(split, part).astype(np.uint32) for part in PARTS}
    arrays["labels"] = np.packbits(split.labels, axis=1)
    about = {"name": split.name, "digest": split.digest, "classes": split.labels.shape[1]}
    store.write_plain_tensors(path, arrays, about)


def read_split(path: Path) -> Split:
    """Read a split. Raises HashbenchError where it is damaged."""
    arrays, said = store.read_plain_tensors(path)
    try:
        rows = {part: arrays[part].astype(np.int64) for part in PARTS}
        labels = np.unpackbits(arrays["labels"], axis=1, count=said["classes"]).astype(np.bool_)
        split, digest = Split(said["name"], **rows, labels=labels), said["digest"]
    except (KeyError, TypeError, ValueError) as error:
        raise store.DamagedError(path, f"it has no {error}") from None
    if split.digest != digest:
        raise store.DamagedError(path, "its digest is not the recorded one")
    return split


def warn_of_damage(path: Path) -> None:
    """Log the name of a damaged split before it is made again."""
    try:
        if path.is_file():
            read_split(path)
    except store.DamagedError as error:
        error.warn()
