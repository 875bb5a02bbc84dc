"""Image files, decoded on demand to uint8 RGB, from folders and from inside zips."""

from __future__ import annotations

import functools
import hashlib
import io
import logging
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from hashbench.data.archives import open_zip
from hashbench.errors import HashbenchError
from hashbench.progress import track
from hashbench.types import Array

log = logging.getLogger("hashbench")

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".ppm", ".tif", ".tiff")
BadImagePolicy = Literal["fatal", "skip"]

_READ_ERRORS = (OSError, KeyError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error)
_DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)
_IN_MEMORY_BYTES = 1 << 30


class BadImageError(HashbenchError):
    """An image file is missing, truncated or no image; the message names it."""


_REMEDY = "replace the file, or set `on_bad_image: skip` for this data set in params.yaml to leave such rows out"


@dataclass(frozen=True)
class ImageFiles:
    """A sequence of images of any size that stay on disk: `files[i]` decodes one to uint8 (h, w, 3) RGB.

    `paths`: where each lies; a part of a path that is a zip file stands for what is inside it, as in
    `data/images.zip/train/cat/1.jpg`. Cheap to copy to worker processes. Raises BadImageError that names the file.
    """

    paths: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> Array:
        return decode(self.encoded(row), self.paths[row])

    def encoded(self, row: int) -> bytes:
        """The file as its publisher made it."""
        path = self.paths[row]
        archive, inside = _split_zip(path)
        try:
            return _zip(archive, os.getpid()).read(inside) if inside else archive.read_bytes()
        except _READ_ERRORS as error:
            raise BadImageError(f"{path}: image cannot be read ({error}); {_REMEDY}") from None

    def digest(self) -> str:
        """The sha256, in hex, of all files as their publisher made them, in order."""
        sha = hashlib.sha256()
        for row in track(range(len(self)), "digest of the images"):
            sha.update(hashlib.sha256(self.encoded(row)).digest())
        return sha.hexdigest()

    def missing(self) -> list[str]:
        """The paths where there is no file."""
        return [path for path in self.paths if not _exists(path)]


def _split_zip(path: str) -> tuple[Path, str]:
    """The zip and the member that a path names, or the path and ''."""
    before, zipped, inside = path.partition(".zip/")
    archive = Path(f"{before}.zip")
    return (archive, inside) if zipped and archive.is_file() else (Path(path), "")


def _exists(path: str) -> bool:
    archive, inside = _split_zip(path)
    return inside in _zip(archive, os.getpid()).NameToInfo if inside else archive.is_file()


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
class OpenedImages:
    """What came of a list of files: `images`, the positions `kept` (m,) int64, and the paths `skipped` as undecodable.

    `images` is one uint8 array (m, h, w, 3) where all have one size and fit in memory, else `ImageFiles`.
    """

    images: Array | ImageFiles
    kept: Array
    skipped: tuple[str, ...]


def open_images(files: ImageFiles, on_bad_image: BadImagePolicy, title: str) -> OpenedImages:
    """Decode once what is small and of one size; leave the rest on disk.

    `on_bad_image`: `fatal` raises BadImageError for a missing file at once, and for an undecodable one when it is
    read; `skip` decodes every file here once and leaves out those that cannot be.
    """
    if on_bad_image not in ("fatal", "skip"):
        raise HashbenchError(f"data set {title}: on_bad_image is '{on_bad_image}' (allowed: fatal, skip)")
    if not files.paths:
        raise HashbenchError(f"data set {title}: no images found")
    if on_bad_image == "fatal" and (missing := files.missing()):
        raise BadImageError(f"{missing[0]}: image missing, one of {len(missing):,}; {_REMEDY}")
    opened = _in_memory(files, on_bad_image, title) or _on_disk(files, on_bad_image, title)
    if opened.skipped:
        log.warning(
            "%s: %d of %d images cannot be decoded and are left out, the first is %s",
            title,
            len(opened.skipped),
            len(files),
            opened.skipped[0],
        )
    if not len(opened.kept):
        raise BadImageError(f"data set {title}: none of its {len(files):,} images can be decoded")
    return opened


def _in_memory(files: ImageFiles, on_bad_image: BadImagePolicy, title: str) -> OpenedImages | None:
    """All images as one array, or None as soon as they prove too large or of several sizes."""
    images: Array = np.empty(0, dtype=np.uint8)
    kept: list[int] = []
    for row, image in _decodable(files, on_bad_image, title):
        if not kept:
            if image.nbytes * len(files) > _IN_MEMORY_BYTES:
                return None
            images = np.empty((len(files), *image.shape), dtype=np.uint8)
        if image.shape != images.shape[1:]:
            return None
        images[len(kept)] = image
        kept.append(row)
    return OpenedImages(images[: len(kept)], *_sort_out(files, kept))


def _on_disk(files: ImageFiles, on_bad_image: BadImagePolicy, title: str) -> OpenedImages:
    if on_bad_image == "fatal":
        return OpenedImages(files, np.arange(len(files)), ())
    kept, skipped = _sort_out(files, [row for row, _ in _decodable(files, on_bad_image, title)])
    return OpenedImages(ImageFiles(tuple(files.paths[row] for row in kept)), kept, skipped)


def _decodable(files: ImageFiles, on_bad_image: BadImagePolicy, title: str) -> Iterator[tuple[int, Array]]:
    """Every row that can be decoded, with its image; where the policy is `fatal`, a bad one raises."""
    for row in track(range(len(files)), f"decoding {title}"):
        try:
            image = files[row]
        except BadImageError:
            if on_bad_image == "fatal":
                raise
            continue
        yield row, image


def _sort_out(files: ImageFiles, kept: list[int]) -> tuple[Array, tuple[str, ...]]:
    """The rows kept, and the paths of the others."""
    rows = np.array(kept, dtype=np.int64)
    return rows, tuple(files.paths[row] for row in np.setdiff1d(np.arange(len(files)), rows))
