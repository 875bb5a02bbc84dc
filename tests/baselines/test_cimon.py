"""CIMON: its guidance and losses by explicit loops over their definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn.cluster import SpectralClustering

from hashbench.baselines.cimon import CIMON, confidence, guidance, guided_loss, spectral_clusters
from hashbench.learning.session import Session
from hashbench.learning.structure import half_gaussians
from hashbench.seeding import torch_generator
from hashbench.types import Array, TrainView


@pytest.fixture(scope="module")
def grouped() -> tuple[Array, Array]:
    """Features of 60 images in four directions, and the group of each."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(4), 15)
    features = rng.normal(size=(4, 12))[groups] + 0.25 * rng.normal(size=(60, 12))
    return features.astype(np.float32), groups


@pytest.mark.parametrize("threshold", [0.1, 0.4, 0.9])
def test_guidance_by_loops(grouped: tuple[Array, Array], threshold: float) -> None:
    features, groups = grouped
    clusters = groups.copy()
    clusters[::7] = 5
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    distances = np.clip(1 - unit @ unit.T, 0, 2)
    np.fill_diagonal(distances, 0)
    mean_left, std_left, mean_right, std_right = half_gaussians(distances)
    found = guidance(features, clusters, threshold)
    for i in range(0, 60, 3):
        for j in range(60):
            sign = 1 if distances[i, j] <= threshold else -1
            if sign > 0:
                top = norm.cdf(threshold, mean_left, std_left)
                weight = (top - norm.cdf(distances[i, j], mean_left, std_left)) / top
            else:
                low = norm.cdf(threshold, mean_right, std_right)
                weight = (norm.cdf(distances[i, j], mean_right, std_right) - low) / (1 - low)
            weight = min(max(weight, 0), 1) * ((sign > 0) == (clusters[i] == clusters[j]))
            assert found[i, j] == pytest.approx(weight * sign, abs=1e-4)


def test_confidence_grows_with_the_distance_from_the_threshold() -> None:
    distances = np.concatenate([np.linspace(0, 1, 50), np.full(100, 0.5), np.linspace(0.3, 0.7, 50)])
    weights = confidence(distances, 0.4)
    assert ((weights >= 0) & (weights <= 1)).all()
    near, far = distances[:50] <= 0.4, distances[:50] > 0.4
    assert (np.diff(weights[:50][near]) <= 0).all()
    assert (np.diff(weights[:50][far]) >= 0).all()


def test_equal_distances_give_finite_confidence() -> None:
    assert np.isfinite(confidence(np.zeros((3, 3)), 0.1)).all()


def test_guided_loss_by_loops() -> None:
    generator = torch.Generator().manual_seed(0)
    outputs = torch.rand(5, 6, generator=generator, dtype=torch.float64) * 2 - 1
    signed = torch.rand(5, 5, generator=generator, dtype=torch.float64) * 2 - 1
    signed[1, 3] = 0
    total = 0.0
    for i in range(5):
        for j in range(5):
            weight, sign = abs(float(signed[i, j])), 1 if signed[i, j] > 0 else -1
            total += weight * (float(outputs[i] @ outputs[j]) / 6 - sign) ** 2
    assert float(guided_loss(outputs, signed)) == pytest.approx(total / 25)


def test_clusters_follow_directions_and_the_seed(grouped: tuple[Array, Array]) -> None:
    features, groups = grouped
    clusters = spectral_clusters(features, 4, seed=0)
    same = (clusters[:, None] == clusters[None]) == (groups[:, None] == groups[None])
    assert same.mean() > 0.95
    np.testing.assert_array_equal(clusters, spectral_clusters(features, 4, seed=0))
    np.testing.assert_array_equal(clusters, spectral_clusters(10 * features, 4, seed=0))


@pytest.mark.parametrize(("n", "n_clusters"), [(60, 2), (300, 12), (300, 40)])
def test_clusters_are_those_of_scikit_learn(n: int, n_clusters: int) -> None:
    features = np.random.default_rng(n_clusters).normal(size=(n, 8)).astype(np.float32)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    theirs = SpectralClustering(n_clusters, affinity="nearest_neighbors", assign_labels="cluster_qr", random_state=0)
    pairs = set(zip(theirs.fit(unit).labels_, spectral_clusters(features, n_clusters, seed=3), strict=True))
    assert len(pairs) == n_clusters, "the same partition, whatever its parts are called"


OPTIONS = {
    "threshold": 0.3,
    "clusters": 4,
    "contrast": 0.3,
    "temperature": 0.5,
    "hidden": 32,
    "standardise": True,
    "learning_rate": 0.1,
    "momentum": 0.9,
    "weight_decay": 1e-5,
    "batch_size": 20,
    "epochs": 20,
}


def test_without_hidden_units_the_head_is_linear_in_the_features_as_they_are() -> None:
    head = CIMON(**{**OPTIONS, "hidden": 0, "standardise": False}).network(12, 8, torch_generator(0))
    ((_, weight), (_, bias)) = head.named_parameters()
    rows = torch.randn(5, 12, generator=torch_generator(1)) + 3
    torch.testing.assert_close(head(rows), torch.tanh(rows @ weight.T + bias))


@pytest.mark.parametrize("hidden", [0, 32])
def test_it_learns_and_groups_share_codes(grouped: tuple[Array, Array], hidden: int) -> None:
    features, groups = grouped
    rng = np.random.default_rng(1)
    views = (features + 0.2 * rng.normal(size=(3, 60, 12))).astype(np.float32)
    method = CIMON(**{**OPTIONS, "hidden": hidden})
    train = TrainView(np.arange(60), pooled=features, views=views)
    log = method.fit(train, 16, seed=1, session=Session())
    assert log.curves["guided"][-1] < log.curves["guided"][0]
    codes = method.encode(train)
    distances = (codes[:, None] != codes[None]).mean(axis=2)
    same = groups[:, None] == groups[None]
    assert distances[same].mean() < 0.5 * distances[~same].mean()
