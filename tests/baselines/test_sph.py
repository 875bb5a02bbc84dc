"""SpH: balanced balls, pushed until they are independent, and a fit that always ends."""

from __future__ import annotations

import numpy as np
import pytest

from hashbench.baselines.sph import SpH, balanced_balls, dependence, push
from hashbench.errors import HashbenchError
from hashbench.learning.session import Session


def _method(**changes):
    return SpH(**{"pivot_rows": 5, "mean_tolerance": 0.1, "std_tolerance": 0.15, "iterations": 100, **changes})


@pytest.mark.parametrize("n", [2, 3, 50, 51])
def test_each_ball_holds_half_the_train_rows_and_overlaps_are_counted_in_pairs(features, n):
    rows = features[:n].astype(np.float64)
    pivots = np.random.default_rng(0).normal(size=(4, 12)) + rows.mean(axis=0)
    squared_radii, overlaps = balanced_balls(features[:n], np.zeros(12), pivots)
    inside = np.zeros((n, 4), dtype=bool)
    for i in range(n):
        for k in range(4):
            inside[i, k] = sum((rows[i, j] - pivots[k, j]) ** 2 for j in range(12)) <= squared_radii[k] + 1e-9
    assert (inside.sum(axis=0) == n // 2).all()
    for k in range(4):
        for other in range(4):
            assert overlaps[k, other] == (inside[:, k] & inside[:, other]).sum()


def test_forces_are_those_of_the_pairs_and_cancel_out():
    rng = np.random.default_rng(1)
    pivots, n = rng.normal(size=(5, 3)), 40
    inside = rng.random((n, 5)) < 0.5
    overlaps = (inside.T.astype(float)) @ inside
    forces = np.zeros((5, 3))
    for k in range(5):
        for other in range(k + 1, 5):
            force = 0.5 * (overlaps[k, other] - n / 4) / (n / 4) * (pivots[k] - pivots[other])
            forces[k] += force / 5
            forces[other] -= force / 5
    np.testing.assert_allclose(push(overlaps, pivots, n), forces)
    np.testing.assert_allclose(forces.sum(axis=0), 0, atol=1e-12)


def test_balls_that_share_too_much_are_driven_apart_and_balls_that_share_too_little_together():
    pivots = np.array([[0.0], [1.0]])
    apart = push(np.array([[20.0, 15.0], [15.0, 20.0]]), pivots, 40)
    together = push(np.array([[20.0, 5.0], [5.0, 20.0]]), pivots, 40)
    np.testing.assert_allclose(apart, [[-0.125], [0.125]])
    np.testing.assert_allclose(together, [[0.125], [-0.125]])


def test_dependence_is_the_mean_error_and_the_spread_over_pairs():
    overlaps = np.array([[20, 8, 12], [8, 20, 13], [12, 13, 20]], dtype=float)
    error, spread = dependence(overlaps, 40)
    assert error == pytest.approx((2 + 2 + 3) / 3 / 10)
    assert spread == pytest.approx(np.std([8, 12, 13]) / 10)
    assert dependence(np.array([[20.0]]), 40) == (0, 0)


def test_a_bit_is_membership_in_a_ball_and_train_codes_are_balanced(features, train, items):
    method = _method()
    method.fit(train(features), 8, seed=0, session=Session())
    bits = method.encode(items(features))
    assert (bits.sum(axis=0) == 75).all()
    pivots = method.state["pivots"] + method.state["mean"]
    for i in range(0, 150, 7):
        squared = [sum((features[i, j] - pivot[j]) ** 2 for j in range(12)) for pivot in pivots]
        distance = squared - method.state["squared_radii"]
        clear = np.abs(distance) > 1e-6
        assert np.array_equal(bits[i, clear], distance[clear] <= 0)


def test_the_fit_ends_when_both_tolerances_hold(features, train):
    log = _method(iterations=500).fit(train(features), 4, seed=0, session=Session())
    errors, spreads = log.curves["overlap error"], log.curves["overlap spread"]
    within = [error <= 0.1 and spread <= 0.15 for error, spread in zip(errors, spreads, strict=True)]
    assert within == [False] * (len(errors) - 1) + [True]
    assert log.remarks == (f"converged in {len(errors)} rounds of at most 500",)


def test_the_fit_ends_at_the_cap_and_says_so(features, train):
    log = _method(iterations=3, mean_tolerance=0.0, std_tolerance=0.0).fit(
        train(features), 8, seed=0, session=Session()
    )
    assert len(log.curves["overlap error"]) == 3
    assert log.remarks == ("did not converge in 3 rounds of at most 3",)


def test_pushing_lowers_the_dependence(features, train):
    log = _method(mean_tolerance=0.0).fit(train(features), 16, seed=0, session=Session())
    errors = log.curves["overlap error"]
    assert errors[-1] < 0.6 * errors[0]


def test_one_bit_and_too_few_rows(features, train, items):
    method = _method()
    method.fit(train(features), 1, seed=0, session=Session())
    assert method.encode(items(features)).sum() == 75
    with pytest.raises(HashbenchError, match="mean of 5 train rows, and there are 4"):
        _method().fit(train(features[:4]), 8, seed=0, session=Session())
