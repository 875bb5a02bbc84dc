"""Claims hold exactly where the records say so."""

from __future__ import annotations

from dataclasses import replace

from hashbench.report.bundle import Contest
from hashbench.report.claims import check
from hashbench.report.results import Results


def test_a_claim_that_holds_gives_its_smallest_lead(make_bundle):
    (claim,) = check(Results(make_bundle(3)), [Contest(("alpha",), ("gamma",))])
    assert claim.holds
    assert claim.text == "Alpha beats Gamma & Co everywhere"
    assert claim.evidence.startswith("smallest lead +0.0")


def test_one_lost_cell_breaks_a_claim_and_is_named(make_bundle, change):
    bundle = make_bundle(2)
    records = tuple(
        change(run, map=0.99) if (run.method, run.dataset, run.bits) == ("beta", "mosaic", 32) else run
        for run in bundle.records
    )
    (claim,) = check(Results(replace(bundle, records=records)), [Contest(("alpha",), ("beta",))])
    assert not claim.holds
    assert claim.evidence.startswith("not on Toy mosaic, 32 bits (-0.")


def test_methods_that_did_not_run_make_no_claim(make_bundle):
    assert check(Results(make_bundle(1)), [Contest(("alpha",), ("nobody",))]) == []
