"""The part of a table that a paper needs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hashbench.errors import HashbenchError
from hashbench.report.build import tables_of
from hashbench.report.excerpt import excerpt
from hashbench.report.tables.rendering import RENDERERS


def values_of(table):
    return {(c.dataset, c.method, c.bits, c.metric): (c.value, c.spread) for row in table.rows for c in row.cells}


@pytest.mark.parametrize("name", ["table1", "table2", "table3"])
@pytest.mark.parametrize("transpose", [False, True])
def test_an_excerpt_has_the_numbers_of_the_whole_and_no_others(make_bundle, name, transpose):
    bundle = make_bundle(5)
    whole = next(table for table in tables_of(bundle) if table.name == name)
    part = excerpt(bundle, name, ["delta", "alpha"], [16, 64], transpose=transpose)
    wanted = {key: v for key, v in values_of(whole).items() if key[1] in ("alpha", "delta") and key[2] in (16, 64)}
    assert values_of(part) == wanted
    assert part.excerpt_of == whole.digest
    for ending in ("md", "tex", "html"):
        assert f"excerpt of content digest {whole.digest}" in RENDERERS[ending](part)


def test_methods_come_in_the_order_asked_for(make_bundle):
    part = excerpt(make_bundle(5), "table1", ["delta", "alpha"])
    assert [row.heading.label for row in part.rows] == ["Delta", "Alpha"]


def test_marks_compare_what_is_left(make_bundle):
    bundle = make_bundle(5)
    whole = excerpt(bundle, "table1")
    assert {c.method for row in whole.rows for c in row.cells if "best" in c.marks} == {"alpha"}
    part = excerpt(bundle, "table1", ["gamma", "eps"])
    assert {c.method for row in part.rows for c in row.cells if "best" in c.marks} == {"gamma"}
    alone = excerpt(bundle, "table1", ["gamma"])
    assert not any(c.marks for row in alone.rows for c in row.cells)


def test_the_tie_is_tested_anew(make_bundle):
    compared = []
    bundle = replace(make_bundle(5), tied=lambda ap: compared.append(set(ap)) or {"gamma"})
    part = excerpt(bundle, "table1", ["gamma", "eps"], [16])
    assert len(compared) == 6 + 2  # the whole table, whose digest is stated, and the two columns that are left
    assert compared[-1] == {"gamma", "eps"}
    assert {c.marks for row in part.rows for c in row.cells} == {("best",), ("second",)}


def test_a_transposed_table_has_a_column_for_each_method(make_bundle):
    table = excerpt(make_bundle(3), "table1", transpose=True)
    assert [column.label for column in table.columns] == ["Alpha", "Beta_2", "Gamma & Co"]
    assert [(row.heading.group, row.heading.label) for row in table.rows] == [
        (f"{dataset}, mAP@100", f"{bits} bits") for dataset in ("Toys", "Toy mosaic") for bits in (16, 32, 64)
    ]
    assert "best" in table.rows[0].cells[0].marks
    assert "| Measure | Alpha | Beta\\_2 | Gamma & Co |" in RENDERERS["md"](table)


def test_without_spreads_no_format_shows_one(make_bundle):
    bundle = make_bundle(3)
    table = excerpt(bundle, "table1", with_spread=False)
    for ending in ("md", "tex", "html"):
        assert "±" not in RENDERERS[ending](table).replace("$\\pm$", "±")
    assert "±" in RENDERERS["md"](excerpt(bundle, "table1"))
    assert RENDERERS["csv"](table) == RENDERERS["csv"](excerpt(bundle, "table1"))  # full precision, for programs


def test_nothing_left_out_is_the_table_itself(make_bundle):
    bundle = make_bundle(3)
    assert excerpt(bundle, "table1") == tables_of(bundle)[0]
    assert excerpt(bundle, "table1").excerpt_of == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("table9",), r"no table 'table9' \(allowed: table1, table2, table3\)"),
        (("table1", ["who"]), r"no method 'who' \(allowed: alpha, beta, gamma\)"),
        (("table1", [], [24]), r"no code length '24' \(allowed: 16, 32, 64\)"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(make_bundle, arguments, sentence):
    with pytest.raises(HashbenchError, match=sentence):
        excerpt(make_bundle(3), *arguments)


def test_a_combination_that_was_not_run_is_refused(make_bundle):
    bundle = make_bundle(2)
    kept = tuple(run for run in bundle.records if (run.method, run.bits) != ("beta", 64))
    with pytest.raises(HashbenchError, match="no run is of these methods and code lengths"):
        excerpt(replace(bundle, records=kept), "table1", ["beta"], [64])
