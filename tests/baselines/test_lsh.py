"""LSH: the collision law of random hyperplanes, seen from the mean."""

from __future__ import annotations

import numpy as np

from hashbench.baselines.lsh import LSH
from hashbench.learning.session import Session


def test_a_bit_is_the_side_of_a_hyperplane_through_the_mean(features, train, items):
    method = LSH()
    method.fit(train(features), 9, seed=1, session=Session())
    normals, mean = method.state["normals"], features.astype(np.float64).mean(axis=0)
    bits = method.encode(items(features))
    for i in range(len(features)):
        for k in range(9):
            assert bits[i, k] == (sum(normals[j, k] * (features[i, j] - mean[j]) for j in range(12)) >= 0)


def test_two_items_agree_in_a_bit_with_probability_one_minus_angle_over_pi(train, items):
    angles = np.deg2rad([20, 60, 90, 135])
    rows = np.concatenate([[[1.0, 0.0]], np.stack([np.cos(angles), np.sin(angles)], axis=1)])
    centred = np.concatenate([rows, -rows]).astype(np.float32)  # the mean is the origin
    method = LSH()
    method.fit(train(centred), 40_000, seed=3, session=Session())
    bits = method.encode(items(rows.astype(np.float32)))
    agreement = (bits[1:] == bits[0]).mean(axis=1)
    np.testing.assert_allclose(agreement, 1 - angles / np.pi, atol=0.01)


def test_features_in_one_orthant_still_give_balanced_bits(train, items):
    positive = np.abs(np.random.default_rng(0).normal(size=(400, 30))).astype(np.float32) + 2
    method = LSH()
    method.fit(train(positive), 64, seed=0, session=Session())
    assert np.abs(method.encode(items(positive)).mean(axis=0) - 0.5).max() < 0.12
    uncentred = positive @ method.state["normals"] >= 0
    assert np.abs(uncentred.mean(axis=0) - 0.5).mean() > 0.4


def test_normals_are_independent_gaussians_not_an_orthonormal_frame(features, train):
    method = LSH()
    method.fit(train(features), 5000, seed=0, session=Session())  # more bits than dimensions: no frame could
    normals = method.state["normals"]
    assert abs(normals.mean()) < 0.02
    assert abs(normals.std() - 1) < 0.02
    assert np.linalg.norm(normals, axis=0).std() > 0.3
