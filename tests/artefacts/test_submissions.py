"""Submissions on disk: what is written comes back, and whatever else lies there ends in one sentence."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import flip_a_byte
from hypothesis import given, settings
from hypothesis import strategies as st

from hashbench.artefacts import store
from hashbench.artefacts.submissions import (
    SubmissionNotes,
    read_notes,
    read_submitted,
    read_submitted_codes,
    submission_folders,
    write_submission,
)
from hashbench.cells import Cell
from hashbench.errors import HashbenchError
from hashbench.types import Codes, Split

RNG = np.random.default_rng(0)
ROWS = np.arange(40, dtype=np.int64)
SPLITS = {"tiny": Split("p", ROWS[:9], ROWS[16:], ROWS[9:16], RNG.random((40, 3)) < 0.5)}
NOTES = SubmissionNotes(title="Mine: 'best'", paper="Ä. Author, 2026 # one", code="", note="")
CELLS = [Cell("tiny", "net", "mine", bits, 0) for bits in (5, 16)]


def codes():
    return {
        cell: tuple(
            Codes.pack(RNG.random((len(rows), cell.bits)) < 0.5, rows)
            for rows in (SPLITS["tiny"].query, SPLITS["tiny"].database)
        )
        for cell in CELLS
    }


@pytest.fixture
def folder(tmp_path):
    write_submission(tmp_path / "submissions" / "mine", NOTES, [], codes())
    return tmp_path / "submissions" / "mine"


def test_what_is_written_comes_back(tmp_path):
    written, folder = codes(), tmp_path / "submissions" / "mine"
    write_submission(folder, NOTES, [], written)
    assert submission_folders(tmp_path) == [folder]
    assert read_notes(folder) == NOTES
    found = read_submitted_codes(folder, SPLITS)
    assert list(found) == CELLS
    for cell, pair in found.items():
        for one, other in zip(pair, written[cell], strict=True):
            assert np.array_equal(one.packed, other.packed)
            assert np.array_equal(one.rows, other.rows)


def test_every_flipped_byte_is_found(folder):
    path = folder / "codes.safetensors"
    whole = path.read_bytes()
    for place in range(len(whole)):
        flip_a_byte(path, place)
        with pytest.raises(HashbenchError, match=r"codes\.safetensors is damaged") as error:
            read_submitted_codes(folder, SPLITS)
        assert "\n" not in str(error.value)
        path.write_bytes(whole)


def test_codes_of_another_data_set_or_without_their_pair_are_refused(folder):
    with pytest.raises(HashbenchError, match="does not hold query and database codes of splits that are here"):
        read_submitted_codes(folder, {})
    for arrays in ({"tiny/net/mine/5/0/query": np.zeros((9, 1), np.uint8)}, {"nonsense": np.zeros(1)}):
        store.write_plain_tensors(folder / "codes.safetensors", arrays, {})
        with pytest.raises(HashbenchError, match="does not hold query and database codes"):
            read_submitted_codes(folder, SPLITS)


def said_of(folder):
    """The title in the metadata, or the sentence by which these are refused."""
    try:
        return read_notes(folder).title
    except HashbenchError as error:
        return str(error)


@given(text=st.text(max_size=80))
@settings(max_examples=100, deadline=None)
def test_whatever_stands_in_the_metadata_ends_in_notes_or_a_sentence(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("mine")
    for content in (text, f"title: {text}\npaper: x\ncode: ''\nnote: ''\n"):
        (folder / "metadata.yaml").write_text(content, encoding="utf-8", newline="")
        assert "\n" not in said_of(folder)


@pytest.mark.parametrize(
    ("content", "said"),
    [("x" * (1 << 15), "is larger than"), ("title: &a x\npaper: *a\ncode: ''\nnote: ''\n", "has YAML aliases")],
)
def test_metadata_are_short_and_plain(tmp_path, content, said):
    (tmp_path / "metadata.yaml").write_text(content)
    with pytest.raises(HashbenchError, match=said):
        read_notes(tmp_path)


def test_missing_files_are_named(tmp_path):
    for read in (read_notes, read_submitted, lambda folder: read_submitted_codes(folder, SPLITS)):
        with pytest.raises(HashbenchError, match="is missing"):
            read(tmp_path)
