"""Official beside searched settings: the table, the agreement of the two orders, and the figure of the places."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from hashbench.records import RunRecord
from hashbench.report.build import render_tuning
from hashbench.report.bundle import ReportBundle
from hashbench.report.results import Results
from hashbench.report.tables.model import Table
from hashbench.report.tables.tuning import kendall, tuning_table


@pytest.fixture
def pair(small_bundle: ReportBundle, change: Callable[..., RunRecord]) -> tuple[ReportBundle, ReportBundle]:
    """A bundle with official and one with searched settings: alpha was searched and gained, beta was searched and lost,
    gamma has nothing to search."""
    gain = {"alpha": 0.2, "beta": -0.1, "gamma": 0.0}
    official = small_bundle.records
    searched = tuple(
        change(r, fingerprint=f"{r.fingerprint[:-1]}x", map=r.evaluation.map + gain[r.method]) if gain[r.method] else r
        for r in official
    )
    ap = {r.cell: small_bundle.ap[r.cell] + gain[r.method] for r in official}
    return small_bundle, replace(small_bundle, records=searched, ap=ap)


def table_of(official: ReportBundle, searched: ReportBundle, **more: Any) -> Table:
    found = Results(official), Results(searched)
    return tuning_table(*found, more.get("cards", official.methods), more.get("tied", official.tied), "tiny")


def test_each_method_has_both_values_and_their_difference(pair: tuple[ReportBundle, ReportBundle]) -> None:
    official, searched = (Results(bundle) for bundle in pair)
    table = table_of(*pair)
    assert [row.heading.label for row in table.rows] == [official.title(m) for m in ("alpha", "beta", "gamma")]
    for row in table.rows:
        for start in range(0, len(row.cells), 3):
            before, after, difference = row.cells[start : start + 3]
            where = (official.settings[0], before.method, before.bits, "map")
            assert (before.value, after.value) == (official.mean(*where), searched.mean(*where))
            if before.method == "gamma":
                assert difference.value is None, "its runs are the same"
            else:
                assert difference.value == pytest.approx({"alpha": 0.2, "beta": -0.1}[before.method])


def test_a_difference_that_may_be_chance_is_marked(pair: tuple[ReportBundle, ReportBundle]) -> None:
    marks = {
        how: {cell.marks for row in table_of(*pair, tied=tied).rows for cell in row.cells}
        for how, tied in {"all tie": lambda ap: set(ap), "none": lambda ap: {max(ap)}}.items()
    }
    assert marks == {"all tie": {(), ("insignificant",)}, "none": {()}}


def test_what_was_cut_stands_in_the_row_that_it_cuts(
    pair: tuple[ReportBundle, ReportBundle], change: Callable[..., RunRecord]
) -> None:
    official, searched = pair
    stated = {note.name: note.value for note in official.methods["alpha"].hyperparameters}
    had = {"alpha": {**stated, "rate": 0.0005}, "beta": stated, "gamma": stated}
    records = tuple(change(r, hyperparameters=had[r.method]) for r in official.records)
    notes = official.methods["alpha"].hyperparameters
    cards = {name: replace(card, hyperparameters=notes) for name, card in official.methods.items()}
    rows = table_of(replace(official, records=records), searched, cards=cards).rows
    assert [row.remark for row in rows] == ["0.0005 of 0.001 rate", "", ""]


@pytest.mark.parametrize("bits", [16, 32])
def test_kendalls_tau_is_that_of_all_pairs(pair: tuple[ReportBundle, ReportBundle], bits: int) -> None:
    official, searched = (Results(bundle) for bundle in pair)
    methods, setting = ["alpha", "beta", "gamma"], official.settings[0]
    maps = [{m: each.mean(setting, m, bits, "map") or 0.0 for m in methods} for each in (official, searched)]
    signs = [[of[a] > of[b] for of in maps] for a, b in combinations(methods, 2)]
    agreeing = sum(1 if one == other else -1 for one, other in signs)
    assert kendall(official, searched, methods, setting, bits) == pytest.approx(agreeing / len(signs))
    assert kendall(official, official, methods, setting, bits) == pytest.approx(1)


def test_the_files_are_table_figure_and_page(pair: tuple[ReportBundle, ReportBundle]) -> None:
    files: dict[str, Any] = {}
    table = render_tuning(*pair, files.__setitem__)
    tables = {f"official.{ending}" for ending in ("md", "tex", "csv", "bib")}
    assert set(files) == {*tables, *(f"figures/tuning.{ending}" for ending in ("svg", "pdf", "csv")), "report.html"}
    assert table.digest in files["report.html"]
    assert "data:image/svg+xml" in files["report.html"]
    lines = [line.split(",") for line in files["figures/tuning.csv"].splitlines()]
    found = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    for side in ("official", "searched"):
        maps = [float(line[f"{side} map"]) for line in sorted(found, key=lambda line: int(line[f"{side} rank"]))]
        assert maps == sorted(maps, reverse=True)
        assert {int(line[f"{side} rank"]) for line in found} == {1, 2, 3}
