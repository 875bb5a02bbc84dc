"""Ranking by real-valued queries: against brute force, published code, and Hamming distances in the limit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hashbench.errors import HashbenchError
from hashbench.evaluation import evaluate, evaluate_asymmetric
from hashbench.types import Codes

MEASURES = ("ap", "ap_optimistic", "ap_pessimistic", "ndcg", "precision_at", "recall_at")


def distances(logits, codes):
    """Straight from the definition, rounded so that equal sums of different terms are equal."""
    return np.abs(1 / (1 + np.exp(-logits[:, None])) - codes[None]).sum(axis=2).round(9)


@st.composite
def few_items(draw):
    """Queries, and so few items that all orders inside ties can be written out."""
    seed, n_bits = draw(st.integers(0, 2**32 - 1)), draw(st.integers(1, 3))
    rng = np.random.default_rng(seed)
    # Few magnitudes, so that different codes tie too, and a 0, which favours neither bit.
    logits = rng.choice([-3.0, -0.5, 0.0, 0.5, 3.0], (2, n_bits))
    codes, classes = rng.integers(0, 2, (6, n_bits)), rng.integers(0, 2, (8, 3))
    return logits, codes, classes[:2], classes[2:]


@pytest.mark.parametrize("denominator", ["relevant_in_top_k", "min_k_relevant", "relevant"])
@pytest.mark.parametrize("k", [1, 3, 6])
@settings(max_examples=25, deadline=None)
@given(items=few_items())
def test_all_orders_inside_ties_by_brute_force(brute_force, items, k, denominator):
    logits, codes, *labels = items
    result = evaluate_asymmetric(logits, codes, *labels, k=k, denominator=denominator, empty="nan", ranks=[1, 2, 6])
    found = np.zeros((2, 3))
    for q, distance in enumerate(distances(logits, codes)):
        relevant = (labels[0][q] & labels[1]).any(axis=1)
        reference = brute_force(distance, relevant)
        assert result.n_relevant[q] == relevant.sum()
        np.testing.assert_allclose(result.ap[q], reference.ap(k, denominator), rtol=1e-12)
        np.testing.assert_allclose(result.ap_optimistic[q], reference.ap_relevant("first", k, denominator), rtol=1e-12)
        np.testing.assert_allclose(result.ap_pessimistic[q], reference.ap_relevant("last", k, denominator), rtol=1e-12)
        np.testing.assert_allclose(result.ndcg[q], reference.ndcg(k), rtol=1e-12)
        found[q] = [reference.found(rank) for rank in (1, 2, 6)]
    answerable = result.n_relevant > 0
    if answerable.any():
        np.testing.assert_allclose(result.precision_at, (found[answerable] / [1, 2, 6]).mean(axis=0), rtol=1e-12)
        of_relevant = found[answerable] / result.n_relevant[answerable, None]
        np.testing.assert_allclose(result.recall_at, of_relevant.mean(axis=0), rtol=1e-12)


@pytest.fixture
def drawn():
    rng = np.random.default_rng(3)
    logits, codes = rng.normal(size=(150, 20)), rng.integers(0, 2, (400, 20))
    return logits, codes, rng.random((150, 5)) < 0.2, rng.random((400, 5)) < 0.2


@pytest.mark.parametrize("size", [0.7, 1e3])
def test_equal_magnitudes_rank_as_hamming_distances_do(drawn, size):
    logits, *rest = drawn
    mine = evaluate_asymmetric(np.where(logits >= 0, size, -size), *rest, k=50, ranks=[1, 7, 400])
    theirs = evaluate(logits >= 0, *rest, k=50, ranks=[1, 7, 400])
    for name in MEASURES:
        np.testing.assert_allclose(getattr(mine, name), getattr(theirs, name), rtol=1e-13, err_msg=name)
    assert (mine.map, mine.mean_ndcg) == pytest.approx((theirs.map, theirs.mean_ndcg), rel=1e-13)


def test_it_tends_to_hamming_distances_and_differs_before(drawn):
    logits, *rest = drawn
    hamming = evaluate(logits >= 0, *rest, k=50).map
    gaps = [abs(evaluate_asymmetric(scale * logits, *rest, k=50).map - hamming) for scale in (1, 1e6)]
    assert gaps[1] < 1e-3 < gaps[0]


def test_the_distance_is_a_hamming_distance_with_tanh_in_the_place_of_the_query(drawn):
    logits, codes, *_ = drawn
    by_tanh = (20 - np.tanh(logits / 2) @ (2 * codes - 1).T) / 2
    np.testing.assert_allclose(by_tanh, distances(logits, codes), atol=1e-8)


def test_the_order_of_the_database_is_of_no_consequence(drawn):
    logits, codes, query_labels, labels = drawn
    codes, labels = np.concatenate([codes, codes]), np.concatenate([labels, labels[::-1]])  # every code twice at least
    order = np.random.default_rng(0).permutation(800)
    one = evaluate_asymmetric(logits, codes, query_labels, labels, k=30)
    other = evaluate_asymmetric(logits, codes[order], query_labels, labels[order], k=30)
    assert one.map_pessimistic < one.map < one.map_optimistic
    for name in MEASURES:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def test_which_queries_come_along_is_of_no_consequence(drawn):
    logits, codes, query_labels, labels = drawn
    together = evaluate_asymmetric(*drawn, k=30).ap
    alone = [evaluate_asymmetric(logits[[q]], codes, query_labels[[q]], labels, k=30).ap[0] for q in (0, 63, 64, 149)]
    np.testing.assert_array_equal(together[[0, 63, 64, 149]], alone)


def test_every_kind_of_input(drawn):
    logits, codes, *labels = drawn
    expected = evaluate_asymmetric(logits.astype(np.float32), codes, *labels).ap
    for given_logits, given_codes in (
        (logits.astype(np.float32), Codes.pack(codes.astype(bool))),
        (torch.tensor(logits, dtype=torch.float32, requires_grad=True), torch.tensor(2 * codes - 1)),
    ):
        np.testing.assert_array_equal(evaluate_asymmetric(given_logits, given_codes, *labels).ap, expected)


def test_golden_distances_and_map_of_crovca(shared):
    with np.load(shared / "golden/newer_crovca.npz", allow_pickle=False) as archive:
        golden = dict(archive)
    logits, codes = golden["eval_query_logits"], golden["eval_database_bits"].astype(np.uint8)
    np.testing.assert_allclose(distances(logits, codes), golden["eval_asymmetric_distance"], atol=1e-6)
    labels = golden["eval_query_labels"], golden["eval_database_labels"]
    result = evaluate_asymmetric(logits, codes, *labels, k=int(golden["eval_k"]))
    assert 100 * result.map == pytest.approx(float(golden["eval_map_percent"]), abs=1e-4)


def test_golden_map_of_hashing_baseline(shared):
    with np.load(shared / "golden/newer_hashing_baseline.npz", allow_pickle=False) as archive:
        golden = dict(archive)
    codes = golden["database_bits"].astype(np.uint8)
    labels = golden["query_labels"], golden["database_labels"]
    result = evaluate_asymmetric(golden["query_logits"], codes, *labels, k=int(golden["k"]))
    assert 100 * result.map == pytest.approx(float(golden["map_asymmetric_percent"]), abs=1e-4)
    hamming = evaluate(golden["query_logits"] >= 0, codes, *labels, k=int(golden["k"]))
    assert abs(hamming.map - result.map) > 1e-3, "or the two could not be told apart"


def test_worked_example_of_hashing_baseline():
    codes = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    found = distances(np.array([[-0.2, 1.4]]), codes)[0]
    np.testing.assert_allclose(found, [1.252349891, 0.647982114, 1.352017886, 0.747650109], atol=1e-9)
    labels = np.array([7]), np.array([8, 8, 7, 8])
    assert evaluate_asymmetric(np.array([[-0.2, 1.4]]), codes, *labels).map == 1 / 4, "the farthest of four"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda z, c, a, b: (z[:, :-1], c, a, b),
            r"query_logits must be \(queries, bits\) \(150, 20\) .* got \(150, 19\)",
        ),
        (lambda z, c, a, b: (z[:-1], c, a, b), r"got \(149, 20\)"),
        (lambda z, c, a, b: (np.where(z > 2, np.nan, z), c, a, b), "must be finite"),
        (lambda z, c, a, b: (np.where(z > 2, np.inf, z), c, a, b), "must be finite"),
        (lambda z, c, a, b: (z, z[:, :20], a, b), "database_codes must hold bool or 0 and 1"),
        (lambda z, c, a, b: (z, c[:-1], a, b), "database_codes have 399 items and database_labels 400"),
        (lambda z, c, a, b: (z.astype(str), c, a, b), "query_logits must be an array of numbers"),
    ],
)
def test_refuses_in_one_sentence(drawn, change, message):
    with pytest.raises(HashbenchError, match=message) as error:
        evaluate_asymmetric(*change(*drawn))
    assert "\n" not in str(error.value)
