"""Large arrays written block by block, so that what was finished before a kill is kept."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.artefacts import store
from hashbench.cells import Frozen
from hashbench.errors import HashbenchError
from hashbench.fingerprint import digest_of
from hashbench.types import Array

Block = tuple[int, int, str]  # its first row, the row after its last, and its sha256


class _Progress(Frozen):
    """The finished blocks of a file, and a digest of what they depend on."""

    identity: str
    blocks: list[Block]


class ArrayBuilder:
    """Writes a large `.npy` artefact row block by row block, and goes on after an interruption.

    `path` gets shape `shape` and `dtype`; blocks are written in order along the first axis. `made_from` names what
    the rows depend on: an unfinished file made from something else is started anew. `done` is the number of rows that
    are safely on disk; `add(rows)` appends; `finish()` makes the artefact.

    Finished rows are covered by sha256s in a `.progress` file that is replaced after each block. Rows are written, not
    mapped: a disk that is full gives an error, where a mapped page would kill the process.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: Any, made_from: Mapping[str, Any]) -> None:
        self.path = path
        self._made_from = dict(made_from)
        self._dtype = np.dtype(dtype)
        self._part = path.with_name(path.name + ".part")
        self._progress = path.with_name(path.name + ".progress")
        path.parent.mkdir(parents=True, exist_ok=True)
        identity = {"shape": list(shape), "dtype": str(self._dtype), **self._made_from}
        self._identity = digest_of(identity)
        self.done = self._resume(shape)

    def _resume(self, shape: tuple[int, ...]) -> int:
        self._blocks: list[Block] = []
        try:
            progress = store.read_sealed_if_whole(self._progress, _Progress)
            array: Array = np.lib.format.open_memmap(self._part, mode="r")
            if progress and progress.identity == self._identity:
                if array.shape == shape and array.dtype == self._dtype:
                    self._array = array
                    return self._keep_undamaged(progress.blocks)
                store.DamagedError(self._part, "its header is not the one written").warn()
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            store.DamagedError(self._part, str(error)).warn()
        with store.naming(self._part):
            np.lib.format.open_memmap(self._part, mode="w+", dtype=self._dtype, shape=shape)
        self._array = np.lib.format.open_memmap(self._part, mode="r")
        return 0

    def _keep_undamaged(self, blocks: Sequence[Block]) -> int:
        """Keep the blocks before the first damaged one; how many rows they have."""
        for start, stop, sha in blocks:
            if hashlib.sha256(self._array[start:stop].tobytes()).hexdigest() != sha:
                store.DamagedError(self._part, f"from row {start} on").warn()
                break
            self._blocks.append((start, stop, sha))
        return self._blocks[-1][1] if self._blocks else 0

    def add(self, rows: Array) -> None:
        """Append `rows` (m, ...) and put them on disk."""
        start, stop = self.done, self.done + len(rows)
        if rows.shape[1:] != self._array.shape[1:] or stop > len(self._array):
            raise ValueError(f"{self.path}: rows {rows.shape} at {start} do not fit into {self._array.shape}")
        content = np.ascontiguousarray(rows, dtype=self._dtype).tobytes()
        with store.naming(self._part), self._part.open("r+b") as file:
            file.seek(self._array.offset + start * self._array[:1].nbytes)  # type: ignore[attr-defined]
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        self._blocks.append((start, stop, hashlib.sha256(content).hexdigest()))
        store.write_sealed(self._progress, {"identity": self._identity, "blocks": self._blocks})
        self.done = stop

    def rewind(self, done: int) -> None:
        """Go back to `done` rows, the end of an earlier block."""
        self._blocks = [block for block in self._blocks if block[1] <= done]
        self.done = done

    def finish(self, **about: Any) -> None:
        """Make the artefact of the rows added. Raises HashbenchError where some are missing.

        The sidecar comes first: a writer killed before the data follow goes on from the finished rows.
        """
        if self.done != len(self._array):
            raise HashbenchError(f"{self.path}: {self.done} of {len(self._array)} rows were written")
        del self._array
        said = {"sha256": store.sha256_of(self._part), **self._made_from, **about}
        store.write_sealed(store.sidecar(self.path), said)
        self._part.replace(self.path)
        self._progress.unlink(missing_ok=True)
