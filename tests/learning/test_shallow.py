"""The linear algebra of the shallow methods, and their independence of what is encoded together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashbench.errors import HashbenchError
from hashbench.learning.shallow import (
    covariance_of,
    k_means,
    mean_of,
    principal_directions,
    row_by_row,
    squared_distances,
)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 70), st.integers(1, 40), st.integers(0, 2**32))
def test_a_row_gets_the_same_value_to_the_last_bit_in_any_company(d, b, seed):
    rng = np.random.default_rng(seed)
    rows, weights = rng.normal(size=(1100, d)).astype(np.float32), rng.normal(size=(d, b))
    values = row_by_row(lambda block: block @ weights, rows)
    some = rng.permutation(1100)[: rng.integers(1, 1100)]
    assert np.array_equal(row_by_row(lambda block: block @ weights, rows[some]), values[some])
    np.testing.assert_allclose(values, rows.astype(np.float64) @ weights, atol=1e-9)


def test_no_rows_give_no_values():
    assert row_by_row(lambda block: block[:, :2], np.zeros((0, 5), dtype=np.float32)).shape == (0, 2)


def test_mean_and_covariance_of_large_offsets_and_many_blocks():
    rows = (np.random.default_rng(0).normal(size=(2500, 4)) + 1000).astype(np.float32)
    np.testing.assert_allclose(mean_of(rows), rows.astype(np.float64).mean(axis=0))
    np.testing.assert_allclose(covariance_of(rows, mean_of(rows)), np.cov(rows.astype(np.float64).T), rtol=1e-9)


def test_principal_directions_are_orthonormal_ordered_and_have_one_sign():
    rows = (np.random.default_rng(1).normal(size=(60, 5)) * [1, 5, 3, 2, 4]).astype(np.float32)
    mean = mean_of(rows)
    directions = principal_directions(rows, mean, 5)
    np.testing.assert_allclose(directions.T @ directions, np.eye(5), atol=1e-12)
    variances = np.var((rows - mean) @ directions, axis=0)
    assert (np.diff(variances) < 0).all()
    assert (directions[np.abs(directions).argmax(axis=0), range(5)] > 0).all()
    np.testing.assert_allclose(principal_directions(2 * mean - rows, mean, 5), directions, atol=1e-5)
    with pytest.raises(HashbenchError, match="all train features are equal"):
        principal_directions(np.full((9, 5), 0.1, dtype=np.float32), np.full(5, 0.1), 2)


def test_squared_distances_are_those_of_the_loop_and_never_negative():
    rng = np.random.default_rng(2)
    rows, centres = rng.normal(size=(7, 3)), rng.normal(size=(4, 3))
    squared = squared_distances(rows, centres)
    for i in range(7):
        for k in range(4):
            assert squared[i, k] == pytest.approx(sum((rows[i, j] - centres[k, j]) ** 2 for j in range(3)))
    assert squared_distances(rows * 1e8, rows * 1e8).min() >= 0


def test_k_means_lowers_the_spread_and_counts_the_rows_of_each_group():
    rng = np.random.default_rng(3)
    rows = (rng.normal(size=(300, 6)) + 10 * rng.integers(4, size=(300, 1))).astype(np.float32)
    spreads = []
    for iterations in (1, 3, 10):
        mean = mean_of(rows)
        centres, members = k_means(rows, mean, 8, iterations, np.random.default_rng(0))
        squared = squared_distances(rows - mean, centres)
        assert np.array_equal(members, np.bincount(squared.argmin(axis=1)))
        spreads.append(squared.min(axis=1).sum())
    assert spreads[0] > spreads[1] >= spreads[2]


def test_k_means_draws_only_from_its_generator_and_survives_equal_rows(recwarn):
    rows = np.ones((20, 3), dtype=np.float32)
    centres, members = k_means(rows, np.zeros(3), 5, 3, np.random.default_rng(0))
    assert centres.tolist() == [[1, 1, 1]]
    assert members.tolist() == [20]
    assert not recwarn.list
    varied = np.random.default_rng(4).normal(size=(50, 3)).astype(np.float32)
    first, second = (k_means(varied, mean_of(varied), 5, 3, np.random.default_rng(9))[0] for _ in range(2))
    assert np.array_equal(first, second)
    with pytest.raises(HashbenchError, match="cannot form 51 groups of 50 train rows"):
        k_means(varied, mean_of(varied), 51, 3, np.random.default_rng(0))
