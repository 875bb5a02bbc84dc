"""Published numbers: read strictly, joined to runs, and called comparable only where they are."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest

from hashbench.errors import HashbenchError
from hashbench.report.published import FIELDS, read_published
from hashbench.report.results import Results
from hashbench.report.tables.published import compare, comparison_csv, comparison_markdown

HEAD = ",".join(FIELDS)


def published(**changes):
    row = {
        "method": "alpha", "dataset": "toys", "protocol": "60/200/500", "backbone": "Tiny ViT", "k": "100",
        "bits": "16", "value": "0.7000", "source": "https://example.org", "verified": "yes", "note": "",
    }  # fmt: skip
    return read_published(f"{HEAD}\n{','.join((row | changes).values())}\n")


@pytest.fixture
def results(record, bundle_of):
    records = [record(0, "toys", 16, seed, map=0.72) for seed in range(2)]
    records += [record(0, "toys-jpeg", 16, 0, map=0.6), record(0, "toys100", 16, 0)]
    titles = {"toys": "Toys", "toys-jpeg": "Toys (JPEG)", "toys100": "Toys 100"}
    return Results(bundle_of(records, dataset_titles=titles))


def test_a_matching_run_is_comparable(results):
    found = compare(published(), results)
    assert [c.setting.dataset for c in found] == ["toys", "toys-jpeg"]
    assert found[0].reasons == ()
    assert found[0].difference == pytest.approx(0.02)


def test_a_variant_of_the_data_set_is_shown_but_not_comparable(results):
    assert compare(published(), results)[1].reasons == ("other images: Toys (JPEG)",)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"backbone": "AlexNet"}, "other backbone: AlexNet against Tiny ViT"),
        ({"backbone": ""}, "published backbone not stated"),
        ({"protocol": "60/200/700"}, "other split: 60/200/700 against 60/200/500"),
        ({"protocol": "60/?/500"}, "published split not fully stated"),
        ({"protocol": "61/?/500"}, "other split"),
        ({"k": "all"}, "other cutoff: all against 100"),
        ({"k": "?"}, "published cutoff not stated"),
    ],
)
def test_what_keeps_a_number_from_being_comparable_is_said(results, changes, reason):
    assert reason in "; ".join(compare(published(**changes), results)[0].reasons)


@pytest.mark.parametrize("changes", [{"method": "beta"}, {"dataset": "other"}, {"bits": "128"}, {"bits": ""}])
def test_a_number_without_a_run_is_kept_and_says_so(results, changes):
    (found,) = compare(published(**changes), results)
    assert found.difference is None
    assert found.reasons == ("not run in this profile",)


@pytest.mark.parametrize(
    "changes",
    [{"value": "59.6"}, {"value": "high"}, {"verified": "maybe"}, {"k": "-1"}, {"bits": "x"}, {"protocol": "I"}],
)
def test_a_malformed_row_is_refused_with_its_line(changes):
    with pytest.raises(HashbenchError, match="line 2"):
        published(**changes)


def test_other_columns_are_refused():
    with pytest.raises(HashbenchError, match="columns"):
        read_published("method,value\nalpha,0.5\n")


def test_texts_say_what_is_comparable(results):
    found = compare(published() + published(method="beta"), results)
    lines = list(csv.DictReader(io.StringIO(comparison_csv(found))))
    assert [line["comparable"] for line in lines] == ["yes", "no", "no"]
    assert lines[0]["difference"] == "+0.0200"
    text = comparison_markdown(found)
    assert "+0.0200" in text
    assert "1 published numbers have no run" in text


def test_the_committed_numbers_are_well_formed_and_have_a_public_source():
    rows = read_published((Path(__file__).parents[2] / "results/published.csv").read_text(encoding="utf-8"))
    assert len(rows) > 50
    assert all(row.source.startswith("https://") for row in rows)
    assert len({(r.method, r.dataset, r.k, r.bits, r.value, r.source, r.note) for r in rows}) == len(rows)
    by_key = {(row.method, row.dataset, row.bits, row.source): row.value for row in rows}
    assert by_key["itq", "nuswide21", 64, "https://github.com/TreezzZ/ITQ_PyTorch (README)"] == 0.7389


def test_what_newer_sources_print_is_there_with_the_file_it_was_seen_in(shared):
    """Also where two sources contradict each other on one cell."""
    page = (shared / "METHODS-NEWER.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```csv\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    rows = read_published((Path(__file__).parents[2] / "results/published.csv").read_text(encoding="utf-8"))
    there = {replace(row, note="") for row in rows}
    wanted = read_published(block)
    assert len(wanted) > 20
    assert {replace(row, note="") for row in wanted} <= there
    of_cibhash = {row.value for row in rows if (row.method, row.dataset, row.bits) == ("cibhash", "cifar10", 64)}
    assert of_cibhash >= {0.612, 0.641, 0.6459, 0.6454, 0.6167, 0.6144}
    mecoq = [row for row in rows if row.method == "mecoq"]
    assert len(mecoq) == 72
    assert all("not Hamming" in row.note and "README at 7c96e92" in row.source for row in mecoq)
