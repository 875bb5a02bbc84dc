"""AGH, one and two layers: signs of eigenvectors, and thresholds that solve their quadratic problem."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from hashbench.baselines.agh1 import OneLayerAGH
from hashbench.baselines.agh2 import TwoLayerAGH, second_thresholds
from hashbench.errors import HashbenchError
from hashbench.learning.session import Session

SETTINGS = {"anchors": 40, "nearest": 3, "kmeans_iterations": 5}


@pytest.fixture(scope="module", params=[OneLayerAGH, TwoLayerAGH])
def method_class(request):
    return request.param


def test_one_layer_bits_are_signs_of_eigenvectors_of_the_train_graph(features, train, items):
    method = OneLayerAGH(**SETTINGS)
    method.fit(train(features), 6, seed=0, session=Session())
    z = method.affinities(features.astype(np.float64))
    adjacency = z @ np.diag(1 / z.sum(axis=0)) @ z.T
    values, vectors = np.linalg.eigh(adjacency)
    kept = values < 1 - 1e-3
    leading = vectors[:, kept][:, ::-1][:, :6]
    bits = method.encode(items(features))
    for k in range(6):
        clear = np.abs(leading[:, k]) > 1e-9
        agreement = bits[clear, k] == (leading[clear, k] > 0)
        assert agreement.all() or not agreement.any()


def test_two_layer_bits_cut_each_side_of_zero_again(features, train, items):
    method = TwoLayerAGH(**SETTINGS)
    method.fit(train(features), 10, seed=0, session=Session())
    values = method.affinities(features.astype(np.float64)) @ method.state["weights"]
    np.testing.assert_allclose((values**2).mean(axis=0), 1)
    bits = method.encode(items(features))
    for i in range(len(features)):
        for k in range(5):
            above = values[i, k] >= 0
            second = values[i, k] >= method.state["upper"][k] if above else values[i, k] <= method.state["lower"][k]
            assert bits[i, k] == above
            assert bits[i, 5 + k] == second


def test_second_thresholds_minimise_the_graph_objective_under_balance(features, train):
    method = TwoLayerAGH(**SETTINGS)
    method.fit(train(features), 8, seed=1, session=Session())
    z = method.affinities(features.astype(np.float64))
    laplacian = np.eye(len(z)) - z @ np.diag(1 / z.sum(axis=0)) @ z.T
    for values in (z @ method.state["weights"]).T:
        above = values >= 0

        def balanced(upper, values=values, above=above):
            lower = (values[~above].sum() - (values[above] - upper).sum()) / (~above).sum()
            return lower, np.where(above, values - upper, lower - values)

        def objective(upper, balanced=balanced):
            shifted = balanced(upper)[1]
            return shifted @ laplacian @ shifted

        upper, lower = second_thresholds(z, values)
        best = minimize_scalar(objective, tol=1e-12).x
        assert upper == pytest.approx(best, abs=1e-5)
        assert lower == pytest.approx(balanced(best)[0], abs=1e-5)
        assert balanced(upper)[1].sum() == pytest.approx(0, abs=1e-8)


def test_two_layers_need_an_even_number_of_bits(features, train):
    with pytest.raises(HashbenchError, match="bits must be even, got 13"):
        TwoLayerAGH(**SETTINGS).fit(train(features), 13, seed=0, session=Session())


def test_the_width_is_the_mean_distance_to_the_nth_anchor_and_is_kept(features, train, items, method_class):
    method = method_class(**SETTINGS)
    log = method.fit(train(features), 8, seed=0, session=Session())
    anchors = method.state["anchors"] + method.state["mean"]
    distances = [sorted(np.linalg.norm(row - anchor) for anchor in anchors)[2] for row in features]
    assert method.state["width"][0] == pytest.approx(np.mean(distances))
    assert log.remarks == (f"{len(anchors)} anchors, 3 nearest, width {method.state['width'][0]:.4g}",)
    before = method.state["width"].copy()
    method.encode(items(features * 1000))
    assert np.array_equal(method.state["width"], before)


def test_no_more_anchors_than_half_the_train_rows(features, train, method_class):
    method = method_class(**{**SETTINGS, "anchors": 1000})
    log = method.fit(train(features), 8, seed=0, session=Session())
    assert log.remarks[0].startswith("75 anchors")


def test_anchors_without_rows_are_dropped(features, train, method_class):
    repeated = np.repeat(features[:50], 3, axis=0)  # k-means starts from equal rows, and one of them stays alone
    method = method_class(**SETTINGS)
    method.fit(train(repeated), 8, seed=0, session=Session())
    assert len(method.state["anchors"]) < 40
    assert all(np.isfinite(value).all() for value in method.state.values())


def test_what_cannot_be_hashed_is_refused(features, train, method_class):
    with pytest.raises(HashbenchError, match="3 nearest anchors, but 5 train rows give 2"):
        method_class(**SETTINGS).fit(train(features[:5]), 2, seed=0, session=Session())
    with pytest.raises(HashbenchError, match="eigenvectors of the anchor graph"):
        method_class(**{**SETTINGS, "anchors": 10}).fit(train(features), 32, seed=0, session=Session())
    with pytest.raises(HashbenchError, match="100 train rows give 1"):
        method_class(**SETTINGS).fit(train(np.full((100, 12), 3.7, dtype=np.float32)), 2, seed=0, session=Session())
