"""MATLAB's `.mat` files: version 5 by scipy, version 7.3 as HDF5."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from hashbench.evaluation.readers.bombs import refuse_bomb
from hashbench.types import Array

_HDF5 = b"\x89HDF\r\n\x1a\n"
_LARGEST_VALUE = 16  # bytes of a complex double


def read(path: Path) -> dict[str, Any]:
    """The variables of a `.mat` file, fields of structs as `struct.field`, cells as lists or texts."""
    with path.open("rb") as file:
        starts = [file.read(8), _at(file, 512)]  # MATLAB puts 512 bytes of its own before the HDF5 file
    if _HDF5 in starts:
        from hashbench.evaluation.readers import hdf5

        return hdf5.read(path)
    from scipy import io  # type: ignore[import-untyped]

    refuse_bomb(path, sum(_LARGEST_VALUE * math.prod(shape) for _, shape, _ in io.whosmat(path)))
    variables = io.loadmat(path, chars_as_strings=True)
    return _without_structs({name: value for name, value in variables.items() if not name.startswith("__")})


def _at(file: BinaryIO, place: int) -> bytes:
    file.seek(place)
    return file.read(8)


def _without_structs(variables: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in variables.items():
        if isinstance(value, np.ndarray) and value.dtype.names and value.size == 1:
            fields = {f"{name}.{field}": value[field].flat[0] for field in value.dtype.names}
            flat |= _without_structs(fields)
        elif isinstance(value, np.ndarray) and value.dtype == object:
            flat[name] = rows_of_cells([np.asarray(cell) for cell in value.ravel()])
        else:
            flat[name] = value
    return flat


def rows_of_cells(cells: list[Array]) -> Any:
    """A cell array, one cell an item: texts (n,) where every cell is one text, else a list of lists."""
    rows = [np.atleast_1d(cell).ravel().tolist() for cell in cells]
    if all(len(row) == 1 and isinstance(row[0], str) for row in rows):
        return np.array([row[0] for row in rows])
    return rows
