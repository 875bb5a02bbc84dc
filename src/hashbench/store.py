"""The only reader and writer of artefacts.

An artefact is one data file (`.npy` or `.safetensors`) and a sidecar of the same name with `.json` added, which holds
the data file's sha256 and whatever its writer says of it. Both are replaced atomically, the sidecar last: a file
without a valid sidecar does not exist. Every whole read checks the sha256.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.types import Array, Split

_BLOCK = 1 << 22


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hex."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            sha.update(block)
    return sha.hexdigest()


def digest_of(value: Any) -> str:
    """First 12 hex digits of the sha256 of a JSON value, independent of the order of keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def digest_of_files(paths: list[Path]) -> str:
    """First 12 hex digits of a sha256 over the names and contents of files."""
    return digest_of({path.name: sha256_of(path) for path in paths})


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; move it into place when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace a text file atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file atomically, keys in the order given."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """The value of a JSON file. Raises HashbenchError where it is missing or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise HashbenchError(f"{path} is missing; run `dvc repro` to make it") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise HashbenchError(f"{path} is damaged ({error}); delete it and run `dvc repro`") from None


def sidecar(path: Path) -> Path:
    """The path of an artefact's sidecar."""
    return path.with_name(path.name + ".json")


def _write_sidecar(path: Path, about: Mapping[str, Any]) -> None:
    write_json(sidecar(path), {"sha256": sha256_of(path), **about})


def write_tensors(path: Path, arrays: Mapping[str, Array], about: Mapping[str, Any]) -> None:
    """Write named arrays as one `.safetensors` artefact."""
    from safetensors.numpy import save

    with replacing(path) as temporary:
        temporary.write_bytes(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))
    _write_sidecar(path, about)


def write_array(path: Path, array: Array, about: Mapping[str, Any]) -> None:
    """Write one array as a `.npy` artefact, which can be mapped into memory."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)
    _write_sidecar(path, about)


def read_tensors(path: Path) -> dict[str, Array]:
    """Read a `.safetensors` artefact whole, after checking its sha256."""
    from safetensors.numpy import load

    check(path)
    return load(path.read_bytes())


def about(path: Path) -> dict[str, Any]:
    """The sidecar of an artefact, without reading its data."""
    value = read_json(sidecar(path))
    if not isinstance(value, dict) or not isinstance(value.get("sha256"), str):
        raise HashbenchError(f"{sidecar(path)} is damaged; delete it and run `dvc repro`")
    return value


def check(path: Path) -> None:
    """Raise HashbenchError unless the data file has the sha256 that its sidecar names."""
    expected = about(path)["sha256"]
    if not path.is_file():
        raise HashbenchError(f"{path} is missing; run `dvc repro` to make it")
    if sha256_of(path) != expected:
        raise HashbenchError(f"{path} is damaged (its sha256 is not the recorded one); delete it and run `dvc repro`")


def is_whole(path: Path, **expected: Any) -> bool:
    """Whether an undamaged artefact lies at `path` whose sidecar holds all the `expected` values."""
    try:
        found = about(path)
        check(path)
    except HashbenchError:
        return False
    return all(found.get(name) == value for name, value in expected.items())


def open_array(path: Path) -> Array:
    """Memory-map a `.npy` artefact, read-only, after checking its sha256."""
    check(path)
    array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


class ArrayBuilder:
    """Writes a large `.npy` artefact row block by row block, and goes on after an interruption.

    `path` gets shape `shape` and `dtype`; blocks are written in order along the first axis. `made_from` names what
    the rows depend on: an unfinished file made from something else is started anew. `done` is the number of rows that
    are safely on disk; `add(rows)` appends; `finish()` makes the artefact.

    Finished rows are covered by a running sha256 in a `.progress` file that is replaced after each block.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: Any, made_from: Mapping[str, Any]) -> None:
        self.path = path
        self._made_from = dict(made_from)
        self._part = path.with_name(path.name + ".part")
        self._progress = path.with_name(path.name + ".progress")
        path.parent.mkdir(parents=True, exist_ok=True)
        identity = {"shape": list(shape), "dtype": str(np.dtype(dtype)), **self._made_from}
        self._identity = digest_of(identity)
        self.done = self._resume(shape, np.dtype(dtype))

    def _resume(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
        try:
            progress = json.loads(self._progress.read_text())
            array: Array = np.lib.format.open_memmap(self._part, mode="r+")
            if progress["identity"] == self._identity and array.shape == shape and array.dtype == dtype:
                self._array, self._blocks = array, list(progress["blocks"])
                return self._first_damaged_row()
        except (OSError, ValueError, KeyError, TypeError):
            pass
        self._blocks = []
        self._array = np.lib.format.open_memmap(self._part, mode="w+", dtype=dtype, shape=shape)
        return 0

    def _first_damaged_row(self) -> int:
        for number, (start, stop, sha) in enumerate(self._blocks):
            if hashlib.sha256(self._array[start:stop].tobytes()).hexdigest() != sha:
                self._blocks = self._blocks[:number]
                return int(start)
        return int(self._blocks[-1][1]) if self._blocks else 0

    def add(self, rows: Array) -> None:
        """Append `rows` and put them on disk."""
        start, stop = self.done, self.done + len(rows)
        self._array[start:stop] = rows
        self._array.flush()  # type: ignore[attr-defined]
        sha = hashlib.sha256(self._array[start:stop].tobytes()).hexdigest()
        self._blocks.append((start, stop, sha))
        write_text(self._progress, json.dumps({"identity": self._identity, "blocks": self._blocks}))
        self.done = stop

    def rewind(self, done: int) -> None:
        """Go back to `done` rows, the end of an earlier block."""
        self._blocks = [block for block in self._blocks if block[1] <= done]
        self.done = done

    def finish(self, **about: Any) -> None:
        """Make the artefact of the rows added. Raises HashbenchError where some are missing."""
        if self.done != len(self._array):
            raise HashbenchError(f"{self.path}: {self.done} of {len(self._array)} rows were written")
        self._array.flush()  # type: ignore[attr-defined]
        del self._array
        self._part.replace(self.path)
        _write_sidecar(self.path, {**self._made_from, **about})
        self._progress.unlink(missing_ok=True)


def write_split(path: Path, split: Split) -> None:
    """Write a split as a `.safetensors` artefact: row numbers as uint32, labels one bit each."""
    arrays = {part: getattr(split, part).astype(np.uint32) for part in ("query", "database", "train")}
    arrays["labels"] = np.packbits(split.labels, axis=1)
    write_tensors(path, arrays, {"name": split.name, "digest": split.digest, "classes": split.labels.shape[1]})


def read_split(path: Path) -> Split:
    """Read a split. Raises HashbenchError where it is damaged."""
    arrays, said = read_tensors(path), about(path)
    rows = [arrays[part].astype(np.int64) for part in ("query", "database", "train")]
    labels = np.unpackbits(arrays["labels"], axis=1, count=said["classes"]).astype(np.bool_)
    split = Split(said["name"], rows[0], rows[1], rows[2], labels)
    if split.digest != said["digest"]:
        raise HashbenchError(f"{path} is damaged (its digest is not the recorded one); run `dvc repro`")
    return split
