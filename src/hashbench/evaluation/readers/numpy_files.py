"""NumPy's files: `.npz` with arrays by name or one sparse matrix of scipy, and `.npy` with a single array."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.evaluation.readers.bombs import refuse_bomb
from hashbench.evaluation.readers.found import shown, some
from hashbench.types import Array

_SPARSE = {"format", "shape", "data"}  # what scipy.sparse.save_npz writes, beside the places of the values


def read(path: Path) -> dict[str, Any]:
    """The arrays of an `.npz` or `.npy` file, the latter mapped into memory; pickled objects are refused."""
    if path.suffix.lower() == ".npy":
        return {"": _mapped(path)}
    if not zipfile.is_zipfile(path):
        raise HashbenchError(f"{shown(path.name)} is no .npz file: write one with numpy.savez")
    with np.load(path, allow_pickle=False) as archive:
        refuse_bomb(path, sum(member.file_size for member in archive.zip.infolist()))
        if set(archive.files) >= _SPARSE:
            from scipy import sparse  # type: ignore[import-untyped]

            return {"": sparse.load_npz(path)}
        arrays = {name: archive[name] for name in archive.files}
    no_arrays = [name for name, value in arrays.items() if not isinstance(value, np.ndarray)]
    if no_arrays:
        raise HashbenchError(f"{shown(path.name)} holds {some(no_arrays)}, which is no array: write it by numpy.savez")
    return arrays


def _mapped(path: Path) -> Array:
    """The array of a `.npy` file, of which only what is used comes into memory."""
    mapped: Array = np.lib.format.open_memmap(path, mode="r")
    return np.asarray(mapped)
