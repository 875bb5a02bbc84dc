"""Image files, decoded on demand to uint8 RGB, from folders and from inside zips."""

from __future__ import annotations

import functools
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from hashbench.data.archives import open_zip
from hashbench.errors import HashbenchError
from hashbench.progress import track
from hashbench.types import Array

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".ppm", ".tif", ".tiff")
BadImagePolicy = Literal["fatal", "skip"]

_READ_ERRORS = (OSError, KeyError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error)
_DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)
_IN_MEMORY = 1 << 30


class BadImageError(HashbenchError):
    """An image file is missing, truncated or no image; the message names it."""


@dataclass(frozen=True)
class ImageFiles:
    """A sequence of images of any size that stay on disk: `files[i]` decodes one to uint8 (h, w, 3) RGB.

    `names` are paths below `root`; a part of a path that is a zip file stands for what is inside it, as in
    `images.zip/train/cat/1.jpg`. Cheap to copy to worker processes. Raises BadImageError that names the file.
    """

    root: Path
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, row: int) -> Array:
        return decode(self.encoded(row), str(self.root / self.names[row]))

    def encoded(self, row: int) -> bytes:
        """The file as its publisher made it."""
        path = self.root / self.names[row]
        try:
            before, zipped, inside = self.names[row].partition(".zip/")
            if zipped and (archive := self.root / f"{before}.zip").is_file():
                return _zip(archive, os.getpid()).read(inside)
            return path.read_bytes()
        except _READ_ERRORS as error:
            raise BadImageError(f"{path}: image cannot be read ({error}); {_REMEDY}") from None


_REMEDY = "replace the file, or set `on_bad_image: skip` for this data set in params.yaml to leave such rows out"


@functools.lru_cache(maxsize=8)
def _zip(path: Path, process: int) -> zipfile.ZipFile:
    """One handle for each process: forked workers that share one would move each other's file position."""
    return open_zip(path)


def zip_names(path: Path) -> list[str]:
    """The files inside a zip, in the archive's order."""
    return [name for name in _zip(path, os.getpid()).namelist() if not name.endswith("/")]


def decode(encoded: bytes, name: str) -> Array:
    """Decode one image to uint8 (h, w, 3) RGB. Raises BadImageError that names it; Pillow's pixel limit stays on."""
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            return np.asarray(image.convert("RGB"))
    except _DECODE_ERRORS as error:
        raise BadImageError(f"{name}: image cannot be decoded ({error}); {_REMEDY}") from None


@dataclass(frozen=True)
class Decoded:
    """What came of a list of files: `images`, the positions `kept` (m,) int64, and the names `skipped` as undecodable.

    `images` is one uint8 array (m, h, w, 3) where all have one size and fit in memory, else `ImageFiles`.
    """

    images: Array | ImageFiles
    kept: Array
    skipped: tuple[str, ...]


def open_images(files: ImageFiles, on_bad_image: BadImagePolicy, description: str) -> Decoded:
    """Decode once what is small and of one size; leave the rest on disk.

    `on_bad_image`: `fatal` raises BadImageError at the first bad file (for images left on disk, when it is read);
    `skip` decodes every file here once and leaves out those that cannot be.
    """
    if on_bad_image not in ("fatal", "skip"):
        raise HashbenchError(f"on_bad_image is '{on_bad_image}'; allowed: fatal, skip")
    if not files.names:
        raise HashbenchError(f"{description}: no images found under {files.root}")
    good = _first_good(files, on_bad_image)
    if good.nbytes * len(files) <= _IN_MEMORY:
        whole = _decode_all(files, good.shape, on_bad_image, description)
        if whole is not None:
            return whole
    if on_bad_image == "fatal":
        return Decoded(files, np.arange(len(files)), ())
    kept = [row for row, image in _attempt(files, on_bad_image, description) if image is not None]
    return _left_on_disk(files, np.array(kept, dtype=np.int64))


def _first_good(files: ImageFiles, on_bad_image: BadImagePolicy) -> Array:
    for row in range(len(files)):
        try:
            return files[row]
        except BadImageError:
            if on_bad_image == "fatal":
                raise
    raise HashbenchError(f"{files.root}: none of the {len(files)} images can be decoded")


def _decode_all(
    files: ImageFiles, shape: tuple[int, ...], on_bad_image: BadImagePolicy, description: str
) -> Decoded | None:
    """All images as one array, or None as soon as one has another size."""
    images = np.empty((len(files), *shape), dtype=np.uint8)
    kept = np.zeros(len(files), dtype=np.bool_)
    for row, image in _attempt(files, on_bad_image, description):
        if image is None:
            continue
        if image.shape != shape:
            return None
        images[row], kept[row] = image, True
    rows = np.flatnonzero(kept)
    skipped = tuple(files.names[row] for row in np.flatnonzero(~kept))
    return Decoded(images if len(rows) == len(files) else images[rows], rows, skipped)


def _attempt(files: ImageFiles, on_bad_image: BadImagePolicy, description: str) -> Iterator[tuple[int, Array | None]]:
    """Every row with its image, or with None where the policy is to skip a bad one."""
    for row in track(range(len(files)), f"decoding {description}"):
        try:
            image = files[row]
        except BadImageError:
            if on_bad_image == "fatal":
                raise
            yield row, None
        else:
            yield row, image


def _left_on_disk(files: ImageFiles, kept: Array) -> Decoded:
    names: Sequence[str] = files.names
    whole = set(kept.tolist())
    skipped = tuple(name for row, name in enumerate(names) if row not in whole)
    return Decoded(ImageFiles(files.root, tuple(names[row] for row in kept)), kept, skipped)
