"""What the tables hold and which of their cells are marked."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from helpers import ablation
from hypothesis import given
from hypothesis import strategies as st

from hashbench.report.results import Results
from hashbench.report.tables.ablation import ablation_table, changed_hyperparameters
from hashbench.report.tables.cost import table3
from hashbench.report.tables.model import Cell, Format, Heading, Row, marked
from hashbench.report.tables.provenance import version_notes
from hashbench.report.tables.rendering import RENDERERS
from hashbench.report.tables.retrieval import table1, table2


def rows_of(*values, shown=Format()):  # noqa: B008  (frozen)
    cells = [Cell("d", "b", f"m{i}", 16, "mAP", v, None, 1, shown) for i, v in enumerate(values)]
    return [Row(Heading("", cell.method), (cell,)) for cell in cells]


def marks_of(rows):
    return [row.cells[0].marks for row in rows]


def test_best_and_second_are_marked():
    rows = marked(rows_of(0.3, 0.5, None, 0.4))
    assert marks_of(rows) == [(), ("best",), (), ("second",)]


def test_values_that_print_alike_share_their_mark():
    rows = marked(rows_of(0.50012, 0.50031, 0.4, 0.40001, 0.1))
    assert marks_of(rows) == [("best",), ("best",), ("second",), ("second",), ()]


def test_lower_is_better_where_the_column_says_so():
    assert marks_of(marked(rows_of(0.3, 0.1, shown=Format(prefer="lower")))) == [("second",), ("best",)]


@pytest.mark.parametrize("values", [(0.5,), (0.5, 0.5), (None, 0.5)])
def test_a_column_without_a_contest_is_not_marked(values):
    assert marks_of(marked(rows_of(*values))) == [()] * len(values)


def test_thousands_are_compared_as_numbers():
    rows = marked(rows_of(999.0, 12345.0, 1200.0, shown=Format(decimals=0)))
    assert marks_of(rows) == [(), ("best",), ("second",)]


@given(st.lists(st.floats(0, 1), min_size=2, max_size=12))
def test_no_unmarked_value_is_better_than_a_marked_one(values):
    rows = marked(rows_of(*values))
    by_mark = {m: [r.cells[0].value for r in rows if r.cells[0].marks == m] for m in {r.cells[0].marks for r in rows}}
    best, second, rest = (by_mark.get(m, []) for m in (("best",), ("second",), ()))
    if best:
        assert min(best) >= max([*second, *rest]) - 1e-12
        assert min(second) >= max(rest, default=-1) - 1e-12
        assert max(best) - min(best) < 0.001


def test_table1_holds_mean_and_spread_of_each_cell(make_bundle):
    bundle = make_bundle(3)
    table = table1(Results(bundle), bundle.tied, "tiny")
    cells = {(c.method, c.dataset, c.bits): c for row in table.rows for c in row.cells}
    assert len(cells) == 3 * 2 * 3
    maps = [r.evaluation.map for r in bundle.records if (r.method, r.dataset, r.bits) == ("beta", "mosaic", 32)]
    assert cells["beta", "mosaic", 32].value == pytest.approx(np.mean(maps))
    assert cells["beta", "mosaic", 32].spread == pytest.approx(np.std(maps, ddof=1))
    assert cells["beta", "mosaic", 32].seeds == 3


def test_the_whole_tie_is_bold_and_the_best_of_the_others_underlined(make_bundle):
    asked = []

    def tied(ap):
        asked.append(set(ap))
        return {"alpha", "gamma"}

    table = table1(Results(make_bundle(4)), tied, "tiny")
    assert asked == [{"alpha", "beta", "gamma", "delta"}] * 6
    marks = {row.cells[0].method: {cell.marks for cell in row.cells} for row in table.rows}
    others = [row.cells[0].value for row in table.rows if row.cells[0].method in ("beta", "delta")]
    assert marks["alpha"] == marks["gamma"] == {("best",)}
    second = "beta" if others[0] > others[1] else "delta"
    assert marks.pop(second) == {("second",)}
    assert marks.pop("delta" if second == "beta" else "beta") == {()}
    assert "after Holm's correction" in table.notes[0]


def test_where_all_tie_none_is_second(make_bundle):
    table = table1(Results(make_bundle(3)), set, "tiny")
    assert {cell.marks for row in table.rows for cell in row.cells} == {("best",)}


def test_a_method_alone_is_not_marked(make_bundle):
    table = table1(Results(make_bundle(1)), lambda ap: pytest.fail("nothing to test"), "tiny")
    assert {cell.marks for row in table.rows for cell in row.cells} == {()}


def test_the_test_sees_the_repetitions_and_the_same_queries_of_all_methods(make_bundle):
    bundle = make_bundle(2)
    means = []

    def tied(ap):
        assert {values.shape for values in ap.values()} == {(3, 60)}
        assert not any(np.isnan(values).any() for values in ap.values())
        means.append(ap["beta"].mean(axis=1))
        return set()

    table1(Results(bundle), tied, "tiny")
    runs = [r for r in bundle.records if (r.method, r.dataset, r.bits) == ("beta", bundle.records[0].dataset, 16)]
    assert means[0] == pytest.approx(
        [np.nan_to_num(bundle.ap[r.cell]).mean() for r in sorted(runs, key=lambda r: r.seed)]
    )


def test_backbones_are_compared_apart(record, bundle_of):
    records = [
        record(n, "toys", 16, 0, backbone=b, map=0.3 + 0.1 * n + shift)
        for n in range(2)
        for b, shift in (("small", 0.0), ("large", 0.4))
    ]
    ap = {r.cell: np.full(9, r.evaluation.map) for r in records}
    bundle = bundle_of(records, ap=ap, backbone_titles={"small": "SMALL", "large": "LARGE"})
    table = table1(Results(bundle), lambda ap: {max(ap, key=lambda name: ap[name].mean())}, "tiny")
    assert [(r.heading.group, r.cells[0].marks) for r in table.rows] == [
        ("LARGE", ("second",)),
        ("LARGE", ("best",)),
        ("SMALL", ("second",)),
        ("SMALL", ("best",)),
    ]


def test_a_cell_that_was_not_run_is_empty(make_bundle):
    bundle = make_bundle(2)
    kept = tuple(r for r in bundle.records if (r.method, r.bits) != ("beta", 64))
    table = table1(Results(replace(bundle, records=kept)), bundle.tied, "tiny")
    assert [cell.value is None for cell in table.rows[1].cells] == [False, False, True] * 2


def test_table2_reports_bounds_and_empty_handed_queries(make_bundle):
    table = table2(Results(make_bundle(2)), "tiny")
    assert [c.label for c in table.columns] == ["at 10", "precision", "found nothing", "worst", "expected", "best"]
    worst, expected, best = (table.rows[0].cells[i].value for i in (3, 4, 5))
    assert worst < expected < best
    found_nothing = [row.cells[2] for row in table.rows if row.heading.label == "Beta_2"]
    assert all(cell.value == pytest.approx(0.01) and cell.marks == ("second",) for cell in found_nothing)


def test_table3_counts_bytes_and_speed(make_bundle):
    bundle = make_bundle(2)
    table = table3(Results(bundle), bundle.seconds, "tiny")
    cells = {(c.metric, c.bits): c.value for c in table.rows[0].cells}
    assert [cells["code bytes", bits] for bits in (16, 32, 64)] == [2, 4, 8]
    assert cells["encoded images per second", 16] == pytest.approx(560 / 0.02)
    assert cells["fit seconds", 16] == pytest.approx(bundle.seconds[bundle.records[0].cell].fit)
    assert not any(cell.marks for row in table.rows for cell in row.cells)


def test_table3_states_the_median_over_methods_of_the_time_for_all_code_lengths(make_bundle):
    bundle = make_bundle(5)
    results = Results(bundle)
    setting = results.settings[0]

    def fit(method, bits):
        return np.mean([bundle.seconds[run.cell].fit for run in results.runs(setting, method, bits)])

    seconds = [sum(fit(method, bits) for bits in (16, 32, 64)) for method in results.ran]
    stated = f"once takes, as the median over methods: Toys {np.median(seconds):.2f} s (5 methods); Toy mosaic"
    assert f"Fitting all of 16, 32 and 64 bits {stated}" in table3(results, bundle.seconds, "tiny").notes[0]


def test_the_ablation_says_what_each_variant_changes(make_bundle):
    bundle = make_bundle(3)
    table = ablation_table(Results(bundle), [ablation("alpha", "beta", "gamma")], bundle.tied, "tiny")
    remarks = ["as in table 1", "layers: 0 → 1 (Alpha)", "layers: 0 → 2 (Alpha)"]
    assert [row.remark for row in table.rows] == remarks
    assert {row.heading.group for row in table.rows} == {"Alpha"}
    base, variant = table.rows[0].cells, table.rows[1].cells
    assert base[1].printed == "–"
    assert variant[1].value == pytest.approx(variant[0].value - base[0].value)
    assert variant[1].printed.startswith("-")


def test_a_difference_that_the_test_cannot_tell_is_marked(make_bundle):
    def of_beta(tied):
        table = ablation_table(Results(make_bundle(2)), [ablation("alpha", "beta")], tied, "tiny")
        return [cell.marks for cell in table.rows[1].cells[1::2]]

    assert set(of_beta(lambda ap: {*ap})) == {("insignificant",)}
    assert set(of_beta(lambda ap: {"alpha"})) == {()}


def test_a_method_without_variants_has_no_section_in_the_ablation(make_bundle):
    bundle = make_bundle(4)
    table = ablation_table(Results(bundle), [ablation("alpha", "beta"), ablation("gamma")], bundle.tied, "tiny")
    assert [(row.heading.group, row.heading.label, row.remark) for row in table.rows] == [
        ("Alpha", "Alpha", "as in table 1"),
        ("Alpha", "beta", "layers: 0 → 1 (Alpha)"),
    ]


def test_no_ablation_no_table(make_bundle):
    bundle = make_bundle(1)
    assert ablation_table(Results(bundle), [ablation("none", "nothing")], bundle.tied, "tiny") is None


def test_changes_name_added_and_dropped_hyperparameters(record, change):
    base = record(0, "toys", 16, 0)
    variant = change(base, hyperparameters={"new": True})
    assert changed_hyperparameters(base, variant) == "layers: 0 → None, new: None → True, rate: 0.001 → None"


def test_provenance_names_everything_that_made_the_numbers(make_bundle):
    bundle = make_bundle(2)
    text = "\n".join(table1(Results(bundle), bundle.tied, "tiny").provenance)
    for word in ("tiny", "0123456789ab", "60 query / 200 train / 500 database", "Tiny ViT", "mAP@100", "random order",
                 "Seeds: 0, 1, 2", "numpy 2.3.0", "Toy CPU (cpu, fp32)", "36 runs", "relevant in top k", "count 0",
                 "Evaluation code: 0e0e0e0e0e0e"):  # fmt: skip
        assert word in text


def test_versions_that_differ_are_told_in_one_line_with_how_many_runs_had_each(make_bundle, change):
    bundle = make_bundle(2)
    assert version_notes(Results(bundle), ("alpha", "beta")) == ()
    newer = change(bundle.records[0], versions={"numpy": "2.4.0", "torch": "2.11"})
    other = change(bundle.records[1], versions={"numpy": "2.4.0", "torch": "2.12", "faiss": "1.9"})
    results = Results(replace(bundle, records=(newer, other, *bundle.records[2:])))
    told = (
        "Made with different versions of numpy 2.3.0 (34 runs) and 2.4.0 (2 runs); "
        "torch 2.11 (35 runs) and 2.12 (1 run)."
    )
    assert version_notes(results, ("alpha", "beta")) == (told,)
    assert version_notes(results, ("beta",)) == ()
    tables = [
        table1(results, bundle.tied, "tiny"),
        table2(results, "tiny"),
        table3(results, bundle.seconds, "tiny"),
        ablation_table(results, [ablation("alpha", "beta")], bundle.tied, "tiny"),
    ]
    for table in tables:
        assert table.notes[-1] == told
        for ending in ("md", "html", "tex"):
            assert told in RENDERERS[ending](table)


def test_the_digest_follows_every_digit_and_nothing_else(make_bundle, change):
    bundle = make_bundle(2)
    digest = table1(Results(bundle), bundle.tied, "tiny").digest
    shuffled = replace(bundle, records=bundle.records[::-1])
    assert table1(Results(shuffled), bundle.tied, "tiny").digest == digest
    first = bundle.records[0]
    changed = change(first, map=math.nextafter(first.evaluation.map, 1) + 1e-12)
    altered = replace(bundle, records=(changed, *bundle.records[1:]))
    assert table1(Results(altered), bundle.tied, "tiny").digest != digest
