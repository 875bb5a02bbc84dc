"""A data set in memory, and the place that its files come from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hashbench.data.fetch import FileSpec, fetch, obstacle_to_fetching
from hashbench.data.images import ImageFiles
from hashbench.errors import HashbenchError
from hashbench.settings import EMBEDDED, places, settings
from hashbench.types import Array

TRAIN_FOLD, TEST_FOLD = 0, 1


@dataclass(frozen=True)
class Dataset:
    """n images, their labels, and the publisher's own division, on which protocols build.

    `labels` bool (n, c), one-hot for a single-label data set; `class_names` (c,); `fold` int8 (n,), 0 for the
    publisher's train part and 1 for the test part; `images` uint8 (n, h, w, 3) where all have one size, else
    `ImageFiles` of any size that are decoded on demand; `files` (n,) the publisher's file names (empty where there
    are none), by which published split lists name rows; `skipped` the files left out because they cannot be decoded.

    Raises HashbenchError where the parts do not fit together.
    """

    name: str
    title: str
    labels: Array
    class_names: tuple[str, ...]
    fold: Array
    images: Array | ImageFiles
    files: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.labels)
        if self.labels.ndim != 2 or self.labels.dtype != np.bool_ or self.labels.shape[1] != len(self.class_names):
            raise HashbenchError(
                f"data set {self.name}: labels must be bool (n, {len(self.class_names)}), "
                f"got {self.labels.dtype} {self.labels.shape}"
            )
        if self.fold.dtype != np.int8 or not np.isin(self.fold, (TRAIN_FOLD, TEST_FOLD)).all():
            raise HashbenchError(f"data set {self.name}: fold must be int8 of 0 (train part) and 1 (test part)")
        for part, length in (("fold", len(self.fold)), ("images", len(self.images)), ("files", len(self.files) or n)):
            if length != n:
                raise HashbenchError(f"data set {self.name}: {length} {part} for {n} rows of labels")
        if isinstance(self.images, np.ndarray) and (self.images.dtype != np.uint8 or self.images.shape[3:] != (3,)):
            raise HashbenchError(
                f"data set {self.name}: images must be uint8 (n, h, w, 3), got {self.images.dtype} {self.images.shape}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def is_single_label(self) -> bool:
        """Whether every row shows exactly one class."""
        return bool((self.labels.sum(axis=1) == 1).all())

    def read(self, rows: Sequence[int] | Array) -> Array | list[Array]:
        """The images of `rows`: uint8 (m, h, w, 3) where all have one size, else a list of m arrays uint8 (h, w, 3).

        Raises BadImageError that names a file that cannot be decoded.
        """
        if isinstance(self.images, np.ndarray):
            return np.asarray(self.images[np.asarray(rows, dtype=np.int64)])
        return [self.images[int(row)] for row in rows]

    def pixels_digest(self) -> str:
        """The sha256, in hex, of all images: of their pixels, or of their files where they stay on disk."""
        if isinstance(self.images, ImageFiles):
            return self.images.digest()
        sha = hashlib.sha256(str(self.images.shape).encode())
        for start in range(0, len(self), 1 << 14):
            sha.update(np.ascontiguousarray(self.images[start : start + (1 << 14)]).data)
        return sha.hexdigest()


@dataclass(frozen=True)
class Source:
    """Where a data set called `name` (in tables: `title`) finds its files: the first of `folders` that has them.

    What is fetched goes to the first folder.
    """

    name: str
    title: str
    folders: tuple[Path, ...]

    @classmethod
    def default(cls, name: str) -> Source:
        """The folder that HASHBENCH_DATA names, if it is set, then `data/` in the working directory."""
        return cls(name, name, settings().data_folders)

    def fetch(self, spec: FileSpec) -> Path:
        """The verified file `spec`: found where it may lie, or downloaded to the first folder."""
        found = (folder for folder in (*self.folders, EMBEDDED) if (folder / spec.name).exists())
        return fetch(spec, next(found, self.folders[0]))

    def find(self, name: str, how: str) -> Path:
        """A file or folder that the user put in place; `how` ends the error's sentence where it is missing."""
        return self.gather((), {name: how})[0]

    def gather(self, files: Sequence[FileSpec], by_hand: Mapping[str, str]) -> list[Path]:
        """All of `files`, verified, then what the user put in place: `by_hand` says of each name how to get it.

        Raises HashbenchError that lists at once everything that has to be put in place, before anything is fetched.
        """
        obstacles = {spec.name: f" and {obstacle}" for spec in files if (obstacle := obstacle_to_fetching(spec))}
        obstacles |= {name: f"; {how}" for name, how in by_hand.items()}
        missing = [
            f"{' or '.join(str(folder / name) for folder in self.folders)} is missing{how}"
            for name, how in obstacles.items()
            if self._where(name) is None
        ]
        if missing:
            raise HashbenchError(f"data set {self.name}: " + ";\n  ".join(missing))
        return [self.fetch(spec) for spec in files] + [path for name in by_hand if (path := self._where(name))]

    def _where(self, name: str) -> Path | None:
        return next((path for path in places(self.folders, name) if path.exists()), None)


def one_hot(classes: Array, n_classes: int) -> Array:
    """Labels bool (n, c) from class numbers (n,) in [0, c)."""
    return np.asarray(np.arange(n_classes) == np.asarray(classes)[:, None])
