"""Artefacts: written whole or not at all, never read damaged, and continued after an interruption."""

from __future__ import annotations

import hashlib
import itertools
import os
import pickle
import subprocess
from pathlib import Path

import numpy as np
import pytest
from helpers import flip_a_byte
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hashbench.artefacts import store
from hashbench.artefacts.array_builder import ArrayBuilder
from hashbench.errors import HashbenchError
from hashbench.fingerprint import digest_of, program_of

ARRAYS = {"a": np.arange(6, dtype=np.int64).reshape(2, 3), "b": np.array([[True, False]]), "c": np.float32([0.5])}


def test_tensors_and_what_is_said_of_them_come_back(tmp_path):
    path = tmp_path / "deep" / "file.safetensors"
    store.write_tensors(path, ARRAYS, {"name": "x"})
    read = store.read_tensors(path)
    assert set(read) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert read[name].dtype == array.dtype
        assert np.array_equal(read[name], array)
    assert store.about(path) == {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "name": "x"}
    assert sorted(p.name for p in path.parent.iterdir()) == ["file.safetensors", "file.safetensors.json"]


def test_arrays_that_are_not_contiguous_are_written_as_they_look(tmp_path):
    path = tmp_path / "t.safetensors"
    store.write_tensors(path, {"t": ARRAYS["a"].T[::-1]}, {})
    assert np.array_equal(store.read_tensors(path)["t"], ARRAYS["a"].T[::-1])


@pytest.mark.parametrize("damage", ["flip", "cut", "no data", "no sidecar", "sidecar not json", "sidecar without sha"])
def test_damage_is_never_read(tmp_path, damage):
    path = tmp_path / "t.safetensors"
    store.write_tensors(path, ARRAYS, {"name": "x"})
    assert store.is_whole(path, name="x")
    if damage == "flip":
        flip_a_byte(path)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-3])
    elif damage == "no data":
        path.unlink()
    elif damage == "no sidecar":
        store.sidecar(path).unlink()
    elif damage == "sidecar not json":
        store.sidecar(path).write_bytes(b"\xff{")
    else:
        store.sidecar(path).write_text('{"name": "x"}')
    assert not store.is_whole(path, name="x")
    with pytest.raises(HashbenchError, match="dvc repro"):
        store.read_tensors(path)


def test_whole_means_made_from_the_same(tmp_path):
    path = tmp_path / "t.safetensors"
    store.write_tensors(path, ARRAYS, {"fingerprint": "abc"})
    assert store.is_whole(path)
    assert store.is_whole(path, fingerprint="abc")
    assert not store.is_whole(path, fingerprint="abd")


def test_a_write_that_fails_leaves_the_old_file_and_no_rest(tmp_path):
    path = tmp_path / "note.txt"
    store.write_text(path, "old")
    with pytest.raises(TypeError), store.replacing(path) as temporary:
        temporary.write_text("half of the new one") and temporary.write_text(None)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["note.txt"]


def test_readers_see_the_old_or_the_new_file(tmp_path):
    path = tmp_path / "note.txt"
    store.write_text(path, "old")
    with store.replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent, "a rename is atomic on one file system only"
    assert path.read_text() == "new"


def test_json_keeps_order_and_names_what_is_missing(tmp_path):
    path = tmp_path / "x.json"
    store.write_json(path, {"z": 1, "a": "µ"})
    assert list(store.read_json(path)) == ["z", "a"]
    assert "µ" in path.read_text(encoding="utf-8")
    with pytest.raises(HashbenchError, match=r"y\.json is missing; run `dvc repro`"):
        store.read_json(tmp_path / "y.json")


def test_digests_follow_content_only(tmp_path):
    assert digest_of({"a": 1, "b": [2]}) == digest_of({"b": [2], "a": 1}) != digest_of({"a": 1})
    one, other = tmp_path / "one.py", tmp_path / "two.py"
    one.write_text("x")
    other.write_text("y")
    digest = digest_of_files(one, other)
    assert digest == digest_of_files(other, one)
    os.utime(one, (0, 0))
    assert digest == digest_of_files(one, other)
    other.write_text("z")
    assert digest != digest_of_files(one, other)


def digest_of_files(*paths):
    program_of.cache_clear()
    return program_of(*map(str, paths)).digest


def test_an_opened_array_is_mapped_read_only_and_checked(tmp_path):
    path = tmp_path / "a.npy"
    builder = ArrayBuilder(path, (3, 2), np.float32, {})
    builder.add(np.ones((3, 2)))
    builder.finish()
    array = store.open_array(path)
    assert isinstance(array, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 0
    del array
    flip_a_byte(path)
    with pytest.raises(HashbenchError, match="damaged"):
        store.open_array(path)


ROWS = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32)


def _builder(path, made_from="x", n=10):
    return ArrayBuilder(path, (n, 4), np.float32, {"made_from": made_from})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)
