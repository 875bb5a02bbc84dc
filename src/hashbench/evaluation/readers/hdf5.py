"""HDF5 files, those that MATLAB 7.3 writes among them: MATLAB stores its axes in reverse order and says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.evaluation.readers.bombs import refuse_bomb
from hashbench.evaluation.readers.matlab import rows_of_cells
from hashbench.types import Array


def read(path: Path) -> dict[str, Any]:
    """The data sets of an HDF5 file by their path in it, without MATLAB's own `#refs#`."""
    import h5py  # type: ignore[import-untyped]

    with h5py.File(path, "r") as file:
        items = _items(file)
        refuse_bomb(path, sum(item.nbytes for item in items.values() if isinstance(item, h5py.Dataset)))
        sparse = {name for name, item in items.items() if "MATLAB_sparse" in item.attrs}
        return {
            name: _sparse(item) if name in sparse else _array(item)
            for name, item in items.items()
            if "#" not in name
            and name.rpartition("/")[0] not in sparse
            and (name in sparse or isinstance(item, h5py.Dataset))
        }


def _items(file: Any) -> dict[str, Any]:
    """Every group and data set once, by its path: links, which may lead in circles or to other files, are no items."""
    found: dict[str, Any] = {}
    file.visititems(found.__setitem__)
    return found


def _array(item: Any) -> Any:
    if item.external or item.is_virtual:
        raise HashbenchError(f"{item.name} keeps its values in another file: write it anew with the values in it")
    matlab = item.attrs.get("MATLAB_class")
    if matlab is None:
        value = item.asstr()[()] if item.dtype.kind == "O" else item[()]
        return np.asarray(value, dtype=str) if item.dtype.kind == "O" else np.asarray(value)
    if matlab == b"cell":
        return rows_of_cells([_array(item.file[cell]) for cell in item[()].T.ravel()])
    if matlab == b"char":
        return _texts(item[()].T)
    return item[()].T


def _texts(characters: Array) -> Array:
    """Texts (n,) of a char matrix (n, characters) of UTF-16 units, without the spaces that fill a row."""
    return np.array(["".join(map(chr, row)).rstrip() for row in np.atleast_2d(characters)])


def _sparse(group: Any) -> Any:
    from scipy import sparse  # type: ignore[import-untyped]

    columns = group["jc"][()].astype(np.int64)
    if "data" not in group:  # MATLAB writes no values where there are none
        return sparse.csc_matrix((int(group.attrs["MATLAB_sparse"]), len(columns) - 1))
    values, rows = group["data"][()], group["ir"][()].astype(np.int64)
    return sparse.csc_matrix((values, rows, columns), shape=(int(group.attrs["MATLAB_sparse"]), len(columns) - 1))
