"""DSH: median planes between neighbouring groups, one for each pair, the most balanced first."""

from __future__ import annotations

import numpy as np
import pytest

from hashbench.baselines.dsh import DSH, balance, median_planes, neighbouring_pairs
from hashbench.errors import HashbenchError
from hashbench.learning.session import Session

SETTINGS = {"groups_per_bit": 1.5, "neighbours": 3, "kmeans_iterations": 3}


def test_pairs_are_those_of_the_nearest_centres():
    centres = np.random.default_rng(0).normal(size=(9, 4))
    expected = set()
    for g in range(9):
        others = sorted((h for h in range(9) if h != g), key=lambda h: np.linalg.norm(centres[g] - centres[h]))
        expected |= {tuple(sorted((g, h))) for h in others[:3]}
    assert [tuple(pair) for pair in neighbouring_pairs(centres, 3)] == sorted(expected)


def test_equal_distances_give_different_planes():
    grid = np.array([[x, y] for x in range(4) for y in range(4)], dtype=float)
    pairs = neighbouring_pairs(grid, 2)
    assert len({tuple(pair) for pair in pairs}) == len(pairs) >= 16
    normals, offsets = median_planes(grid, pairs)
    assert len({(*normal, offset) for normal, offset in zip(normals, offsets, strict=True)}) > 2


def test_equal_centres_give_no_plane():
    assert neighbouring_pairs(np.array([[0.0], [0.0], [3.0]]), 2).tolist() == [[0, 2], [1, 2]]
    assert neighbouring_pairs(np.zeros((3, 2)), 2).shape == (0, 2)


def test_a_plane_lies_half_way_between_its_centres_and_its_balance_counts_rows():
    centres, members = np.random.default_rng(1).normal(size=(7, 3)), np.array([5, 1, 9, 2, 2, 4, 7])
    pairs = neighbouring_pairs(centres, 2)
    normals, offsets = median_planes(centres, pairs)
    smaller = balance(centres, members, normals, offsets)
    for (g, h), normal, offset, count in zip(pairs, normals, offsets, smaller, strict=True):
        middle = (centres[g] + centres[h]) / 2
        assert normal @ middle == pytest.approx(offset)
        np.testing.assert_allclose(normal, centres[g] - centres[h])
        positive = sum(members[k] for k in range(7) if normal @ centres[k] > offset)
        assert count == min(positive, members.sum() - positive)


def test_the_most_balanced_planes_are_kept(features, train):
    method = DSH(**SETTINGS)
    method.fit(train(features), 10, seed=0, session=Session())
    rows = features - features.mean(axis=0, dtype=np.float64)
    smaller = [min(side.sum(), (~side).sum()) for side in (rows @ method.state["normals"] > method.state["offsets"]).T]
    # Balance is judged by groups, so rows follow it nearly, not exactly.
    assert np.mean(smaller[:3]) > np.mean(smaller[-3:])


def test_encoding_uses_the_offset(features, train, items):
    method = DSH(**SETTINGS)
    method.fit(train(features), 10, seed=0, session=Session())
    mean, offsets = features.astype(np.float64).mean(axis=0), method.state["offsets"]
    assert np.abs(offsets).max() > 0.1
    bits = method.encode(items(features))
    for i in range(0, 150, 11):
        for k in range(10):
            value = sum((features[i, j] - mean[j]) * method.state["normals"][j, k] for j in range(12))
            assert bits[i, k] == (value >= offsets[k])


def test_two_separated_groups_are_told_apart_by_their_plane(train, items):
    rng = np.random.default_rng(0)
    two = np.concatenate([rng.normal(size=(40, 3)), rng.normal(size=(40, 3)) + 50]).astype(np.float32)
    method = DSH(**{**SETTINGS, "groups_per_bit": 2.0})
    method.fit(train(two), 1, seed=0, session=Session())
    bits = method.encode(items(two))[:, 0]
    assert len(set(bits[:40])) == len(set(bits[40:])) == 1
    assert bits[0] != bits[-1]


def test_too_few_planes_are_refused(features, train):
    with pytest.raises(HashbenchError, match=r"planes between .* groups for 8 bits; raise `groups_per_bit`"):
        DSH(groups_per_bit=0.5, neighbours=1, kmeans_iterations=3).fit(train(features), 8, seed=0, session=Session())
    with pytest.raises(HashbenchError, match="cannot form 48 groups of 20 train rows"):
        DSH(**SETTINGS).fit(train(features[:20]), 32, seed=0, session=Session())
    with pytest.raises(HashbenchError, match="found 0 planes"):
        DSH(**SETTINGS).fit(train(np.full((50, 4), 2.5, dtype=np.float32)), 8, seed=0, session=Session())
