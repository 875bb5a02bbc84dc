"""Comparisons of methods: against plain loops, the paired bootstrap, and Holm's example."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hashbench.errors import HashbenchError
from hashbench.evaluation import paired_bootstrap
from hashbench.evaluation.comparison import Contestant, compare, crossed_bootstrap, holm

AP = arrays(np.float64, (2, 9), elements=st.floats(0, 1, width=16))
LABELS = np.array([[1, 0], [1, 0], [0, 1], [1, 1], [0, 1], [1, 0], [0, 1], [1, 0], [0, 1]], bool)


def compared(a, b, labels=LABELS, names=("cat", "dog")):
    (found,) = compare([Contestant("a", a), Contestant("b", b)], labels, names, seed=0, resamples=50)
    return found


def test_with_one_repetition_each_it_is_the_paired_bootstrap():
    ap_a, ap_b = np.random.default_rng(0).random((2, 150))
    crossed = crossed_bootstrap(ap_a[None], ap_b[None], seed=3, resamples=2000)
    paired = paired_bootstrap(ap_a, ap_b, seed=3, resamples=2000)
    assert vars(crossed) == pytest.approx(vars(paired), abs=1e-12)


def test_repetitions_that_disagree_widen_the_interval():
    ap = np.random.default_rng(0).random((1, 200))
    alike = crossed_bootstrap(np.repeat(ap, 4, axis=0) / 2, ap / 2, seed=0, resamples=2000)
    spread = np.array([[-0.2], [-0.1], [0.1], [0.2]])
    apart = crossed_bootstrap(ap / 2 + spread, ap / 2, seed=0, resamples=2000)
    assert alike.high - alike.low < 1e-12
    assert apart.high - apart.low > 0.1
    assert apart.difference == pytest.approx(0, abs=1e-12)


def test_a_constant_lead_is_certain():
    ap = np.random.default_rng(1).random((3, 60)) / 2
    found = crossed_bootstrap(ap + 0.25, ap, seed=0, resamples=999)
    assert found.difference == pytest.approx(0.25)
    assert found.low > 0
    assert found.p_value == pytest.approx(1 / 1000, abs=0.01)


@given(a=AP, b=AP)
@settings(max_examples=60, deadline=None)
def test_classes_and_queries_are_those_of_plain_loops(a, b):
    found = compared(a, b)
    mean_a, mean_b = a.mean(axis=0), b.mean(axis=0)
    for each in found.classes:
        shown = [q for q in range(9) if LABELS[q, ["cat", "dog"].index(each.name)]]
        assert each.n_queries == len(shown)
        assert each.difference == pytest.approx(np.mean([mean_a[q] - mean_b[q] for q in shown]), abs=1e-12)
    assert found.a_better == sum(mean_a[q] > mean_b[q] + 1e-12 for q in range(9))
    assert found.b_better == sum(mean_b[q] > mean_a[q] + 1e-12 for q in range(9))
    lead = a.mean() - b.mean()
    against = {q for q in range(9) if abs(lead) > 1e-12 and (mean_a[q] - mean_b[q]) * np.sign(lead) < -1e-12}
    assert set(found.flips) == against
    sizes = [abs(mean_a[q] - mean_b[q]) for q in found.flips]
    assert sizes == sorted(sizes, reverse=True)
    differences = [abs(each.difference) for each in found.classes]
    assert differences == sorted(differences, reverse=True)


@given(a=AP, b=AP)
@settings(max_examples=30, deadline=None)
def test_turned_round_every_difference_changes_its_sign(a, b):
    one, other = compared(a, b), compared(b, a)
    assert one.test.difference == pytest.approx(-other.test.difference)
    assert (one.a_better, one.b_better) == (other.b_better, other.a_better)
    assert one.flips == other.flips


def test_a_class_that_no_query_shows_is_left_out():
    labels = np.column_stack([LABELS, np.zeros(9, bool)])
    assert {each.name for each in compared(*np.ones((2, 2, 9)), labels, ("cat", "dog", "emu")).classes} == {
        "cat",
        "dog",
    }


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([0.02]) == [0.02]


def test_three_methods_make_three_pairs_and_other_queries_are_refused():
    ap = np.random.default_rng(0).random((3, 1, 9))
    three = [Contestant(name, each) for name, each in zip("abc", ap, strict=True)]
    pairs = compare(three, LABELS, ("cat", "dog"), seed=0, resamples=50)
    assert [(each.a.name, each.b.name) for each in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert all(each.holm >= each.test.p_value for each in pairs)
    with pytest.raises(HashbenchError, match="an AP for each of the 8 queries"):
        compare(three, LABELS[:8], ("cat", "dog"), seed=0)
