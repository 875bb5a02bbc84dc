"""Codes from files, as compare, plot and explain take them."""

from __future__ import annotations

import numpy as np
import pytest

from hashbench.errors import HashbenchError
from hashbench.evaluation.contestants import contestant, evaluate_given, read_methods, require_one_split
from hashbench.evaluation.given import GivenCodes, label_matrices, read_given, split_difference

CODES = np.random.default_rng(0).integers(0, 2, (8, 16))


def given_codes(query_labels=(3, 5), database_labels=(3, 3, 5, 7, 5, 3), **more):
    return GivenCodes(np.array(query_labels), np.array(database_labels), CODES[:2], CODES[2:], **more)


def write(path, given, **more):
    arrays = {
        "query_codes": given.query_codes, "db_codes": given.database_codes,
        "query_labels": given.query_labels, "db_labels": given.database_labels,
    }  # fmt: skip
    np.savez(path, **arrays, **more)
    return path


def test_class_numbers_and_one_hot_are_the_same_labels():
    numbers = given_codes()
    one_hot = given_codes(np.eye(9, dtype=int)[[3, 5]], np.eye(9, dtype=int)[[3, 3, 5, 7, 5, 3]])
    assert split_difference(numbers, one_hot) == ""
    query, database, names = label_matrices(numbers)
    assert query.tolist() == [[True, False, False], [False, True, False]]
    assert (database.shape, names) == ((6, 3), ["3", "5", "7"])


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (given_codes(database_labels=(3, 3, 5, 7, 3, 5)), "database whose labels differ in 2 items, first in item 4"),
        (given_codes(query_labels=(5, 3)), "queries whose labels differ in 2 items, first in item 0"),
        (given_codes(database_labels=(3, 3, 5, 5, 5, 3)), "labels of 3 against 2 classes"),
        (given_codes(query_labels=(3,)), "queries of 2 against 1 items"),
    ],
)
def test_other_labels_are_another_split(other, said):
    assert split_difference(given_codes(), other) == said


def test_files_of_other_splits_are_refused_by_name(tmp_path):
    files = {
        "a": [write(tmp_path / "a.npz", given_codes())],
        "b": [write(tmp_path / "b.npz", given_codes(query_labels=(5, 3)))],
    }
    with pytest.raises(HashbenchError, match=r"a\.npz and .*b\.npz are of different splits \(queries whose labels"):
        require_one_split(read_methods(files), files)


def test_repetitions_of_a_method_have_one_code_length(tmp_path):
    short = GivenCodes(np.array([3, 5]), np.array([3, 3, 5, 7, 5, 3]), CODES[:2, :8], CODES[2:, :8])
    files = {"a": [write(tmp_path / "a.npz", given_codes()), write(tmp_path / "b.npz", short)]}
    with pytest.raises(HashbenchError, match="the files of a have codes of 8, 16 bits"):
        read_methods(files)


def test_an_item_is_left_out_of_its_own_ranking_where_the_file_has_rows(tmp_path):
    rows = {"query_rows": np.array([10, 11]), "db_rows": np.array([10, 12, 13, 14, 11, 15])}
    found = read_given(write(tmp_path / "a.npz", given_codes(), **rows))
    assert evaluate_given(found).n_relevant.tolist() == [2, 1]
    assert evaluate_given(given_codes()).n_relevant.tolist() == [3, 2]
    with pytest.raises(HashbenchError, match="has one of the arrays query_rows and db_rows"):
        read_given(write(tmp_path / "b.npz", given_codes(), query_rows=rows["query_rows"]))


@pytest.mark.parametrize(("empty", "queries"), [("zero", 2), ("nan", 1)])
def test_queries_without_anything_relevant_follow_the_rule(empty, queries):
    found = contestant("a", [evaluate_given(given_codes(query_labels=(3, 9)), empty=empty)])
    assert found.ap.shape == (1, queries)
    assert np.isfinite(found.ap).all()


def test_rows_that_are_pickled_are_refused_in_a_sentence(tmp_path):
    path = write(tmp_path / "a.npz", given_codes(), query_rows=np.array([{}], dtype=object), db_rows=np.arange(6))
    with pytest.raises(HashbenchError, match="cannot be read as plain arrays") as error:
        read_given(path)
    assert "\n" not in str(error.value)


def test_outputs_of_the_queries_are_read_and_must_fit_the_codes(tmp_path):
    outputs = np.random.default_rng(1).standard_normal((2, 16))
    found = read_given(write(tmp_path / "a.npz", given_codes(), query_outputs=outputs))
    assert np.array_equal(found.query_outputs, outputs)
    with pytest.raises(HashbenchError, match="query_outputs must be a real number for each bit"):
        read_given(write(tmp_path / "b.npz", given_codes(), query_outputs=outputs[:, :8]))
