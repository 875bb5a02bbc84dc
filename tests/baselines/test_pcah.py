"""PCAH: the directions of largest variance, around the mean."""

from __future__ import annotations

import numpy as np
import pytest

from hashbench.baselines.pcah import PCAH
from hashbench.errors import HashbenchError
from hashbench.learning.session import Session


def test_no_orthonormal_frame_catches_more_variance(features, train):
    method = PCAH()
    method.fit(train(features), 4, seed=0, session=Session())
    directions, covariance = method.state["directions"], np.cov(features.astype(np.float64).T)
    caught = np.trace(directions.T @ covariance @ directions)
    assert caught == pytest.approx(np.sort(np.linalg.eigvalsh(covariance))[-4:].sum())
    for seed in range(50):
        frame = np.linalg.qr(np.random.default_rng(seed).normal(size=(12, 4)))[0]
        assert np.trace(frame.T @ covariance @ frame) < caught


def test_the_leading_bits_do_not_depend_on_the_number_of_bits(features, train, items):
    short, long = PCAH(), PCAH()
    short.fit(train(features), 3, seed=0, session=Session())
    long.fit(train(features), 12, seed=1, session=Session())
    assert np.array_equal(short.encode(items(features)), long.encode(items(features))[:, :3])


def test_components_are_uncorrelated_before_the_sign_and_centred(features, train, items):
    method = PCAH()
    method.fit(train(features), 6, seed=0, session=Session())
    components = method.scores(features.astype(np.float64))
    np.testing.assert_allclose(components.mean(axis=0), 0, atol=1e-10)
    correlation = np.cov(components.T)
    assert np.abs(correlation - np.diag(np.diag(correlation))).max() < 1e-8
    assert np.array_equal(method.encode(items(features)), components >= 0)


def test_a_shift_of_all_features_changes_no_code(features, train, items):
    method, shifted = PCAH(), PCAH()
    method.fit(train(features), 8, seed=0, session=Session())
    shifted.fit(train(features + np.float32(64)), 8, seed=0, session=Session())
    margin = np.abs(method.scores(features.astype(np.float64))) > 1e-3  # float32 rounding of the shifted features
    bits = method.encode(items(features))
    assert np.array_equal(bits[margin], shifted.encode(items(features + np.float32(64)))[margin])


@pytest.mark.parametrize(("rows", "most"), [(150, 12), (5, 4)])
def test_there_are_no_more_bits_than_components(features, train, rows, most):
    PCAH().fit(train(features[:rows]), most, seed=0, session=Session())
    with pytest.raises(HashbenchError, match=f"at most {most} here .*principal component"):
        PCAH().fit(train(features[:rows]), most + 1, seed=0, session=Session())
