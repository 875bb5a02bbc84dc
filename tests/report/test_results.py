"""Grouping of run records, and what may not stand in one table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hashbench.errors import HashbenchError
from hashbench.report.results import Results, Setting

TOYS = Setting("toys", "tiny-vit")


def test_runs_of_a_cell_come_by_seed_whatever_their_order(make_bundle):
    bundle = make_bundle(2)
    results = Results(replace(bundle, records=bundle.records[::-1]))
    runs = results.runs(TOYS, "alpha", 32)
    assert [run.seed for run in runs] == [0, 1, 2]
    assert {run.method for run in runs} == {"alpha"}
    assert results.bits(TOYS) == [16, 32, 64]


@pytest.mark.parametrize(
    "rule", [{"split_digest": "ba9876543210"}, {"k": 50}, {"k": None}, {"empty": "nan"}, {"features": "0" * 12}]
)
def test_runs_that_follow_different_rules_are_refused(record, bundle_of, rule):
    records = (record(0, "toys", 16, 0), record(1, "toys", 16, 0, **rule))
    with pytest.raises(HashbenchError, match=f"differ in {next(iter(rule))}"):
        Results(bundle_of(records))


def test_rules_may_differ_from_data_set_to_data_set(record, bundle_of):
    results = Results(bundle_of([record(0, "toys", 16, 0), record(0, "mosaic", 16, 0, k=None)]))
    assert [results.any_run(setting).evaluation.k for setting in results.settings] == [100, None]


def test_a_cell_given_twice_is_refused(record, bundle_of):
    run = record(0, "toys", 16, 0)
    with pytest.raises(HashbenchError, match="same cell"):
        Results(bundle_of((run, run)))


def test_no_records_is_a_clear_error(bundle_of):
    with pytest.raises(HashbenchError, match="no run records"):
        Results(bundle_of(()))


def test_records_of_other_data_sets_alone_are_refused(record, bundle_of):
    with pytest.raises(HashbenchError, match=r"no run record is of a data set of this report \(toys, mosaic\)"):
        Results(bundle_of([record(0, "elsewhere", 16, 0)]))


@pytest.mark.parametrize(
    ("changes", "what"), [({"method": "who"}, "method 'who'"), ({"backbone": "b"}, "backbone 'b'")]
)
def test_what_has_no_name_in_print_is_refused(record, bundle_of, changes, what):
    with pytest.raises(HashbenchError, match=f"is not told what the {what}"):
        Results(bundle_of([record(0, "toys", 16, 0, **changes)]))


def test_queries_without_relevant_items_follow_the_rule_of_the_run(record, bundle_of):
    ap = {("toys", "tiny-vit", "alpha", 16, seed): np.array([np.nan, 0.2 + 0.2 * seed]) for seed in (0, 1)}
    for empty, expected in (("zero", [[0.0, 0.2], [0.0, 0.4]]), ("nan", [[0.2], [0.4]])):
        records = [record(0, "toys", 16, seed, empty=empty) for seed in (0, 1)]
        results = Results(bundle_of(records, ap=ap))
        np.testing.assert_allclose(results.ap_by_seed(TOYS, "alpha", 16), expected)


def test_missing_per_query_values_are_named(record, bundle_of):
    results = Results(bundle_of([record(0, "toys", 16, 0)]))
    with pytest.raises(HashbenchError, match=r"toys-tiny-vit-alpha-16-0 are missing"):
        results.ap_by_seed(TOYS, "alpha", 16)


def test_methods_under_study_and_controls_are_those_that_ran(make_bundle):
    results = Results(replace(make_bundle(2), controls=("alpha", "nobody")))
    assert results.ran == ("alpha", "beta")
    assert results.under_study == ("beta",)
    assert results.controls == ("alpha",)
