"""Evaluation block by block: the numbers of one pass, whatever the size of a block and wherever it was interrupted."""

from __future__ import annotations

import subprocess
import sys
import time
import tracemalloc
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashbench.errors import HashbenchError
from hashbench.evaluation import blocks, evaluate
from hashbench.evaluation.blocks import evaluate_in_blocks
from hashbench.evaluation.results import Evaluation
from hashbench.types import Codes


def drawn(n_query: int = 41, n_database: int = 60, n_bits: int = 12, classes: int = 6, seed: int = 0):
    """Codes and labels; the last class has no item in the database."""
    random = np.random.default_rng(seed)
    query, database = (random.integers(0, 2, (n, n_bits)).astype(bool) for n in (n_query, n_database))
    packed = (Codes.pack(query, np.arange(n_query)), Codes.pack(database, np.arange(n_database)))
    return *packed, random.integers(0, classes, n_query), random.integers(0, classes - 1, n_database)


def assert_same(found: Evaluation, expected: Evaluation) -> None:
    for field in fields(Evaluation):
        a, b = getattr(found, field.name), getattr(expected, field.name)
        if field.name in ("ap", "ap_optimistic", "ap_pessimistic", "ndcg", "n_relevant") or field.name.endswith("gram"):
            np.testing.assert_array_equal(a, b, err_msg=field.name)
        elif isinstance(b, dict):
            assert a == pytest.approx(b, rel=1e-13, nan_ok=True)
        elif isinstance(b, np.ndarray):
            np.testing.assert_allclose(a, b, rtol=1e-13, err_msg=field.name)
        else:
            assert a == b


@pytest.mark.parametrize("empty", ["zero", "nan"])
@settings(deadline=None, max_examples=40)
@given(
    size=st.integers(1, 50), seed=st.integers(0, 99), own=st.booleans(), order=st.sampled_from(["random", "database"])
)
def test_any_size_of_block_gives_the_numbers_of_one_pass(
    empty: str, size: int, seed: int, own: bool, order: str
) -> None:
    query, database, query_labels, database_labels = drawn(seed=seed)
    rows = np.arange(41) if own else None
    rules = {"k": 20, "empty": empty, "order": order, "denominator": "relevant"}
    expected = evaluate(
        query, database, query_labels, database_labels,
        query_rows=rows, database_rows=np.arange(60) if own else None, **rules,
    )  # fmt: skip
    found = evaluate_in_blocks(
        query, database, query_labels, database_labels, query_rows=rows, queries_at_once=size, **rules
    )
    assert_same(found, expected)


def test_queries_of_which_none_has_anything_relevant_have_no_mean() -> None:
    query, database, _, database_labels = drawn()
    found = evaluate_in_blocks(query, database, np.full(41, 9), database_labels, queries_at_once=10, empty="nan")
    assert np.isnan(found.map)
    assert np.isnan(found.precision_at).all()


def test_an_interrupted_evaluation_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, calls = drawn(), []

    def counted(*arguments, **rules):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return evaluate(*arguments, **rules)

    monkeypatch.setattr(blocks, "evaluate", counted)
    folder = tmp_path / "a" / "blocks"
    with pytest.raises(KeyboardInterrupt):
        evaluate_in_blocks(*given, folder=folder, queries_at_once=10, k=5)
    found = evaluate_in_blocks(*given, folder=folder, queries_at_once=10, k=5)
    assert len(calls) == 3 + 3  # of five blocks two were finished, the third is computed again
    assert_same(found, evaluate(*given, k=5))
    evaluate_in_blocks(*given, folder=folder, queries_at_once=10, k=5)
    assert len(calls) == 6


@pytest.mark.parametrize("what", ["codes", "labels", "rules", "rows", "size"])
def test_blocks_of_another_evaluation_are_refused(tmp_path: Path, what: str) -> None:
    query, database, query_labels, database_labels = drawn()
    rules = {"k": 5, "queries_at_once": 10, "query_rows": None}
    evaluate_in_blocks(query, database, query_labels, database_labels, folder=tmp_path / "b", **rules)
    if what == "codes":
        query = Codes(query.packed[::-1].copy(), query.n_bits, query.rows)
    elif what == "labels":
        database_labels = database_labels[::-1]
    else:
        rules |= {"rules": {"k": 6}, "rows": {"query_rows": np.arange(41)}, "size": {"queries_at_once": 11}}[what]
    with pytest.raises(HashbenchError, match="holds blocks of other codes, labels or rules"):
        evaluate_in_blocks(query, database, query_labels, database_labels, folder=tmp_path / "b", **rules)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff"])
def test_a_folder_whose_note_is_damaged_is_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "evaluation.json").write_bytes(content)
    with pytest.raises(HashbenchError, match="holds blocks of other codes, labels or rules"):
        evaluate_in_blocks(*drawn(), folder=tmp_path)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(HashbenchError, match="is not empty and holds no blocks of an evaluation"):
        evaluate_in_blocks(*drawn(), folder=tmp_path)


def test_memory_does_not_grow_with_the_queries() -> None:
    """A pass over all queries at once would hold some 8 kilobytes of each."""
    peaks = []
    for n_query in (2_000, 8_000):
        given = drawn(n_query, 500, 256)
        evaluate_in_blocks(*given, queries_at_once=500)  # what is compiled or imported first
        tracemalloc.start()
        evaluate_in_blocks(*given, queries_at_once=500)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 6_000 * 500


_IN_SMALL_BLOCKS = """
import sys
from hashbench import cli, progress
from hashbench.evaluation import blocks
blocks._PLACES, progress._SECONDS_BETWEEN_LINES = 17 * 20, 0.0
sys.exit(cli.main(sys.argv[1:]))
"""


def write_files(folder: Path) -> list[str]:
    """Packed codes and class numbers as .npy files, and the options that name them."""
    query, database, *labels = drawn(6_000, 20_000, 16)
    options = ["--packed", "16", "--k", "100", "--format", "json"]
    for name, array in (
        ("query-codes", query.packed),
        ("database-codes", database.packed),
        ("query-labels", labels[0]),
        ("database-labels", labels[1]),
    ):
        np.save(folder / f"{name}.npy", array)
        options += [f"--{name}", str(folder / f"{name}.npy")]
    return options


def test_a_killed_command_goes_on_and_prints_what_an_undisturbed_one_does(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _IN_SMALL_BLOCKS, "evaluate", *write_files(tmp_path)]
    undisturbed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "evaluate: 1 of 300, " in undisturbed.stderr, "progress is told on a pipe too"
    resumable = [*command, "--resume", str(tmp_path / "kept")]
    blocks_of = tmp_path / "kept" / "k-100"
    with subprocess.Popen(resumable, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as killed:
        deadline = time.monotonic() + 60
        while len(list(blocks_of.glob("*.npz"))) < 3 and time.monotonic() < deadline:
            time.sleep(0.005)
        killed.kill()
    kept = {path: path.stat().st_mtime_ns for path in blocks_of.glob("*.npz")}
    assert 3 <= len(kept) < 300
    assert subprocess.run(resumable, capture_output=True, text=True, check=True).stdout == undisturbed.stdout
    assert kept.items() <= {path: path.stat().st_mtime_ns for path in blocks_of.glob("*.npz")}.items()
