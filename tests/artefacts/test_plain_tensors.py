"""A file of tensors without a sidecar: its own header seals every byte of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from hashbench.artefacts import store
from hashbench.errors import HashbenchError

ARRAYS = {"b": np.array([[True, False]]), "a": np.arange(6, dtype=np.int64).reshape(2, 3), "c": np.float32([0.5])}
ABOUT = {"name": "µ", "classes": 11}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "deep" / "file.safetensors"
    store.write_plain_tensors(found, ARRAYS, ABOUT)
    return found


def refused(path: Path) -> str:
    """The one line by which a damaged file is refused."""
    with pytest.raises(store.DamagedError) as caught:
        store.read_plain_tensors(path)
    assert str(caught.value).isprintable()
    assert str(caught.value).startswith(f"{path} is damaged (")
    return str(caught.value)


def test_arrays_and_what_is_said_of_them_come_back(path: Path) -> None:
    arrays, about = store.read_plain_tensors(path)
    assert about == ABOUT
    assert set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        assert np.array_equal(arrays[name], array)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_anyone_can_read_the_file(path: Path) -> None:
    assert np.array_equal(load_file(path)["a"], ARRAYS["a"])


def test_the_bytes_follow_from_the_content_alone(path: Path) -> None:
    other = path.with_name("other.safetensors")
    store.write_plain_tensors(other, dict(sorted(ARRAYS.items())), dict(reversed(ABOUT.items())))
    assert other.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("flip", [1, 0x20, 0x80])
def test_any_flipped_byte_is_found(path: Path, flip: int) -> None:
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
        refused(path)
    path.write_bytes(whole)
    store.read_plain_tensors(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 7, b"\xff" * 8, b"\xff" * 100, b"\2\0\0\0\0\0\0\0{}", b"\x04\0\0\0\0\0\0\0null", b"[" * 5000],
    ids=["nothing", "half a length", "length alone", "no text", "no header", "null", "brackets"],
)
def test_what_is_no_such_file_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    refused(path)


def test_a_cut_or_longer_file_is_refused(path: Path) -> None:
    whole = path.read_bytes()
    for content in (whole[:-1], whole[: len(whole) // 2], whole + b"\0"):
        path.write_bytes(content)
        refused(path)


@pytest.mark.parametrize("about", [None, "text", '["a"]', "{}", '{"seal": null}', '{"seal": ""}', '{"seal": "a"}'])
def test_a_header_without_a_seal_is_refused(path: Path, about: str | None) -> None:
    path.write_bytes(save(dict(ARRAYS), None if about is None else {"about": about}))
    refused(path)


def test_what_is_said_cannot_be_exchanged(path: Path) -> None:
    other = path.with_name("other.safetensors")
    store.write_plain_tensors(other, ARRAYS, {**ABOUT, "classes": 12})
    seal = re.compile(rb"[0-9a-f]{64}")
    (ours,) = seal.findall(path.read_bytes())
    other.write_bytes(seal.sub(ours, other.read_bytes()))
    assert refused(other).endswith("(its seal is not that of its content); delete it and run `dvc repro`")


def test_a_missing_file_is_told_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(HashbenchError, match=r"none\.safetensors is missing; run `dvc repro` to make it"):
        store.read_plain_tensors(tmp_path / "none.safetensors")


@pytest.mark.parametrize(("about", "is_left"), [(ABOUT, True), ({**ABOUT, "name": "b"}, False)])
def test_the_same_content_is_left_as_it_lies(path: Path, about: dict[str, Any], is_left: bool) -> None:
    before = path.stat().st_ino
    store.write_plain_tensors(path, ARRAYS, about)
    assert (path.stat().st_ino == before) is is_left
    assert store.read_plain_tensors(path)[1] == about
