"""Hashing-Baseline: exact components, a uniform rotation, and the codes of the authors' code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashbench.baselines.hashing_baseline import HashingBaseline, random_rotation
from hashbench.baselines.itq import rotate_to_signs
from hashbench.baselines.pcah import PCAH
from hashbench.errors import HashbenchError
from hashbench.learning.session import Session
from hashbench.learning.shallow import mean_of, principal_directions
from hashbench.seeding import numpy_generator
from hashbench.types import Array, ItemView, TrainView

Train, Items = Callable[[Array], TrainView], Callable[[Array], ItemView]


def fitted(view: TrainView, n_bits: int, seed: int = 0) -> HashingBaseline:
    method = HashingBaseline()
    method.fit(view, n_bits, seed, Session())
    return method


def with_state(mean: Array, projection: Array) -> HashingBaseline:
    method = HashingBaseline()
    method.load_state_dict({"mean": mean, "projection": projection})
    return method


def test_it_encodes_as_the_published_code_does(shared: Path, items: Items) -> None:
    golden = np.load(shared / "golden/newer_hashing_baseline.npz")
    method = with_state(golden["mean"], golden["pca"] @ golden["rotation"].T)
    np.testing.assert_allclose(method.scores(golden["query"]), golden["query_logits"], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(
        method.scores(golden["database"][:100]), golden["database_logits_first100"], rtol=1e-10, atol=1e-12
    )
    for rows in ("query", "database"):
        assert np.array_equal(method.encode(items(golden[rows])), golden[f"{rows}_bits"])


def test_its_components_are_the_exact_ones(shared: Path) -> None:
    golden = np.load(shared / "golden/newer_hashing_baseline.npz")
    mean = mean_of(golden["train"])
    np.testing.assert_allclose(mean, golden["mean"], rtol=1e-12)
    found, exact, approximate = (
        directions @ directions.T
        for directions in (principal_directions(golden["train"], mean, 12), golden["pca_exact"], golden["pca"])
    )
    np.testing.assert_allclose(found, exact, atol=1e-10)
    error = np.linalg.norm(found - approximate, ord=2)
    assert error == pytest.approx(float(golden["subspace_error"]), rel=1e-6), "what the randomised ones miss"


def test_the_worked_example(items: Items) -> None:
    rotation = np.array([[0.6, -0.8], [0.8, 0.6]])
    method = with_state(np.zeros(3), np.eye(3)[:, :2] @ rotation.T)
    rows = np.array([[1.0, 1.0, 5.0]])
    np.testing.assert_allclose(method.scores(rows), [[-0.2, 1.4]])
    assert method.encode(items(rows)).tolist() == [[False, True]]


def test_bits_by_loops(features: Array, train: Train, items: Items) -> None:
    method = fitted(train(features), 5, seed=3)
    centred = features.astype(np.float64) - features.astype(np.float64).mean(axis=0)
    directions = principal_directions(features, mean_of(features), 5)
    rotation = random_rotation(5, numpy_generator(3))
    bits = method.encode(items(features))
    for row, code in zip(centred, bits, strict=True):
        components = [sum(row[j] * directions[j, k] for j in range(12)) for k in range(5)]
        for k in range(5):
            assert code[k] == (sum(rotation[k, m] * components[m] for m in range(5)) >= 0)


@given(st.integers(1, 12), st.integers(0, 10**6))
def test_a_rotation_changes_no_length_and_no_angle(k: int, seed: int) -> None:
    rotation = random_rotation(k, numpy_generator(seed))
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(k), atol=1e-12)
    rows = np.random.default_rng(seed).normal(size=(6, k))
    np.testing.assert_allclose((rows @ rotation.T) @ (rows @ rotation.T).T, rows @ rows.T, atol=1e-10)


def test_rotations_are_uniform() -> None:
    """Entries of a Haar matrix have mean 0, variance 1/k and fourth moment 3 / (k (k + 2)), wherever they stand."""
    generator, k = numpy_generator(0), 3
    drawn = np.stack([random_rotation(k, generator) for _ in range(20_000)])
    np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose((drawn**2).mean(axis=0), 1 / k, atol=0.01)
    np.testing.assert_allclose((drawn**4).mean(axis=0), 3 / (k * (k + 2)), atol=0.01)
    assert np.mean(np.linalg.det(drawn) > 0) == pytest.approx(0.5, abs=0.02)


def test_the_projection_keeps_the_components_lengths(features: Array, train: Train) -> None:
    projection = fitted(train(features), 6).state["projection"]
    np.testing.assert_allclose(projection.T @ projection, np.eye(6), atol=1e-12)


@pytest.mark.parametrize(("scale", "shift"), [(4.0, 0.0), (0.25, 0.0), (1.0, 8.0), (2.0, -16.0)])
def test_scale_and_place_of_the_features_change_no_bit(
    features: Array, train: Train, items: Items, scale: float, shift: float
) -> None:
    moved = (features.astype(np.float64) * scale + shift).astype(np.float64)
    before, after = fitted(train(features), 8), fitted(train(moved), 8)
    assert np.array_equal(before.encode(items(features)), after.encode(items(moved)))


def test_without_a_rotation_it_is_pcah(features: Array, train: Train, items: Items) -> None:
    pcah = PCAH()
    pcah.fit(train(features), 7, 0, Session())
    unrotated = with_state(
        mean_of(features), fitted(train(features), 7).state["projection"] @ random_rotation(7, numpy_generator(0))
    )
    assert np.array_equal(unrotated.encode(items(features)), pcah.encode(items(features)))


def test_it_is_where_itq_starts(features: Array, train: Train, items: Items) -> None:
    mean, rotation = mean_of(features), random_rotation(7, numpy_generator(0))
    components = (features - mean) @ principal_directions(features, mean, 7)
    start, errors = rotate_to_signs(components, rotation.T, 0)
    assert errors == []
    assert np.array_equal(fitted(train(features), 7).encode(items(features)), components @ start >= 0)


def test_over_rotations_bits_differ_by_the_angle_over_pi() -> None:
    generator, k = numpy_generator(1), 8
    x, y = generator.normal(size=(2, k))
    angle = np.arccos(x @ y / np.linalg.norm(x) / np.linalg.norm(y))
    differing = []
    for _ in range(4000):
        rotation = random_rotation(k, generator)
        differing.append(((rotation @ x >= 0) != (rotation @ y >= 0)).mean())
    assert np.mean(differing) == pytest.approx(angle / np.pi, abs=0.01)


def test_there_are_no_more_bits_than_components(features: Array, train: Train) -> None:
    with pytest.raises(HashbenchError, match="at most 12 here"):
        fitted(train(features), 13)
