"""Bootstrap: against enumeration, against scipy's, and whether its coverage is what it says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import bootstrap

from hashbench.errors import HashbenchError
from hashbench.evaluation import bootstrap_interval, paired_bootstrap


@pytest.mark.parametrize(("confidence", "tails"), [(0.8, [0.1, 0.9]), (0.4, [0.3, 0.7])])
def test_interval_is_that_of_all_resamples(confidence, tails):
    ap = np.array([0.1, 0.4, 0.5, 0.9])
    means = [np.mean(draw) for draw in itertools.product(ap, repeat=4)]
    low, high = bootstrap_interval(ap, seed=0, confidence=confidence, resamples=100_000)
    np.testing.assert_allclose([low, high], np.quantile(means, tails), atol=0.026)


@pytest.mark.parametrize("resamples", [3, 4])
def test_the_p_value_of_a_difference_of_zero_counts_every_resample_and_one_more(resamples):
    assert paired_bootstrap(np.array([0.0, 1.0]), np.array([1.0, 0.0]), seed=0, resamples=resamples).p_value == 1


def test_interval_agrees_with_scipy():
    ap = np.random.default_rng(1).beta(2, 3, 300)
    theirs = bootstrap((ap,), np.mean, method="percentile", n_resamples=20_000, rng=0).confidence_interval
    np.testing.assert_allclose(bootstrap_interval(ap, seed=0, resamples=20_000), theirs, atol=1.5e-3)


def test_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(2)
    intervals = [bootstrap_interval(rng.beta(2, 3, 80), seed=trial, resamples=400) for trial in range(300)]
    covered = np.mean([low <= 0.4 <= high for low, high in intervals])
    assert 0.90 <= covered <= 0.98


def test_same_seed_same_interval_and_the_global_generator_is_untouched():
    ap = np.random.default_rng(3).random(50)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    assert bootstrap_interval(ap, seed=7) == bootstrap_interval(ap, seed=7)
    assert bootstrap_interval(ap, seed=7) != bootstrap_interval(ap, seed=8)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_resampling_in_blocks_covers_every_resample():
    constant = np.full(2_000_000, 0.25)  # one resample is more than a block
    assert bootstrap_interval(constant, seed=0, resamples=3) == (0.25, 0.25)


def test_queries_without_relevant_items_are_left_out():
    ap = np.array([0.2, np.nan, 0.4, 0.9])
    assert bootstrap_interval(ap, seed=0) == bootstrap_interval(ap[[0, 2, 3]], seed=0)


def test_a_paired_comparison_sees_what_two_intervals_do_not():
    rng = np.random.default_rng(4)
    hard = rng.beta(1, 1, 500)
    better = np.clip(hard + 0.02 + 0.02 * rng.standard_normal(500), 0, 1)
    a, b = bootstrap_interval(better, seed=0), bootstrap_interval(hard, seed=0)
    assert a[0] < b[1]  # the intervals overlap
    result = paired_bootstrap(better, hard, seed=0, resamples=2000)
    assert result.difference == pytest.approx(better.mean() - hard.mean())
    assert 0 < result.low < result.difference < result.high
    assert result.p_value == pytest.approx(1 / 2001)


def test_p_values_are_uniform_where_nothing_differs():
    rng = np.random.default_rng(5)
    p = [paired_bootstrap(*rng.random((2, 60)), seed=trial, resamples=300).p_value for trial in range(300)]
    assert 0.02 <= np.mean(np.array(p) <= 0.05) <= 0.09
    assert 0.42 <= np.mean(p) <= 0.58


def test_equal_methods_do_not_differ():
    ap = np.random.default_rng(6).random(20)
    result = paired_bootstrap(ap, ap, seed=0, resamples=100)
    assert (result.difference, result.low, result.high, result.p_value) == (0, 0, 0, 1)


def test_swapping_the_methods_mirrors_the_result():
    rng = np.random.default_rng(8)
    a, b = rng.random(30), rng.random(30)
    one, other = paired_bootstrap(a, b, seed=0), paired_bootstrap(b, a, seed=0)
    assert (one.difference, one.p_value) == (-other.difference, other.p_value)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: paired_bootstrap(np.ones(3), np.ones(4), seed=0), "on the same queries"),
        (lambda: paired_bootstrap(np.array([1, np.nan]), np.ones(2), seed=0), "on the same queries"),
        (lambda: bootstrap_interval(np.array([np.nan]), seed=0), "at least one query"),
        (lambda: bootstrap_interval(np.ones(3), seed=0, confidence=95), "between 0 and 1"),
        (lambda: bootstrap_interval(np.ones(3), seed=0, confidence=-0.5), "between 0 and 1"),
        (lambda: bootstrap_interval(np.ones(3), seed=0, resamples=0), "resamples must be at least 1"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(HashbenchError, match=message):
        call()
