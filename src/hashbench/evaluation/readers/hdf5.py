"""HDF5 files, those that MATLAB 7.3 writes among them: MATLAB stores its axes in reverse order and says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hashbench.evaluation.readers.bombs import refuse_bomb
from hashbench.evaluation.readers.matlab import rows_of_cells
from hashbench.types import Array


def read(path: Path) -> dict[str, Any]:
    """The data sets of an HDF5 file by their path in it, without MATLAB's own `#refs#`."""
    import h5py  # type: ignore[import-untyped]

    with h5py.File(path, "r") as file:
        refuse_bomb(path, _size(file))
        found: dict[str, Any] = {}
        _collect(file, "", found)
        return found


def _size(file: Any) -> int:
    """Bytes of all data sets, each counted once."""
    import h5py

    sizes: list[int] = []
    file.visititems(lambda name, item: sizes.append(item.nbytes) if isinstance(item, h5py.Dataset) else None)
    return sum(sizes)


def _collect(group: Any, prefix: str, found: dict[str, Any]) -> None:
    import h5py

    for name, item in group.items():
        if name.startswith("#"):
            continue
        if isinstance(item, h5py.Dataset):
            found[prefix + name] = _array(item)
        elif "MATLAB_sparse" in item.attrs:
            found[prefix + name] = _sparse(item)
        else:
            _collect(item, f"{prefix}{name}/", found)


def _array(item: Any) -> Any:
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
