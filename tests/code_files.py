"""Codes files of every format, written as the programs that people use write them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import io, sparse

Arrays = dict[str, Any]


def write_npz(path: Path, arrays: Arrays) -> None:
    np.savez(path, **arrays)


def write_mat(path: Path, arrays: Arrays) -> None:
    """MATLAB 5: a vector is a column, texts and lists are cells."""
    io.savemat(path, {name: _matlab(value) for name, value in arrays.items()}, oned_as="column")


def _matlab(value: Any) -> Any:
    if isinstance(value, list) or value.dtype.kind == "U":
        cells = np.empty((len(value), 1), dtype=object)
        for row, each in enumerate(value):
            cells[row, 0] = np.array([each], dtype=float) if isinstance(each, list) else str(each)
        return cells
    return value


def write_mat73(path: Path, arrays: Arrays) -> None:
    """MATLAB 7.3: HDF5 behind 512 bytes of MATLAB's, axes in reverse order, the class of a variable as an attribute."""
    import h5py

    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in arrays.items():
            _write_variable(file, name, value)
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\2IM")


def _write_variable(file: Any, name: str, value: Any) -> None:
    import h5py

    if isinstance(value, list) or (isinstance(value, np.ndarray) and value.dtype.kind == "U"):
        cells = np.empty((1, len(value)), dtype=h5py.ref_dtype)
        for row, each in enumerate(value):
            cell = f"#refs#/{name}{row}"
            if isinstance(each, list):
                _write_variable(file, cell, np.array([each], dtype=float))
            else:
                text = file.create_dataset(cell, data=np.array([[ord(letter)] for letter in each], np.uint16))
                text.attrs["MATLAB_class"] = np.bytes_("char")
            cells[0, row] = file[cell].ref
        file.create_dataset(name, data=cells, dtype=h5py.ref_dtype).attrs["MATLAB_class"] = np.bytes_("cell")
    elif sparse.issparse(value):
        matrix = value.tocsc()
        group = file.create_group(name)
        group.attrs["MATLAB_class"] = np.bytes_("double")
        group.attrs["MATLAB_sparse"] = np.uint64(matrix.shape[0])
        group["jc"], group["ir"] = matrix.indptr.astype(np.uint64), matrix.indices.astype(np.uint64)
        group["data"] = matrix.data.astype(float)
    else:
        matrix = value.reshape(-1, 1) if value.ndim == 1 else value
        is_bool = matrix.dtype == np.bool_
        stored = file.create_dataset(name, data=(matrix.astype(np.uint8) if is_bool else matrix).T)
        stored.attrs["MATLAB_class"] = np.bytes_("logical" if is_bool else "double")


def write_h5(path: Path, arrays: Arrays) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        for name, value in arrays.items():
            is_text = value.dtype.kind == "U"
            file.create_dataset(f"out/{name}", data=value.astype(object) if is_text else value)


def write_pt(path: Path, arrays: Arrays) -> None:
    import torch

    torch.save({name: _tensor(value) for name, value in arrays.items()}, path)


def _tensor(value: Any) -> Any:
    import torch

    if sparse.issparse(value):
        return torch.from_numpy(value.toarray()).to_sparse()
    if isinstance(value, list):
        return value
    return value.tolist() if value.dtype.kind == "U" else torch.from_numpy(np.ascontiguousarray(value))


def write_pt_of_numpy(path: Path, arrays: Arrays) -> None:
    import torch

    torch.save({"model": None, "codes": arrays}, path)


def write_safetensors(path: Path, arrays: Arrays) -> None:
    from safetensors.numpy import save_file

    save_file({name: np.ascontiguousarray(value) for name, value in arrays.items()}, path)


def write_parquet(path: Path, arrays: Arrays) -> None:
    """One file for each part: columns of different lengths are no table."""
    import pyarrow as pa
    from pyarrow import parquet

    columns = {}
    for name, value in arrays.items():
        if isinstance(value, np.ndarray) and value.ndim == 2 and value.shape[1] > 1:
            columns |= {f"{name}{place}": pa.array(column) for place, column in enumerate(value.T)}
        else:
            columns[name] = pa.array(value if isinstance(value, list) else value.reshape(-1).tolist())
    parquet.write_table(pa.table(columns), path)


def write_csv(path: Path, value: Any) -> None:
    """An array without names."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(value.tolist() if value.ndim == 2 else value[:, np.newaxis].tolist())


def write_csv_with_names(path: Path, arrays: Arrays) -> None:
    """Columns `codes0`, `codes1`, ... and `labels`."""
    names, columns = [], []
    for name, value in arrays.items():
        is_matrix = value.ndim == 2 and value.shape[1] > 1
        names += [f"{name}{place}" for place in range(value.shape[1])] if is_matrix else [name]
        columns += list(value.T) if is_matrix else [value.reshape(-1)]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([names, *zip(*(column.tolist() for column in columns), strict=True)])


ONE_FILE: dict[str, tuple[str, Callable[[Path, Arrays], None]]] = {
    "npz": (".npz", write_npz),
    "mat": (".mat", write_mat),
    "mat73": (".mat", write_mat73),
    "h5": (".h5", write_h5),
    "pt": (".pt", write_pt),
    "pt of numpy": (".pth", write_pt_of_numpy),
    "safetensors": (".safetensors", write_safetensors),
}
A_FILE_A_PART: dict[str, tuple[str, Callable[[Path, Arrays], None]]] = {
    "parquet": (".parquet", write_parquet),
    "csv with names": (".csv", write_csv_with_names),
}
A_FILE_AN_ARRAY: dict[str, tuple[str, Callable[[Path, Any], None]]] = {
    "npy": (".npy", lambda path, value: np.save(path, value)),
    "csv": (".csv", write_csv),
}
FORMATS = (*ONE_FILE, *A_FILE_A_PART, *A_FILE_AN_ARRAY)


def write_items(folder: Path, how: str, arrays: Arrays) -> list[str]:
    """Write query_codes, database_codes, query_labels and database_labels; the arguments of `hashbench evaluate`."""
    if how in ONE_FILE:
        suffix, write = ONE_FILE[how]
        write(folder / f"codes{suffix}", arrays)
        return [str(folder / f"codes{suffix}")]
    arguments = []
    for name, value in arrays.items():
        part, content = name.split("_")
        if how in A_FILE_A_PART:
            suffix, write = A_FILE_A_PART[how]
            path = folder / f"{part}{suffix}"
            write(path, {each: arrays[f"{part}_{each}"] for each in ("codes", "labels")})
        else:
            suffix, write_array = A_FILE_AN_ARRAY[how]
            path = folder / f"{part}-{content}{suffix}"
            write_array(path, value)
        arguments += [f"--{part}-{content}", str(path)]
    return arguments
