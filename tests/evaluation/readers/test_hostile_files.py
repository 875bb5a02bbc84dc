"""A codes file from anyone is never run, never fills the memory, and never leads to another file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy import io

from hashbench.errors import HashbenchError
from hashbench.evaluation.readers.files import read_file


class Payload:
    """What executes code as soon as it is unpickled."""

    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.flag,)


def refused(path: Path) -> str:
    with pytest.raises(HashbenchError) as error:
        read_file(path)
    assert str(error.value).isprintable()
    return str(error.value)


@pytest.mark.parametrize("how", [{"do_compression": True}, {"do_compression": False}, {"format": "4"}])
def test_an_honest_matlab_file_of_any_version_is_read(tmp_path: Path, how: dict[str, Any]) -> None:
    codes = np.random.default_rng(0).integers(0, 2, (5000, 64)).astype(float)
    io.savemat(tmp_path / "codes.mat", {"qB": codes}, **how)
    assert (read_file(tmp_path / "codes.mat")["qB"] == codes).all()


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pytorch_file_runs_nothing(tmp_path: Path, protocol: int) -> None:
    import torch

    flag = tmp_path / "executed"
    torch.save(
        {"query_codes": torch.zeros(2, 2), "db_codes": Payload(flag)}, tmp_path / "a.pt", pickle_protocol=protocol
    )
    objects = np.array([Payload(flag), None], dtype=object)
    torch.save({"query_codes": objects}, tmp_path / "b.pt", pickle_protocol=protocol)
    for name in ("a.pt", "b.pt"):
        assert "can run code" in refused(tmp_path / name)
    assert not flag.exists()


def test_bombs_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    cells = np.empty((10, 1), dtype=object)
    for row in range(10):
        cells[row, 0] = np.zeros(1 << 25, np.uint8)  # 320 MiB in all
    io.savemat(tmp_path / "codes.mat", {"qB": cells}, do_compression=True)
    with h5py.File(tmp_path / "codes.h5", "w") as file:
        file.create_dataset("qB", (1 << 40, 64), np.uint8, chunks=(1 << 16, 64), compression="gzip")
    for name in ("codes.mat", "codes.h5"):
        assert (tmp_path / name).stat().st_size < 1_000_000
        assert "refused as a bomb" in refused(tmp_path / name)


def test_a_parquet_bomb(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    one = pa.array(np.zeros(1 << 20, np.int8))
    parquet.write_table(pa.table({f"b{column}": one for column in range(64)}), tmp_path / "codes.parquet")
    assert "refused as a bomb" in refused(tmp_path / "codes.parquet")


def test_links_of_an_hdf5_file_are_not_followed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["rB"] = np.ones((2, 2))
    with h5py.File(tmp_path / "codes.h5", "w") as file:
        file["a/qB"] = np.ones((2, 2))
        for name in "xyz":
            file[f"a/{name}"] = h5py.SoftLink("/a")
            file[f"{name}"] = h5py.SoftLink("/")
        file["other"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/")
    assert [*read_file(tmp_path / "codes.h5")] == ["a/qB"]


def test_values_in_another_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(16))
    with h5py.File(tmp_path / "codes.h5", "w") as file:
        file.create_dataset("qB", (4, 4), np.uint8, external=[(str(tmp_path / "secret"), 0, 16)])
    assert "keeps its values in another file" in refused(tmp_path / "codes.h5")


def test_a_cell_that_holds_itself(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "codes.mat", "w", userblock_size=512) as file:
        cell = file.create_dataset("qB", (2, 1), h5py.ref_dtype)
        cell.attrs["MATLAB_class"] = np.bytes_("cell")
        cell[0, 0] = cell[1, 0] = cell.ref
    assert "cannot be read as plain arrays" in refused(tmp_path / "codes.mat")


def test_an_npy_file_is_mapped_and_one_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "codes.npy"
    np.save(path, np.eye(64))
    assert isinstance(read_file(path)[""].base, np.memmap)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(HashbenchError, match=r"codes.npy cannot be read as plain arrays"):
        read_file(path)
