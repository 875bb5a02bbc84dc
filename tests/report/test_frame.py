"""Run records as a table, and means and spreads over seeds of it."""

from __future__ import annotations

import math
import random
import statistics

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashbench.records import EvaluationSummary
from hashbench.report.frame import SeedStatistics, exact_mean, frame_of, sample_spread, with_seconds


def test_a_frame_has_a_row_a_run_with_its_numbers(make_bundle):
    records = list(make_bundle(2).records)
    shuffled = random.Random(0).sample(records, len(records))
    frame = frame_of(shuffled)
    pd.testing.assert_frame_equal(frame, frame_of(records))
    assert len(frame) == len(records)
    for row, record in zip(frame.itertuples(), sorted(records, key=lambda r: r.cell), strict=True):
        assert (row.dataset, row.backbone, row.method, row.bits, row.seed) == record.cell
        assert (row.profile, row.split_digest, row.made_by) == ("tiny", "0123456789ab", "reproduced")
        assert (row.derived_seed, row.fingerprint, row.features) == (
            record.fit.seed,
            record.fingerprint,
            record.fit.features,
        )
        evaluation = record.evaluation
        assert (row.map, row.map_low, row.map_high) == (evaluation.map, *evaluation.map_ci95)
        assert (row.precision_at_100, row.recall_at_500) == (evaluation.precision_at[2], evaluation.recall_at[3])
        assert row.k == 100


def test_a_frame_has_every_single_number_of_an_evaluation(record):
    frame = frame_of([record(0, "toys", 16, 0)])
    summary = record(0, "toys", 16, 0).evaluation
    numbers = {n for n in EvaluationSummary.model_fields if isinstance(getattr(summary, n), int | float)}
    assert numbers | set(summary.measures) <= set(frame)
    assert {"map", "ndcg", "distinct_codes"} <= numbers
    assert "found_nothing_within_2" in summary.measures


def test_no_cut_off_and_ranks_that_were_not_evaluated_are_left_open(record):
    short = record(1, "toys", 16, 0, k=None, ranks=[1], precision_at=[0.5], recall_at=[0.1])
    frame = frame_of([record(0, "toys", 16, 0), short])
    assert frame["k"].isna().tolist() == [False, True]
    assert frame["precision_at_1"].notna().all()
    assert frame["precision_at_100"].isna().tolist() == [False, True]


def test_means_and_spreads_over_seeds_are_exact(record):
    maps = [0.1, 0.2, 0.3]
    found = SeedStatistics(frame_of([record(0, "toys", 16, seed, map=value) for seed, value in enumerate(maps)]))
    mean, spread, seeds = found.of("toys", "tiny-vit", "alpha", 16, "map")
    assert mean == statistics.fmean(maps) != sum(maps) / 3
    assert (spread, seeds) == (statistics.stdev(maps), 3)


def test_what_was_not_run_or_not_measured_has_no_number(record):
    found = SeedStatistics(frame_of([record(0, "toys", 16, seed, ndcg=math.nan) for seed in range(2)]))
    for cell, column, seeds in (("alpha", "ndcg", 2), ("beta", "map", 0), ("alpha", "precision_at_7", 0)):
        mean, spread, n = found.of("toys", "tiny-vit", cell, 16, column)
        assert math.isnan(mean)
        assert math.isnan(spread)
        assert n == seeds


def test_spread_is_the_sample_standard_deviation():
    assert sample_spread([1.0, 3.0]) == pytest.approx(2**0.5)
    assert math.isnan(sample_spread([1.0]))
    assert math.isnan(sample_spread([1.0, math.inf]))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.randoms())
def test_the_mean_does_not_depend_on_the_order(values, random_):
    assert exact_mean(random_.sample(values, len(values))) == exact_mean(values)


def test_costs_are_known_where_the_seconds_are(make_bundle):
    bundle = make_bundle(2)
    cell = bundle.records[0].cell
    instant = bundle.seconds[cell].model_copy(update={"encode": 0.0})
    frame = with_seconds(frame_of(bundle.records), {cell: instant})
    row = frame.set_index(["dataset", "backbone", "method", "bits", "seed"]).loc[cell]
    assert row["fit_seconds"] == instant.fit
    assert row["code_bytes"] == 2
    assert math.isnan(row["encoded_per_second"])
    assert frame["fit_seconds"].notna().sum() == 1
