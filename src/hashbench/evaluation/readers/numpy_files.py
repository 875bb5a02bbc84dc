"""NumPy's files: `.npz` with arrays by name or one sparse matrix of scipy, and `.npy` with a single array."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.evaluation.readers.bombs import refuse_bomb

_SPARSE = {"format", "shape", "data"}  # what scipy.sparse.save_npz writes, beside the places of the values


def read(path: Path) -> dict[str, Any]:
    """The arrays of an `.npz` or `.npy` file; pickled objects are refused."""
    if path.suffix.lower() == ".npy":
        with path.open("rb") as file:
            return {"": np.lib.format.read_array(file, allow_pickle=False)}
    if not zipfile.is_zipfile(path):
        raise HashbenchError(f"{path.name} is no .npz file: write one with numpy.savez")
    with np.load(path, allow_pickle=False) as archive:
        refuse_bomb(path, sum(member.file_size for member in archive.zip.infolist()))
        if set(archive.files) >= _SPARSE:
            from scipy import sparse  # type: ignore[import-untyped]

            return {"": sparse.load_npz(path)}
        return {name: archive[name] for name in archive.files}
