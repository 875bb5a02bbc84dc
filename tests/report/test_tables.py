"""What the tables hold and which of their cells are marked."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashbench.report.ablation import ablation_table, changed_hyperparameters
from hashbench.report.bundle import Ablation
from hashbench.report.cost import table3
from hashbench.report.quality import table1, table2
from hashbench.report.results import Results
from hashbench.report.tables import Cell, Column, Row, marked
from hashbench.types import Hyperparameter


def rows_of(*values):
    return [Row("", f"m{i}", (Cell("d", "b", f"m{i}", 16, "mAP", v, None, 1),)) for i, v in enumerate(values)]


def marks_of(rows):
    return [row.cells[0].marks for row in rows]


def test_best_and_second_are_marked():
    rows = marked(rows_of(0.3, 0.5, None, 0.4), [Column("", "")])
    assert marks_of(rows) == [(), ("best",), (), ("second",)]


def test_values_that_print_alike_share_their_mark():
    rows = marked(rows_of(0.50012, 0.50031, 0.4, 0.40001, 0.1), [Column("", "")])
    assert marks_of(rows) == [("best",), ("best",), ("second",), ("second",), ()]


def test_lower_is_better_where_the_column_says_so():
    assert marks_of(marked(rows_of(0.3, 0.1), [Column("", "", prefer="lower")])) == [("second",), ("best",)]


@pytest.mark.parametrize("values", [(0.5,), (0.5, 0.5), (None, 0.5)])
def test_a_column_without_a_contest_is_not_marked(values):
    assert marks_of(marked(rows_of(*values), [Column("", "")])) == [()] * len(values)


def test_thousands_are_compared_as_numbers():
    rows = marked(rows_of(999.0, 12345.0, 1200.0), [Column("", "", decimals=0)])
    assert marks_of(rows) == [(), ("best",), ("second",)]


@given(st.lists(st.floats(0, 1), min_size=2, max_size=12))
def test_no_unmarked_value_is_better_than_a_marked_one(values):
    rows = marked(rows_of(*values), [Column("", "")])
    by_mark = {m: [r.cells[0].value for r in rows if r.cells[0].marks == m] for m in {r.cells[0].marks for r in rows}}
    best, second, rest = (by_mark.get(m, []) for m in (("best",), ("second",), ()))
    if best:
        assert min(best) >= max([*second, *rest]) - 1e-12
        assert min(second) >= max(rest, default=-1) - 1e-12
        assert max(best) - min(best) < 0.001


def test_table1_holds_mean_and_spread_of_each_cell(make_bundle, results_of):
    bundle = make_bundle(3)
    table = table1(results_of(bundle), bundle.paired_pvalue, "tiny")
    cells = {(c.method, c.dataset, c.bits): c for row in table.rows for c in row.cells}
    assert len(cells) == 3 * 2 * 3
    maps = [r.map for r in bundle.records if (r.method, r.dataset, r.bits) == ("beta", "mosaic", 32)]
    assert cells["beta", "mosaic", 32].value == pytest.approx(np.mean(maps))
    assert cells["beta", "mosaic", 32].spread == pytest.approx(np.std(maps, ddof=1))
    assert cells["beta", "mosaic", 32].seeds == 3


@pytest.mark.parametrize(("p", "dagger"), [(0.049, False), (0.05, True), (1.0, True)])
def test_the_dagger_says_that_the_lead_may_be_chance(make_bundle, results_of, p, dagger):
    compared = []

    def pvalue(a, b):
        compared.append((a.mean(), b.mean()))
        return p

    table = table1(results_of(make_bundle(4)), pvalue, "tiny")
    assert len(compared) == 6
    assert all(a > b for a, b in compared)  # the best against the runner-up
    for row in table.rows:
        for cell in row.cells:
            assert ("insignificant" in cell.marks) == (dagger and "best" in cell.marks)


def test_a_shared_first_place_is_never_significant(record):
    records = [record(n, ("toys", "Toys"), 16, 0, map=value) for n, value in enumerate((0.7, 0.7, 0.5))]
    results = Results(records, ("alpha", "beta", "gamma"), ("toys",), {})
    table = table1(results, lambda a, b: pytest.fail("nothing to test"), "tiny")
    assert marks_of(table.rows) == [("best", "insignificant")] * 2 + [("second",)]


def test_the_test_sees_the_same_queries_of_both_methods(make_bundle, results_of):
    def pvalue(a, b):
        assert a.shape == b.shape == (60,)
        assert not np.isnan(a).any()
        assert not np.isnan(b).any()
        return 0.0

    table1(results_of(make_bundle(2)), pvalue, "tiny")


def test_backbones_are_compared_apart(record):
    records = [
        record(n, ("toys", "Toys"), 16, 0, backbone=b, backbone_title=b.upper(), map=0.3 + 0.1 * n + shift)
        for n in range(2)
        for b, shift in (("small", 0.0), ("large", 0.4))
    ]
    ap = {(r.dataset, r.backbone, r.method, r.bits, r.seed): np.full(9, r.map) for r in records}
    table = table1(Results(records, ("alpha", "beta"), ("toys",), ap), lambda a, b: 0.0, "tiny")
    assert [(r.section, r.cells[0].marks) for r in table.rows] == [
        ("LARGE", ("second",)),
        ("LARGE", ("best",)),
        ("SMALL", ("second",)),
        ("SMALL", ("best",)),
    ]


def test_a_cell_that_was_not_run_is_empty(make_bundle, results_of):
    bundle = make_bundle(2)
    kept = tuple(r for r in bundle.records if (r.method, r.bits) != ("beta", 64))
    table = table1(results_of(replace(bundle, records=kept)), bundle.paired_pvalue, "tiny")
    assert [cell.value is None for cell in table.rows[1].cells] == [False, False, True] * 2


def test_table2_reports_bounds_and_empty_handed_queries(make_bundle, results_of):
    table = table2(results_of(make_bundle(2)), "tiny")
    assert [c.label for c in table.columns] == ["at 100", "precision", "found nothing", "worst", "expected", "best"]
    worst, expected, best = (table.rows[0].cells[i].value for i in (3, 4, 5))
    assert worst < expected < best
    found_nothing = [row.cells[2] for row in table.rows if row.label == "Beta_2"]
    assert all(cell.value == pytest.approx(0.01) and cell.marks == ("second",) for cell in found_nothing)


def test_table3_counts_bytes_and_speed(make_bundle, results_of):
    bundle = make_bundle(2)
    table = table3(results_of(bundle), "tiny")
    cells = {(c.metric, c.bits): c.value for c in table.rows[0].cells}
    assert [cells["code bytes", bits] for bits in (16, 32, 64)] == [2, 4, 8]
    assert cells["encoded images per second", 16] == pytest.approx(560 / 0.02)
    assert cells["fit seconds", 16] == pytest.approx(bundle.records[0].seconds.fit)
    assert not any(cell.marks for row in table.rows for cell in row.cells)


def test_table3_states_the_median_over_methods_of_the_time_for_all_code_lengths(make_bundle, results_of):
    bundle = make_bundle(5)
    results = results_of(bundle)
    setting = results.settings[0]
    seconds = [
        sum(np.mean([run.seconds.fit for run in results.runs(setting, method, bits)]) for bits in (16, 32, 64))
        for method in results.ran
    ]
    stated = f"once takes, as the median over methods: Toys {np.median(seconds):.2f} s (5 methods); Toy mosaic"
    assert f"Fitting all of 16, 32 and 64 bits {stated}" in table3(results, "tiny").notes[0]


def test_the_ablation_says_what_each_variant_changes(make_bundle, results_of):
    bundle = replace(make_bundle(3), methods=("alpha",))
    table = ablation_table(results_of(bundle), [Ablation("alpha", ("beta", "gamma"))], "tiny")
    assert [row.remark for row in table.rows] == ["", "layers: 0 → 1", "layers: 0 → 2"]
    assert {row.section for row in table.rows} == {"Alpha"}
    assert table.rows[0].cells[0].marks == ("best",)


def test_a_control_closes_each_section_of_the_ablation(make_bundle, results_of):
    results = results_of(replace(make_bundle(4), methods=("alpha", "delta")))
    ablations = [Ablation("alpha", ("beta",), ("delta",)), Ablation("gamma", (), ("delta",))]
    table = ablation_table(results, ablations, "tiny")
    assert [(row.section, row.label, row.remark) for row in table.rows] == [
        ("Alpha", "Alpha", ""),
        ("Alpha", "Beta_2", "layers: 0 → 1"),
        ("Alpha", "Delta", "control"),
        ("Gamma & Co", "Gamma & Co", ""),
        ("Gamma & Co", "Delta", "control"),
    ]
    assert "delta" in table.methods


def test_no_ablation_no_table(make_bundle, results_of):
    assert ablation_table(results_of(make_bundle(1)), [Ablation("none", ("nothing",))], "tiny") is None


def test_changes_name_added_and_dropped_hyperparameters(record):
    base = record(0, ("toys", "Toys"), 16, 0)
    variant = base.model_copy(update={"hyperparameters": {"new": Hyperparameter(value=True, source="ours")}})
    assert changed_hyperparameters(base, variant) == "layers: 0 → None, new: None → True, rate: 0.001 → None"


def test_provenance_names_everything_that_made_the_numbers(make_bundle, results_of):
    bundle = make_bundle(2)
    text = "\n".join(table1(results_of(bundle), bundle.paired_pvalue, "tiny").provenance)
    for word in ("tiny", "0123456789ab", "60 query / 200 train / 500 database", "Tiny ViT", "mAP@100", "random order",
                 "Seeds: 0, 1, 2", "numpy 2.3.0", "CPU", "2 programs", "relevant in top k", "count 0"):  # fmt: skip
        assert word in text


def test_the_digest_follows_every_digit_and_nothing_else(make_bundle, results_of):
    bundle = make_bundle(2)
    digest = table1(results_of(bundle), bundle.paired_pvalue, "tiny").digest
    shuffled = replace(bundle, records=bundle.records[::-1])
    assert table1(results_of(shuffled), bundle.paired_pvalue, "tiny").digest == digest
    first = bundle.records[0]
    changed = first.model_copy(update={"map": math.nextafter(first.map, 1) + 1e-12})
    altered = replace(bundle, records=(changed, *bundle.records[1:]))
    assert table1(results_of(altered), bundle.paired_pvalue, "tiny").digest != digest
