"""Rows that stand apart: methods that are told external text, asymmetric rankings, and methods that were left out."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from hashbench.records import AsymmetricSummary
from hashbench.report.excerpt import excerpt
from hashbench.report.figures.style import best_of_panels
from hashbench.report.results import Results
from hashbench.report.standings import leaders
from hashbench.report.tables.rendering import RENDERERS
from hashbench.report.tables.retrieval import ASYMMETRIC, EXTERNAL_TEXT, table1, table2

LEFT_OUT = {"omega": {"tiny-vit": "omega needs texts; this run provides none: leave omega out"}}


@pytest.fixture
def bundle(make_bundle, change):
    """Four methods of which the best, alpha, is told texts, and the worst, delta, ranks asymmetrically above all."""
    found = make_bundle(4, left_out=LEFT_OUT)

    def asymmetric(run):
        numbers = dict.fromkeys(("map", "map_optimistic", "map_pessimistic", "ndcg"), run.evaluation.map + 0.2)
        listed = {"map_ci95": (0.1, 0.2), "precision_at": [1.0] * 4, "recall_at": [0.1] * 4}
        return AsymmetricSummary(**numbers, **listed)

    records = [change(r, asymmetric=asymmetric(r)) if r.method == "delta" else r for r in found.records]
    cards = {**found.methods, "alpha": replace(found.methods["alpha"], external_text="external text: nouns")}
    return replace(found, records=tuple(records), methods=cards)


def whole(bundle):
    return table1(Results(bundle), bundle.tied, "tiny")


def sections(table):
    return {heading: [row.heading.label for row in rows] for heading, rows in table.sections}


def test_each_kind_has_a_section_of_its_own_below_the_others(bundle):
    assert sections(whole(bundle)) == {
        "": ["Beta_2", "Gamma & Co", "Delta"], EXTERNAL_TEXT: ["Alpha"], ASYMMETRIC: ["Delta (asymmetric)"],
    }  # fmt: skip
    second = sections(table2(Results(bundle), "tiny"))
    assert [labels for heading, labels in second.items() if EXTERNAL_TEXT in heading] == [["Alpha"]] * 6
    assert not any(ASYMMETRIC in heading for heading in second)


def test_marks_and_tests_never_compare_them_with_the_others(bundle):
    compared = []

    def tied(ap):
        compared.append(set(ap))
        return {*ap}

    table = table1(Results(bundle), tied, "tiny")
    assert compared == [{"beta", "gamma", "delta"}] * 6, "the methods without texts, not alpha"
    for row in table.rows:
        apart = row.heading.group != ""
        assert all((cell.marks == ()) == apart for cell in row.cells), row.heading
    assert best_of_panels(Results(bundle)) == ["beta"]
    said = leaders(Results(bundle), bundle.tied)
    assert said.count("Beta_2") == 2
    assert "Alpha" not in said


def test_an_asymmetric_number_has_a_name_of_its_own_in_every_format(bundle):
    table = whole(bundle)
    lines = csv.DictReader(io.StringIO(RENDERERS["csv"](table)))
    of_delta = {
        line["metric"]: float(line["value"])
        for line in lines
        if (line["dataset"], line["method"], line["bits"]) == ("toys", "delta", "16")
    }
    assert of_delta.keys() == {"mAP@100", "asymmetric mAP@100"}
    assert of_delta["asymmetric mAP@100"] == pytest.approx(of_delta["mAP@100"] + 0.2)
    for ending in ("md", "tex", "html"):
        text = RENDERERS[ending](table)
        assert text.count("Delta (asymmetric)") == 1
        assert text.index("Asymmetric: real-valued queries") < text.index("Delta (asymmetric)")


def test_with_several_backbones_each_has_its_sections(bundle, change):
    other = [change(run, backbone="big-vit", features="0" * 12) for run in bundle.records]
    ap = {**bundle.ap, **{run.cell: bundle.ap[run.cell._replace(backbone="tiny-vit")] for run in other}}
    titles = {"tiny-vit": "Tiny ViT", "big-vit": "Big ViT"}
    both = replace(bundle, records=(*bundle.records, *other), ap=ap, backbone_titles=titles)
    found = sections(whole(both))
    assert list(found) == [
        f"{title}{rest}" for title in ("Big ViT", "Tiny ViT") for rest in ("", f". {EXTERNAL_TEXT}", f". {ASYMMETRIC}")
    ]
    assert any(note.startswith("Left out on Tiny ViT: omega needs texts") for note in whole(both).notes)


def test_what_is_left_out_is_named_with_the_reason(bundle):
    for table in (whole(bundle), table2(Results(bundle), "tiny")):
        assert "Left out: omega needs texts; this run provides none: leave omega out." in table.notes
        assert "Left out" in RENDERERS["md"](table)
    assert not any("Left out" in note for note in whole(replace(bundle, left_out={})).notes)


def test_an_excerpt_of_such_rows_alone_is_no_contest(bundle):
    table = excerpt(bundle, "table1", ["alpha"])
    assert sections(table) == {EXTERNAL_TEXT: ["Alpha"]}
    assert sections(excerpt(bundle, "table1", ["alpha", "delta"])) == {
        "": ["Delta"], EXTERNAL_TEXT: ["Alpha"], ASYMMETRIC: ["Delta (asymmetric)"],
    }  # fmt: skip