@given(cuts=st.lists(st.integers(1, 9), unique=True, max_size=4).map(sorted), stop=st.integers(0, 4))
def test_a_build_that_was_broken_off_goes_on_where_it_stopped(tmp_path_factory, cuts, stop):
    path = tmp_path_factory.mktemp("build") / "a.npy"
    edges = [0, *cuts, 10]
    blocks = list(itertools.pairwise(edges))
    builder = _builder(path)
    for start, end in blocks[:stop]:
        builder.add(ROWS[start:end])
    assert not path.exists(), "unfinished is not there"
    builder = _builder(path)
    assert builder.done == edges[min(stop, len(blocks))]
    builder.add(ROWS[builder.done :])
    builder.finish(digest="d")
    assert np.array_equal(store.open_array(path), ROWS)
    assert store.is_whole(path, made_from="x", digest="d")
    assert sorted(p.name for p in path.parent.iterdir()) == ["a.npy", "a.npy.json"]


@pytest.mark.parametrize("change", ["made_from", "shape", "progress", "no blocks", "part"])
def test_a_build_from_something_else_or_damaged_starts_anew(tmp_path, change):
    path = tmp_path / "a.npy"
    builder = _builder(path)
    builder.add(ROWS[:4])
    del builder
    if change == "progress":
        (tmp_path / "a.npy.progress").write_text("{")
    elif change == "no blocks":
        said = store.read_sealed(tmp_path / "a.npy.progress")
        store.write_sealed(tmp_path / "a.npy.progress", {"identity": said["identity"]})
    elif change == "part":
        (tmp_path / "a.npy.part").write_bytes(b"no array")
    builder = _builder(path, "y" if change == "made_from" else "x", 9 if change == "shape" else 10)
    assert builder.done == 0


def test_a_damaged_block_and_all_after_it_are_made_again(tmp_path):
    path = tmp_path / "a.npy"
    builder = _builder(path)
    for start in range(0, 10, 2):
        builder.add(ROWS[start : start + 2])
    del builder
    part = tmp_path / "a.npy.part"
    flip_a_byte(part, -4 * 4 * 5)  # in row 5, so in the third block
    builder = _builder(path)
    assert builder.done == 4
    builder.add(ROWS[4:])
    builder.finish()
    assert np.array_equal(store.open_array(path), ROWS)


def test_missing_rows_are_not_finished(tmp_path):
    builder = _builder(tmp_path / "a.npy")
    builder.add(ROWS[:3])
    with pytest.raises(HashbenchError, match="3 of 10 rows"):
        builder.finish()
    assert not (tmp_path / "a.npy").exists()


def test_what_a_killed_writer_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    path = tmp_path / "note.txt"
    with store.replacing(path) as temporary:
        temporary.write_text("x")
    dead = subprocess.Popen(["true"])
    dead.wait()
    left = temporary.with_name(temporary.name.replace(str(os.getpid()), str(dead.pid)))
    living = temporary.with_name(temporary.name.replace(str(os.getpid()), str(os.getppid())))
    for file in (left, living):
        file.write_text("half")
    store.write_text(path, "whole")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([path.name, living.name])


@pytest.mark.parametrize("position", range(0, 60, 7))
def test_any_changed_byte_of_a_sealed_file_is_found(tmp_path, position):
    path = tmp_path / "record.json"
    store.write_sealed(path, {"map": 0.25, "name": "µ", "list": [1, 2]})
    assert store.read_sealed(path) == {"map": 0.25, "name": "µ", "list": [1, 2]}
    content = bytearray(path.read_bytes())
    for changed in {0, 9, 10, 13, 32, ord("1"), content[position] ^ 1} - {content[position]}:
        path.write_bytes(content[:position] + bytes([changed]) + content[position + 1 :])
        with pytest.raises(HashbenchError, match=r"record\.json is damaged"):
            store.read_sealed(path)


def test_what_is_written_again_with_the_same_content_stays_as_it_lies(tmp_path):
    path = tmp_path / "t.safetensors"
    store.write_tensors(path, ARRAYS, {"name": "x"})
    before = {p.name: p.stat().st_ino for p in tmp_path.iterdir()}
    store.write_tensors(path, ARRAYS, {"name": "x"})
    assert {p.name: p.stat().st_ino for p in tmp_path.iterdir()} == before
    store.write_tensors(path, ARRAYS, {"name": "y"})
    after = {p.name: p.stat().st_ino for p in tmp_path.iterdir()}
    assert (after[path.name] == before[path.name], store.about(path)["name"]) == (True, "y")


def test_a_build_killed_between_sidecar_and_data_goes_on(tmp_path):
    path = tmp_path / "a.npy"
    builder = _builder(path)
    builder.add(ROWS)
    store.write_sealed(store.sidecar(path), {"sha256": store.sha256_of(builder._part), "made_from": "x"})
    assert not store.is_whole(path)
    builder = _builder(path)
    assert builder.done == 10
    builder.finish()
    assert np.array_equal(store.open_array(path), ROWS)


def test_damage_is_told_across_processes():
    error = pickle.loads(pickle.dumps(store.DamagedError(Path("codes.npy"), "its sha256 is another")))
    assert isinstance(error, store.DamagedError)
    assert str(error) == "codes.npy is damaged (its sha256 is another); delete it and run `dvc repro`"
