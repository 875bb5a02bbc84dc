"""A split on disk: it comes back as it was, or is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import flip_a_byte

from hashbench.artefacts import store
from hashbench.artefacts.split import PARTS, read_split, warn_of_damage, write_split
from hashbench.errors import HashbenchError
from hashbench.types import Array, Split


@pytest.fixture
def path(tmp_path: Path, split: Split) -> Path:
    write_split(tmp_path / "split.safetensors", split)
    return tmp_path / "split.safetensors"


def test_a_split_comes_back_and_a_forged_one_is_found(path: Path, split: Split) -> None:
    read = read_split(path)
    assert read.name == "thirty"
    assert read.digest == split.digest
    for part in (*PARTS, "labels"):
        assert np.array_equal(getattr(read, part), getattr(split, part))
        assert getattr(read, part).dtype == getattr(split, part).dtype
    arrays, said = store.read_plain_tensors(path)
    store.write_plain_tensors(path, arrays, {**said, "digest": "0" * 12})
    with pytest.raises(store.DamagedError, match=r"split\.safetensors is damaged .its digest is not the recorded one"):
        read_split(path)


def test_any_flipped_byte_is_found(path: Path) -> None:
    whole = path.read_bytes()
    for place in range(0, len(whole), 5):
        flip_a_byte(path, place)
        with pytest.raises(store.DamagedError, match=r"split\.safetensors is damaged"):
            read_split(path)
        path.write_bytes(whole)


def without(values: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}


@pytest.mark.parametrize("part", [*PARTS, "labels"])
def test_a_split_that_lacks_a_part_is_damaged(path: Path, part: str) -> None:
    arrays, said = store.read_plain_tensors(path)
    store.write_plain_tensors(path, without(arrays, part), said)
    with pytest.raises(store.DamagedError, match=f"it has no '{part}'"):
        read_split(path)


@pytest.mark.parametrize("name", ["name", "digest", "classes"])
def test_a_split_that_says_too_little_of_itself_is_damaged(path: Path, name: str) -> None:
    arrays, said = store.read_plain_tensors(path)
    store.write_plain_tensors(path, arrays, without(said, name))
    with pytest.raises(store.DamagedError, match=f"it has no '{name}'"):
        read_split(path)


@pytest.mark.parametrize(
    ("part", "array"),
    [
        ("query", np.array([[1, 2]], dtype=np.uint32)),
        ("database", np.array([10**6], dtype=np.uint32)),
        ("train", np.array([3, 3], dtype=np.uint32)),
        ("labels", np.zeros(7, dtype=np.uint8)),
        ("labels", np.zeros((3, 2), dtype=np.float32)),
    ],
)
def test_parts_that_make_no_split_are_refused_in_one_line(path: Path, part: str, array: Array) -> None:
    arrays, said = store.read_plain_tensors(path)
    store.write_plain_tensors(path, {**arrays, part: array}, said)
    with pytest.raises(HashbenchError) as caught:
        read_split(path)
    assert str(caught.value).isprintable()


def test_damage_is_told_before_the_split_is_drawn_again(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    warn_of_damage(path.with_name("none.safetensors"))
    warn_of_damage(path)
    assert not caplog.text
    flip_a_byte(path)
    with caplog.at_level("WARNING", logger="hashbench"):
        warn_of_damage(path)
    assert f"{path} is damaged (its seal is not that of its content); it is made again" in caplog.text
