"""The anchor graph against its definition, item by item."""

from __future__ import annotations

import numpy as np
import pytest

from hashbench.errors import HashbenchError
from hashbench.learning.anchors import anchor_affinities, eigenvector_weights


@pytest.fixture(scope="module")
def affinities():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(80, 5))
    return anchor_affinities(rows, rows[:20] + 0.1, 4, 1.5)


def test_affinities_are_the_truncated_gaussian_kernel():
    rng = np.random.default_rng(1)
    rows, anchors = rng.normal(size=(30, 4)), rng.normal(size=(9, 4))
    z = anchor_affinities(rows, anchors, 3, 0.8)
    for i, row in enumerate(rows):
        squared = [sum((a - b) ** 2 for a, b in zip(row, anchor, strict=True)) for anchor in anchors]
        nearest = sorted(range(9), key=squared.__getitem__)[:3]
        kernel = {j: np.exp(-squared[j] / 0.8**2) for j in nearest}
        for j in range(9):
            assert z[i, j] == pytest.approx(kernel.get(j, 0) / sum(kernel.values()), abs=1e-12)
    np.testing.assert_allclose(z.sum(axis=1), 1)
    assert ((z > 0).sum(axis=1) == 3).all()


def test_a_row_far_from_every_anchor_still_has_affinities():
    z = anchor_affinities(np.array([[1e6, 0.0]]), np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]), 2, 0.01)
    assert z.tolist() == [[0, 0, 1]]


def test_the_weights_give_the_leading_eigenvectors_of_the_whole_graph(affinities):
    adjacency = affinities @ np.diag(1 / affinities.sum(axis=0)) @ affinities.T
    np.testing.assert_allclose(adjacency.sum(axis=1), 1)  # so its largest eigenvalue is 1, with a constant eigenvector
    vectors = affinities @ eigenvector_weights(affinities, 6, "AGH")
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(6), atol=1e-9)
    np.testing.assert_allclose(vectors.sum(axis=0), 0, atol=1e-9)
    eigenvalues = np.sort(np.linalg.eigvalsh(adjacency))[::-1]
    assert eigenvalues[0] == pytest.approx(1)
    np.testing.assert_allclose(np.diag(vectors.T @ adjacency @ vectors), eigenvalues[1:7], atol=1e-9)


def test_every_constant_eigenvector_of_a_graph_in_parts_is_left_out():
    rng = np.random.default_rng(2)
    rows = np.concatenate([rng.normal(size=(30, 3)), rng.normal(size=(30, 3)) + 100])
    anchors = np.concatenate([rows[:6], rows[30:36]])
    z = anchor_affinities(rows, anchors, 3, 1.0)
    vectors = z @ eigenvector_weights(z, 4, "AGH")
    for part in (slice(0, 30), slice(30, 60)):
        np.testing.assert_allclose(vectors[part].sum(axis=0), 0, atol=1e-8)
    with pytest.raises(HashbenchError, match=r"needs 11 eigenvectors .* 12 anchors give 10"):
        eigenvector_weights(z, 11, "AGH")
