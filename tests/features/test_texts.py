"""Text embeddings from a file: what is taken, and what is refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from hashbench.errors import HashbenchError
from hashbench.features.texts import digest_of_texts, find_texts, read_texts

FILE, WEIGHTS = "texts.safetensors", "ab" * 32
TEXTS = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HASHBENCH_WEIGHTS", str(tmp_path))
    return tmp_path


def written(folder: Path, embeddings=TEXTS, name: str = "embeddings", **metadata: str) -> None:
    save_file({name: np.ascontiguousarray(embeddings)}, folder / FILE, {"weights": WEIGHTS, **metadata})


def test_texts_come_back(folder: Path):
    written(folder)
    assert find_texts(FILE) == folder / FILE
    found = read_texts(FILE, WEIGHTS, 3)
    assert found.dtype == np.float32
    assert np.array_equal(found, TEXTS)


def test_the_digest_is_that_of_the_embeddings(folder: Path):
    written(folder)
    before = digest_of_texts(FILE)
    written(folder, made_by="somebody else")
    assert digest_of_texts(FILE) == before
    written(folder, TEXTS[::-1])
    assert digest_of_texts(FILE) != before


def test_a_file_that_is_nowhere_is_asked_for(folder: Path):
    assert find_texts(FILE) is None
    for read in (lambda: read_texts(FILE, WEIGHTS, 3), lambda: digest_of_texts(FILE)):
        with pytest.raises(HashbenchError, match=f"{FILE} are missing; put the file into {folder} or weights"):
            read()


def test_texts_of_another_model_are_refused_even_of_equal_width(folder: Path):
    written(folder, weights="cd" * 32)
    with pytest.raises(HashbenchError, match=f"weights of the digest {'cd' * 32}, this run's backbone has {WEIGHTS}"):
        read_texts(FILE, WEIGHTS, 3)
    save_file({"embeddings": TEXTS}, folder / FILE)
    with pytest.raises(HashbenchError, match="weights of the digest None"):
        read_texts(FILE, WEIGHTS, 3)


@pytest.mark.parametrize(
    ("embeddings", "sentence"),
    [
        (TEXTS[:, :2], r"float32 \(m, 3\) of 2 texts or more, .* got float32 \(5, 2\)"),
        (TEXTS[:1], r"got float32 \(1, 3\)"),
        (TEXTS[0], r"got float32 \(3,\)"),
        (TEXTS.astype(np.float64), "got float64"),
        (np.where(TEXTS > 1, np.nan, TEXTS), "values that are not finite"),
    ],
)
def test_embeddings_of_another_form_are_refused(folder: Path, embeddings, sentence):
    written(folder, embeddings)
    with pytest.raises(HashbenchError, match=sentence):
        read_texts(FILE, WEIGHTS, 3)


def test_what_is_no_such_file_is_refused(folder: Path):
    written(folder, name="texts")
    with pytest.raises(HashbenchError, match="cannot be read as safetensors with the tensor embeddings"):
        read_texts(FILE, WEIGHTS, 3)
    (folder / FILE).write_bytes(b"\0" * 40)
    with pytest.raises(HashbenchError, match="cannot be read as safetensors"):
        read_texts(FILE, WEIGHTS, 3)
