"""ITQ: the right Procrustes step, and an objective that never rises."""

from __future__ import annotations

import numpy as np
import pytest

from hashbench.baselines.itq import ITQ, rotate_to_signs
from hashbench.errors import HashbenchError
from hashbench.learning.session import Session


def _rotation(b: int, seed: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(b, b)))[0]


def _loss(components: np.ndarray, rotation: np.ndarray) -> float:
    total = 0.0
    for row in components @ rotation:
        for value in row:
            total += ((1.0 if value >= 0 else -1.0) - value) ** 2
    return total / len(components)


@pytest.mark.parametrize("seed", range(5))
def test_the_objective_never_rises(seed):
    components = np.random.default_rng(seed).normal(size=(200, 8)) * np.linspace(3, 0.3, 8)
    rotation, errors = rotate_to_signs(components, _rotation(8, seed), 50)
    assert len(errors) == 50
    assert np.all(np.diff(errors) <= 1e-9)
    assert errors[-1] < _loss(components, _rotation(8, seed))
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(8), atol=1e-12)


def test_one_iteration_is_the_procrustes_optimum():
    components = np.random.default_rng(0).normal(size=(60, 4)) * [3, 2, 1, 0.5]
    start = _rotation(4, 1)
    codes = np.where(components @ start >= 0, 1.0, -1.0)
    rotation, errors = rotate_to_signs(components, start, 1)
    best = ((codes - components @ rotation) ** 2).sum()
    assert errors == [pytest.approx(best / 60)]
    for seed in range(200):
        assert ((codes - components @ _rotation(4, seed)) ** 2).sum() >= best
    step = _skew_rotation(4, 1e-3)
    assert ((codes - components @ rotation @ step) ** 2).sum() >= best


def _skew_rotation(b: int, size: float) -> np.ndarray:
    skew = np.random.default_rng(0).normal(size=(b, b)) * size
    return np.linalg.qr(np.eye(b) + skew - skew.T)[0]


def test_the_wrongly_transposed_update_of_public_code_would_raise_the_objective():
    components = np.random.default_rng(2).normal(size=(300, 16)) * np.linspace(2, 0.2, 16)
    rotation = _rotation(16, 3)
    wrong = []
    for _ in range(20):
        codes = np.where(components @ rotation >= 0, 1.0, -1.0)
        left, _, right_transposed = np.linalg.svd(codes.T @ components)
        rotation = right_transposed @ left.T
        wrong.append(((codes - components @ rotation) ** 2).sum() / 300)
    right = rotate_to_signs(components, _rotation(16, 3), 20)[1]
    assert np.any(np.diff(wrong) > 0)
    assert right[-1] < min(wrong)


def test_turned_corners_of_a_square_are_turned_back():
    corners = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], dtype=float)
    turn = np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]])
    rotation, errors = rotate_to_signs(corners @ turn, np.eye(2), 5)
    assert errors[-1] == pytest.approx(0, abs=1e-20)
    np.testing.assert_allclose(rotation, turn.T, atol=1e-12)


def test_the_curve_is_the_loss_of_the_codes_over_the_iterations(features, train, items):
    method = ITQ(iterations=30)
    log = method.fit(train(features), 6, seed=4, session=Session())
    errors = log.curves["quantisation error"]
    assert len(errors) == 30
    assert np.all(np.diff(errors) <= 1e-9)
    components = method.scores(features.astype(np.float64))
    assert _loss(components, np.eye(6)) <= errors[-1] + 1e-9
    assert np.array_equal(method.encode(items(features)), components >= 0)


def test_there_are_no_more_bits_than_components(features, train):
    with pytest.raises(HashbenchError, match="at most 12 here"):
        ITQ(iterations=1).fit(train(features), 13, seed=0, session=Session())
