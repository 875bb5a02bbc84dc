"""Metrics from counts, against every order inside ties written out and against well-kept libraries."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashbench.evaluation import metrics

DENOMINATORS = ["relevant_in_top_k", "min_k_relevant", "relevant"]


@st.composite
def small_rankings(draw):
    """Up to 7 items at distances 0..4, some relevant."""
    n = draw(st.integers(1, 7))
    distance = draw(st.lists(st.integers(0, 4), min_size=n, max_size=n))
    relevant = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    return np.array(distance), np.array(relevant)


def counts(distance, relevant, n_bins=5):
    """Relevant and total (1, bins) of one query."""
    return (
        np.bincount(distance, weights=relevant, minlength=n_bins).astype(np.int64)[np.newaxis],
        np.bincount(distance, minlength=n_bins).astype(np.int64)[np.newaxis],
    )


@settings(max_examples=100, deadline=None)
@given(ranking=small_rankings(), k=st.integers(1, 9), denominator=st.sampled_from(DENOMINATORS))
def test_equals_the_mean_over_all_orders(brute_force, ranking, k, denominator):
    every = brute_force(*ranking)
    pair = counts(*ranking)
    assert metrics.average_precision(*pair, k, denominator)[0] == pytest.approx(
        every.ap(k, denominator), abs=1e-12, nan_ok=True
    )
    assert metrics.ndcg(*pair, metrics.discounts(k))[0] == pytest.approx(every.ndcg(k), abs=1e-12, nan_ok=True)
    ranks = np.arange(1, len(ranking[0]) + 1)
    assert metrics.found_at(*pair, ranks)[0] == pytest.approx([every.found(rank) for rank in ranks], abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(ranking=small_rankings(), k=st.integers(1, 9), denominator=st.sampled_from(DENOMINATORS))
def test_relevant_first_and_last(brute_force, ranking, k, denominator):
    every = brute_force(*ranking)
    for place, split in (("first", metrics.relevant_first), ("last", metrics.relevant_last)):
        ap = metrics.average_precision(*split(*counts(*ranking)), k, denominator)[0]
        assert ap == pytest.approx(every.ap_relevant(place, k, denominator), abs=1e-12, nan_ok=True)


@settings(max_examples=100, deadline=None)
@given(ranking=small_rankings(), k=st.integers(1, 9), denominator=st.sampled_from(DENOMINATORS[1:]))
def test_no_order_leaves_the_bounds_where_the_denominator_is_fixed(
    brute_force, plain_average_precision, ranking, k, denominator
):
    every = brute_force(*ranking)
    if not ranking[1].any():
        return
    aps = [plain_average_precision(ranked, k, denominator) for ranked in every.rankings]
    pair = counts(*ranking)
    assert metrics.average_precision(*metrics.relevant_first(*pair), k, denominator)[0] == pytest.approx(max(aps))
    assert metrics.average_precision(*metrics.relevant_last(*pair), k, denominator)[0] == pytest.approx(min(aps))


def test_the_fields_denominator_can_reward_fewer_hits():
    """[+ - | one hit in two] at k = 3: the order without the hit gives 1, the one with it 5/6."""
    relevant, total = np.array([[1, 0, 1]]), np.array([[1, 1, 2]])
    first = metrics.average_precision(*metrics.relevant_first(relevant, total), 3, "relevant_in_top_k")
    last = metrics.average_precision(*metrics.relevant_last(relevant, total), 3, "relevant_in_top_k")
    assert first[0] == pytest.approx(5 / 6)
    assert last[0] == pytest.approx(1)
    assert metrics.average_precision(relevant, total, 3, "relevant_in_top_k")[0] == pytest.approx(11 / 12)


def exact_average_precision(relevant, total, k):
    """E[AP@k] over the relevant items inside the top k, in exact fractions, for large ties."""

    def in_tie(seen, found, items, hits):
        return sum(
            Fraction(hits, items) * (found + 1 + Fraction((j - 1) * (hits - 1), max(items - 1, 1))) / (seen + j)
            for j in range(1, items + 1)
        )

    seen, found, value = 0, 0, Fraction(0)
    for hits, items in zip(relevant, total, strict=True):
        inside = min(items, k - seen)
        if inside < items:
            ratio = Fraction(0)
            for x in range(max(0, inside - items + hits), min(hits, inside) + 1):
                ways = math.comb(hits, x) * math.comb(items - hits, inside - x)
                if found + x:
                    ratio += ways * (value + in_tie(seen, found, inside, x)) / (found + x)
            return float(ratio / math.comb(items, inside))
        if items:
            value += in_tie(seen, found, items, hits)
        seen, found = seen + items, found + hits
    return float(value / found) if found else 0.0


@pytest.mark.parametrize("k", [1, 30, 31, 90, 100, 140, 300, 400])
def test_large_ties_in_exact_fractions(k):
    relevant, total = [3, 0, 40, 1, 0, 60], [30, 1, 100, 1, 0, 168]
    ours = metrics.average_precision(np.array([relevant]), np.array([total]), k, "relevant_in_top_k")
    assert ours[0] == pytest.approx(exact_average_precision(relevant, total, k), rel=1e-12)


@pytest.mark.parametrize(("start", "count"), [(0, 1), (0, 31), (0, 100), (31, 2), (32, 1), (1000, 3), (999_999, 2)])
def test_harmonic_difference_keeps_all_digits(start, count):
    exact = sum(Fraction(1, start + j) for j in range(1, count + 1))
    assert metrics._harmonic_difference(start, count) == pytest.approx(float(exact), rel=4e-16)


def test_small_ties_far_down_keep_their_digits():
    """n - (N + 1) (H(N + n) - H(N)) must not lose digits for a tie of 2 after a million items."""
    seen, found = 1_000_000, 5
    exact = Fraction(found + 1, seen + 1) + Fraction(found + 2, seen + 2)
    assert metrics._expected_in_tie(seen, found, 2, 2, 2) == pytest.approx(float(exact), rel=1e-12)


@pytest.fixture
def torch_in_double(monkeypatch):
    """torchmetrics asks for float32 by name in every metric; here it gets float64, so that nine digits can agree."""
    import torch

    monkeypatch.setattr(torch, "float32", torch.float64)
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield torch
    torch.set_default_dtype(before)


@pytest.mark.parametrize("k", [1, 3, 10, 25, 40])
def test_without_ties_equals_scikit_learn_and_torchmetrics(k, torch_in_double):
    from sklearn.metrics import average_precision_score, ndcg_score
    from torchmetrics.functional import retrieval

    torch = torch_in_double
    rng = np.random.default_rng(k)
    for _ in range(20):
        relevant = rng.random(40) < rng.uniform(0.1, 0.9)
        if not relevant[:k].any():
            continue
        score = np.linspace(1, 0.1, 40)
        single = relevant.astype(np.int64)[np.newaxis], np.ones((1, 40), np.int64)
        scores, target = torch.tensor(score, dtype=torch.float64), torch.tensor(relevant)

        ap = metrics.average_precision(*single, k, "relevant_in_top_k")[0]
        assert ap == pytest.approx(average_precision_score(relevant[:k], score[:k]), abs=1e-9)
        assert ap == pytest.approx(float(retrieval.retrieval_average_precision(scores, target, top_k=k)), abs=1e-9)

        ndcg = metrics.ndcg(*single, metrics.discounts(k))[0]
        assert ndcg == pytest.approx(ndcg_score(relevant[np.newaxis], score[np.newaxis], k=k), abs=1e-9)
        assert ndcg == pytest.approx(float(retrieval.retrieval_normalized_dcg(scores, target, top_k=k)), abs=1e-9)

        found = metrics.found_at(*single, np.array([k]))[0, 0]
        precision, recall = (
            retrieval.retrieval_precision(scores, target, k),
            retrieval.retrieval_recall(scores, target, k),
        )
        assert found / k == pytest.approx(float(precision), abs=1e-9)
        assert found / relevant.sum() == pytest.approx(float(recall), abs=1e-9)


def test_within_a_radius():
    relevant, total = np.array([[0, 1, 1], [0, 0, 0]]), np.array([[0, 2, 2], [1, 0, 3]])
    assert metrics.precision_within(relevant, total).tolist() == [[0, 0.5, 0.5], [0, 0, 0]]
    np.testing.assert_array_equal(metrics.recall_within(relevant), [[0, 0.5, 1], [np.nan] * 3])


def test_mean_follows_the_empty_query_rule():
    values, answerable = np.array([0.5, np.nan, 0.25]), np.array([True, False, True])
    assert metrics.mean_over_queries(values, answerable, "zero") == 0.25
    assert metrics.mean_over_queries(values, answerable, "nan") == 0.375
    assert np.isnan(metrics.mean_over_queries(values, np.zeros(3, bool), "nan"))


@settings(max_examples=100, deadline=None)
@given(ranking=small_rankings())
def test_measures_within_radius_2(ranking):
    distance, relevant = ranking
    near = relevant[distance <= 2]
    of = {name: measure(*counts(*ranking))[0] for name, measure in metrics.MEASURES.items()}
    assert of["found_nothing_within_2"] == (len(near) == 0)
    expected = near.sum() / max(len(near), 1) if relevant.any() else math.nan
    assert of["precision_within_2"] == pytest.approx(expected, nan_ok=True)


def test_measures_of_codes_of_one_bit():
    """Radius 2 is then wider than the whole space."""
    relevant, total = np.array([[1, 0]]), np.array([[1, 3]])
    assert metrics.precision_within_2(relevant, total)[0] == 0.25
    assert metrics.found_nothing_within_2(relevant, total)[0] == 0
