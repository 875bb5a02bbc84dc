"""Cosine distances and the half Gaussians fitted to them."""

from __future__ import annotations

import numpy as np
import pytest

from hashbench.learning.structure import cosine_distances, half_gaussians


def test_distances_restated_with_loops():
    rows = np.random.default_rng(0).normal(size=(9, 4))
    distances = cosine_distances(rows)
    for i in range(9):
        for j in range(9):
            cosine = rows[i] @ rows[j] / (np.linalg.norm(rows[i]) * np.linalg.norm(rows[j]))
            assert distances[i, j] == pytest.approx(1 - cosine, abs=1e-6)
    assert np.array_equal(distances, distances.T)
    assert (np.diag(distances) == 0).all()
    assert distances.min() >= 0
    assert distances.max() <= 2


def test_a_row_of_zeros_is_at_right_angles_to_all_others():
    distances = cosine_distances(np.array([[0.0, 0.0], [1.0, 2.0], [-3.0, 1.0]]))
    assert distances[0].tolist() == [0, 1, 1]


def test_the_two_sides_of_a_skewed_heap_are_recovered():
    rng = np.random.default_rng(1)
    left = 0.7 - np.abs(rng.normal(size=30_000)) * 0.05
    right = 0.7 + np.abs(rng.normal(size=60_000)) * 0.1
    mean_left, std_left, mean_right, std_right = half_gaussians(np.concatenate([left, right]).astype(np.float32))
    assert mean_left == mean_right == pytest.approx(0.7, abs=0.03)
    assert std_left == pytest.approx(0.05, abs=0.012)
    assert std_right == pytest.approx(0.1, abs=0.012)


def test_the_fit_restated_with_mirrored_values():
    values = np.random.default_rng(2).gamma(9, 0.07, size=4000).clip(0, 2)
    mean_left, std_left, mean_right, std_right = half_gaussians(values)
    counts = [np.sum((values >= k / 100) & (values < (k + 1) / 100)) for k in range(200)]
    mode = np.argmax(counts) / 100
    for side, mean, std in ((values <= mode, mean_left, std_left), (values > mode, mean_right, std_right)):
        mirrored = np.concatenate([values[side], 2 * mode - values[side]])
        assert mean == pytest.approx(mirrored.mean(), abs=1e-9)
        assert std == pytest.approx(mirrored.std(), rel=1e-9)


def test_a_side_without_values_has_no_spread():
    assert half_gaussians(np.full((3, 3), 0.505))[1] == 0
