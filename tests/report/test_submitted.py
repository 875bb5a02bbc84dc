"""Rows that others submitted: below the reproduced ones, marked, unranked, by the same rules or not at all."""

from __future__ import annotations

import csv
from dataclasses import replace

import pytest

from hashbench.errors import HashbenchError
from hashbench.records import SubmittedRecord
from hashbench.report.build import tables_of
from hashbench.report.bundle import Submission
from hashbench.report.citing import bibtex
from hashbench.report.excerpt import excerpt
from hashbench.report.tables.rendering import RENDERERS, tidy_csv
from hashbench.report.tables.submitted import HEADING


@pytest.fixture
def submission(record):
    """`submission(n, **changes)`: a method with runs of two seeds on toys, with the numbers of the n-th method."""

    def make(number=0, bits=(16,), seeds=(0, 1), method="mine", **changes):
        runs = []
        for each in bits:
            for seed in seeds:
                run = record(number, "toys", each, seed, method=method, **changes)
                shared = {name: getattr(run, name) for name in SubmittedRecord.model_fields if name != "made_by"}
                runs.append(SubmittedRecord(**shared))
        return Submission(method, "My method", "A. Author, 2026", tuple(runs))

    return make


def submitted_of(table):
    return [row for row in table.rows if any("submitted" in cell.marks for cell in row.cells)]


def test_submitted_rows_come_last_and_change_nothing_above(make_bundle, submission):
    bundle = make_bundle(3)
    with_row = replace(bundle, submissions=(submission(),))
    for before, after in zip(tables_of(bundle)[:2], tables_of(with_row)[:2], strict=True):
        rows = submitted_of(after)
        assert len(rows) == 1
        assert tuple(row for row in after.rows if row not in rows) == before.rows
        for _, section in after.sections:
            kinds = [row in rows for row in section]
            assert kinds == sorted(kinds)
        assert all(set(cell.marks) <= {"submitted"} for row in rows for cell in row.cells)
        assert "My method: A. Author, 2026" in after.notes
        assert "My method: A. Author, 2026" not in before.notes
    assert tables_of(with_row)[0].rows[-1].heading.group == HEADING


def test_a_submitted_row_has_the_mean_over_its_seeds_and_blanks_where_nothing_was_run(make_bundle, submission):
    submitted = submission(2, bits=(16, 64), seeds=(0, 1, 2))
    (row,) = submitted_of(tables_of(replace(make_bundle(3), submissions=(submitted,)))[0])
    maps = [run.evaluation.map for run in submitted.runs if run.bits == 16]
    assert row.heading.label == "My method (Tiny ViT; submitted)"
    first, blank, last, *mosaics = row.cells
    assert first.value == pytest.approx(sum(maps) / 3)
    assert first.seeds == 3
    assert (blank.value, blank.printed, blank.marks) == (None, "–", ())
    assert last.value is not None
    assert [cell.value for cell in mosaics] == [None] * 3


def test_runs_on_another_backbone_stand_in_a_row_of_their_own(make_bundle, submission):
    both = submission()
    others = tuple(run.model_copy(update={"backbone": "net"}) for run in both.runs)
    first, second, _ = tables_of(replace(make_bundle(2), submissions=(replace(both, runs=(*both.runs, *others)),)))
    labels = ["My method (Tiny ViT; submitted)", "My method (net; submitted)"]
    assert [row.heading.label for row in submitted_of(first)] == labels
    assert [row.heading.label for row in submitted_of(second)] == labels


@pytest.mark.parametrize("ending", RENDERERS)
def test_every_format_says_that_a_row_was_submitted(make_bundle, submission, ending):
    for table in tables_of(replace(make_bundle(2), submissions=(submission(),)))[:2]:
        assert "submitted" in RENDERERS[ending](table)
    for line in csv.DictReader(tidy_csv(table).splitlines()):
        assert ("submitted" in line["marks"].split()) == (line["method"] == "mine" and bool(line["value"]))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"evaluator": "1" * 12}, "another evaluator \\(111111111111\\) than the runs of alpha \\(0e0e0e0e0e0e\\)"),
        ({"split_digest": "x"}, "another split_digest \\(x\\)"),
        ({"k": None}, "another k \\(None\\) than the runs of alpha \\(100\\)"),
        ({"empty": "nan"}, "another empty"),
        ({"denominator": "relevant"}, "another denominator"),
    ],
)
def test_other_rules_and_other_evaluators_are_refused_by_name(make_bundle, submission, changes, said):
    with pytest.raises(HashbenchError, match=f"the submission mine on toys has {said}"):
        tables_of(replace(make_bundle(2), submissions=(submission(**changes),)))


def test_evaluators_of_reproduced_runs_are_not_mixed_either(bundle_of, record):
    runs = [record(0, "toys", 16, 0), record(1, "toys", 16, 0, evaluator="1" * 12)]
    with pytest.raises(HashbenchError, match=r"differ in evaluator \(0e0e0e0e0e0e, 111111111111\)"):
        tables_of(bundle_of(runs))


def test_an_excerpt_has_the_submissions_that_it_names(make_bundle, submission):
    bundle = replace(make_bundle(3), submissions=(submission(), submission(1, method="theirs")))
    assert len(submitted_of(excerpt(bundle, "table1"))) == 2
    named = excerpt(bundle, "table1", ["beta", "mine"])
    assert list(named.methods) == ["beta", "mine"]
    assert submitted_of(excerpt(bundle, "table1", ["alpha"])) == []
    with pytest.raises(HashbenchError, match="mine were submitted: name a method beside them"):
        excerpt(bundle, "table1", ["mine"])


def test_a_table_with_submissions_can_be_cited(make_bundle, submission):
    bundle = replace(make_bundle(2), submissions=(submission(),))
    table = tables_of(bundle)[0]
    assert table.digest in bibtex(table, "tiny", "0.1.0", bundle.methods)
