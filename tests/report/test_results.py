"""Grouping of run records, and what may not stand in one table."""

from __future__ import annotations

import numpy as np
import pytest

from hashbench.errors import HashbenchError
from hashbench.report.results import Results, Setting, digest_of, spread


def test_runs_of_a_cell_come_by_seed_whatever_their_order(make_bundle):
    bundle = make_bundle(2)
    results = Results(bundle.records[::-1], bundle.methods, bundle.datasets, bundle.ap)
    runs = results.runs(Setting("toys", "tiny-vit"), "alpha", 32)
    assert [run.seed for run in runs] == [0, 1, 2]
    assert {run.method for run in runs} == {"alpha"}
    assert results.bits(Setting("toys", "tiny-vit")) == [16, 32, 64]


@pytest.mark.parametrize("rule", [{"split_digest": "ba9876543210"}, {"k": 50}, {"empty": "nan"}])
def test_runs_that_follow_different_rules_are_refused(record, rule):
    records = (record(0, ("toys", "Toys"), 16, 0), record(1, ("toys", "Toys"), 16, 0, **rule))
    with pytest.raises(HashbenchError, match=f"differ in {next(iter(rule))}"):
        Results(records, ("alpha", "beta"), ("toys",), {})


def test_a_cell_given_twice_is_refused(record):
    run = record(0, ("toys", "Toys"), 16, 0)
    with pytest.raises(HashbenchError, match="same cell"):
        Results((run, run), ("alpha",), ("toys",), {})


def test_no_records_is_a_clear_error():
    with pytest.raises(HashbenchError, match="no run records"):
        Results((), ("alpha",), ("toys",), {})


def test_queries_without_relevant_items_follow_the_rule_of_the_run(record):
    setting = Setting("toys", "tiny-vit")
    ap = {("toys", "tiny-vit", "alpha", 16, seed): np.array([np.nan, 0.2 + 0.2 * seed]) for seed in (0, 1)}
    for empty, expected in (("zero", [0.0, 0.3]), ("nan", [0.3])):
        records = [record(0, ("toys", "Toys"), 16, seed, empty=empty) for seed in (0, 1)]
        results = Results(records, ("alpha",), ("toys",), ap)
        np.testing.assert_allclose(results.ap(setting, "alpha", 16), expected)


def test_missing_per_query_values_are_named(record):
    results = Results([record(0, ("toys", "Toys"), 16, 0)], ("alpha",), ("toys",), {})
    with pytest.raises(HashbenchError, match=r"alpha.*missing"):
        results.ap(Setting("toys", "tiny-vit"), "alpha", 16)


def test_spread_is_the_sample_standard_deviation():
    assert spread([1.0, 3.0]) == pytest.approx(2**0.5)
    assert spread([1.0]) is None


def test_digest_does_not_depend_on_the_order_of_keys():
    assert digest_of({"a": 1, "b": [2.5]}) == digest_of({"b": [2.5], "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": 2})
