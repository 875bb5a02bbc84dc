"""The tie with the best: against all resamples there are, by its properties, and how often it errs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashbench.errors import HashbenchError
from hashbench.evaluation.ties import compared_with, holm, rank_groups, resampled_means, tied_with_best


def every_resample(a, b):
    """The difference of means in every resample: queries drawn for both together, repetitions for each by itself."""
    queries = list(itertools.product(range(a.shape[1]), repeat=a.shape[1]))
    draws = [list(itertools.product(range(len(each)), repeat=len(each))) for each in (a, b)]
    return np.array(
        [
            a[np.ix_(rows_a, query)].mean() - b[np.ix_(rows_b, query)].mean()
            for query in queries
            for rows_a in draws[0]
            for rows_b in draws[1]
        ]
    )


def test_the_p_value_is_that_of_all_resamples():
    a = np.array([[0.9, 0.35, 0.6], [0.7, 0.5, 0.2]])
    b = np.array([[0.5, 0.4, 0.55], [0.6, 0.2, 0.3]])
    differences, observed = every_resample(a, b), a.mean() - b.mean()
    exact = (np.abs(differences - observed) >= observed - 1e-12).mean()
    found = compared_with({"a": a, "b": b}, "a", seed=0, resamples=100_000)
    assert set(found) == {"b"}
    assert found["b"] == pytest.approx(exact, abs=0.01)
    assert 0.05 < exact < 0.95
    assert compared_with({"a": a, "b": b}, "b", seed=0, resamples=100_000) == {"a": found["b"]}


def test_resampled_means_spread_as_much_as_all_resamples_do():
    a = np.array([[0.9, 0.35, 0.6], [0.7, 0.5, 0.2]])
    drawn = resampled_means({"a": a}, seed=1, resamples=50_000)["a"]
    exact = every_resample(a, np.zeros_like(a))
    assert drawn.mean() == pytest.approx(a.mean(), abs=2e-3)
    assert drawn.std() == pytest.approx(exact.std(), rel=0.02)


def test_queries_are_drawn_for_all_methods_together():
    ap = np.random.default_rng(0).random((1, 50))
    drawn = resampled_means({"a": ap, "b": ap - 0.25}, seed=0, resamples=100)
    np.testing.assert_allclose(drawn["a"] - drawn["b"], 0.25)


def test_the_spread_over_repetitions_counts():
    """A lead that one lucky repetition makes is no lead, however many queries there are."""
    rng = np.random.default_rng(0)
    hard = rng.random(2000)
    steady = np.stack([hard * 0.5 + 0.2] * 3)
    lucky = np.stack([hard * 0.5 + shift for shift in (0.19, 0.19, 0.27)])
    assert tied_with_best({"lucky": lucky, "steady": steady}, seed=0) == {"lucky", "steady"}
    assert tied_with_best({"lucky": lucky[2:], "steady": steady}, seed=0) == {"lucky"}


def test_equals_are_called_worse_no_more_often_than_the_level_says():
    rng, errors = np.random.default_rng(5), 0
    for trial in range(100):
        quality = rng.beta(2, 3, 60)
        ap = {str(name): quality + rng.normal(0, 0.1, (1, 60)) for name in range(6)}
        errors += len(tied_with_best(ap, seed=trial, resamples=400)) < 6
    assert errors <= 20  # the best of six was picked by the same numbers, so that 5 of 100 would be too few to ask


@given(st.dictionaries(st.text(max_size=3), st.floats(0.0001, 1), min_size=1, max_size=8))
def test_holm_is_the_smallest_level_at_which_the_step_down_procedure_rejects(p_values):
    adjusted = holm(p_values)
    assert set(adjusted) == set(p_values)
    for level in [0.01, 0.05, 0.2, *adjusted.values()]:
        rejected = set()
        for place, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
            if min(1.0, p_values[name] * (len(p_values) - place)) > level:
                break
            rejected.add(name)
        assert rejected == {name for name, p in adjusted.items() if p <= level}
    assert all(p_values[name] <= adjusted[name] <= min(1.0, len(p_values) * p_values[name]) for name in p_values)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 5), st.integers(1, 4), st.integers(2, 30), st.randoms(use_true_random=False))
def test_the_best_is_in_the_tie_and_order_does_not_matter(methods, repetitions, queries, random):
    ap = {
        f"m{i}": np.array([[random.random() for _ in range(queries)] for _ in range(repetitions)])
        for i in range(methods)
    }
    tie = tied_with_best(ap, seed=3, resamples=50)
    assert max(ap, key=lambda name: ap[name].mean()) in tie
    assert tied_with_best(dict(reversed(ap.items())), seed=3, resamples=50) == tie
    assert tied_with_best({**ap, "same": next(iter(ap.values()))}, seed=3, resamples=50) & set(ap)


@pytest.mark.parametrize(
    "other", [np.zeros((1, 4)), np.zeros(3), np.full((1, 3), np.nan), np.zeros((0, 3)), np.zeros((3, 0))]
)
def test_what_cannot_be_compared_is_refused(other):
    with pytest.raises(HashbenchError, match=r"the same queries|must be numbers by repetition and query"):
        tied_with_best({"a": np.zeros((1, 3)), "b": other}, seed=0)


def test_rank_groups_begin_with_the_tie_and_go_on_with_the_best_of_the_others():
    random = np.random.default_rng(0)
    difficulty = random.uniform(0.3, 0.6, 200)
    quality = {"bad": 0.0, "best": 0.3, "good": 0.1, "as good": 0.1}
    ap = {name: difficulty + gain + random.normal(0, 0.02, (3, 200)) for name, gain in quality.items()}
    assert rank_groups(ap, seed=1) == {"best": 1, "good": 2, "as good": 2, "bad": 3}


@pytest.mark.parametrize("seed", range(5))
def test_the_first_rank_group_is_the_statistical_tie(seed):
    random = np.random.default_rng(seed)
    ap = {f"m{n}": np.clip(random.normal(0.5 + 0.01 * n, 0.2, (3, 60)), 0, 1) for n in range(6)}
    groups = rank_groups(ap, seed=seed, resamples=500)
    assert {name for name, group in groups.items() if group == 1} == tied_with_best(ap, seed=seed, resamples=500)
    assert set(groups.values()) == set(range(1, max(groups.values()) + 1))
    means = {name: values.mean() for name, values in ap.items()}
    for group in range(2, max(groups.values()) + 1):
        best = max((name for name in groups if groups[name] >= group), key=means.get)
        assert groups[best] == group
