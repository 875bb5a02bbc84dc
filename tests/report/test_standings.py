"""How each method stands against those that all are compared with, and what the page says of it first."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from hashbench.report.build import render_tables
from hashbench.report.results import Results
from hashbench.report.standings import Standing, leaders, pairs_of, standings_of, undecided, under_study


def test_every_method_is_compared_with_each_reference_in_each_column(make_bundle):
    bundle = make_bundle(4)
    pairs = pairs_of(Results(bundle), ["alpha", "gamma"], bundle.compared)
    assert len(pairs) == 2 * 3 * 3 * 2  # data sets, lengths, other methods, references
    results = Results(bundle)
    for pair in pairs:
        assert pair.method != pair.against
        ap = [results.ap_by_seed(pair.setting, method, pair.bits).mean() for method in (pair.method, pair.against)]
        assert pair.difference == pytest.approx(ap[0] - ap[1])


@pytest.mark.parametrize(("p_value", "verdicts"), [(0.05, {"tied"}), (0.0499, {"better", "worse"})])
def test_a_difference_counts_below_the_level_alone(make_bundle, p_value, verdicts):
    def compared(ap, reference):
        return dict.fromkeys({*ap} - {reference}, p_value)

    pairs = pairs_of(Results(make_bundle(3)), ["beta"], compared)
    assert {pair.verdict for pair in pairs} == verdicts
    assert all(pair.verdict == "tied" or (pair.verdict == "better") == (pair.difference > 0) for pair in pairs)


def test_a_standing_counts_the_columns(make_bundle):
    bundle = make_bundle(3)
    standings = standings_of(pairs_of(Results(bundle), ["beta"], bundle.compared))
    assert standings == {"alpha": {"beta": Standing(6, 0, 0)}, "gamma": {"beta": Standing(0, 0, 6)}}


def test_a_reference_that_did_not_run_is_left_out(make_bundle):
    bundle = make_bundle(2)
    assert pairs_of(Results(bundle), ["nobody"], bundle.compared) == []


def test_the_file_has_a_line_for_each_pair(small_bundle):
    files = {}
    render_tables(small_bundle, files.__setitem__)
    lines = list(csv.DictReader(io.StringIO(files["standings.csv"])))
    assert len(lines) == 2 * (2 + 2)
    assert {(line["method"], line["against"]) for line in lines} == {
        ("beta", "alpha"), ("gamma", "alpha"), ("alpha", "gamma"), ("beta", "gamma")
    }  # fmt: skip
    assert {line["verdict"] for line in lines} == {"better", "worse"}


def test_the_finding_names_the_best_with_its_tie_and_the_standing_of_the_methods_under_study(make_bundle):
    bundle = make_bundle(7)
    results = Results(bundle)
    alone = leaders(results, lambda ap: {"alpha"})
    assert alone.startswith("On Toys with 64 bits, Alpha has the highest mAP@100 (0.8")
    assert "), ahead of all others by the test of Table 1; on Toy mosaic with 64 bits, Alpha" in alone
    assert leaders(results, lambda ap: {"alpha", "gamma", "beta"}).endswith("), tied with Beta_2 and Gamma & Co.")
    assert leaders(results, lambda ap: {*ap}).endswith("), tied with Beta_2, Gamma & Co, Delta and 3 more.")
    said = under_study(results, standings_of(pairs_of(results, ["alpha", "eps"], bundle.compared)))
    assert said == (
        "Column by column, Beta_2 is worse than Alpha in all 6, better than Epsilon<b> in all 6; "
        "Gamma & Co is worse than Alpha in all 6, better than Epsilon<b> in all 6."
    )
    mixed = {"beta": {"alpha": Standing(3, 1, 2), "gamma": Standing(0, 5, 1)}}
    assert under_study(results, mixed) == (
        "Column by column, Beta_2 is better than Alpha in 3, tied in 1 and worse in 2, tied with Gamma & Co in 5 and "
        "worse in 1."
    )
    assert under_study(Results(replace(bundle, methods=dict(bundle.methods))), {}) == ""


def test_the_page_opens_with_the_finding(small_report, small_bundle):
    page = small_report["report.html"]
    places = [page.index(text) for text in ("has the highest mAP@100", 'id="figures"', 'id="tables"')]
    assert places == sorted(places)
    assert "standings.csv" in page


def test_the_page_tells_the_largest_difference_that_was_left_undecided(make_bundle):
    bundle = make_bundle(3)
    results = Results(bundle)
    pairs = pairs_of(results, ["beta"], bundle.compared)
    assert undecided(results, pairs) == ""
    toys, mosaic = results.settings
    found = [
        *(
            replace(pairs[0], setting=toys, difference=d, p_value=p)
            for d, p in ((0.01, 1.0), (-0.02, 0.05), (0.5, 0.01))
        ),
        replace(pairs[0], setting=mosaic, difference=0.003, p_value=0.2),
    ]
    toy_queries, mosaic_queries = (results.any_run(setting).n_query for setting in results.settings)
    assert undecided(results, found) == (
        f"The largest difference that the test left undecided is 0.020 on Toys ({toy_queries:,} queries) and 0.003 on "
        f"Toy mosaic ({mosaic_queries:,} queries)."
    )
