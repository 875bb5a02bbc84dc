"""The rows of a table that others submitted: below the rows that were reproduced, and never ranked among them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from hashbench.errors import HashbenchError
from hashbench.records import EvaluatedCell
from hashbench.report.bundle import Submission
from hashbench.report.frame import OverSeeds, exact_mean, sample_spread
from hashbench.report.results import Results, Setting
from hashbench.report.tables.model import Cell, Heading, Metric, Row, cell_from

HEADING = "Submitted: codes from others, evaluated here"
_NOTE = "Submitted: the codes of others, evaluated here on the same split by the same rules; not ranked."
_RULES = ("split", "split_digest", "n_query", "n_database", "n_train", "evaluator")
_MEASURES = ("k", "denominator", "empty")


def submitted_rows(
    results: Results,
    submissions: Sequence[Submission],
    group: str,
    columns: Sequence[tuple[str, int, Metric]],
) -> list[Row]:
    """A row for each method and backbone that has a run in one of the `columns`: (data set, bits, what is shown).

    A cell without a run is blank. Raises HashbenchError, which names both, where a submitted run follows other rules
    than the runs beside which it would stand.
    """
    rows = []
    for submission in submissions:
        for backbone in dict.fromkeys(run.backbone for run in submission.runs):
            runs = [run for run in submission.runs if run.backbone == backbone]
            cells = tuple(_cell(results, submission, backbone, runs, *column) for column in columns)
            if any(cell.value is not None for cell in cells):
                label = f"{submission.title} ({_backbone_title(results, backbone)}; submitted)"
                rows.append(Row(Heading(group, label), cells))
    return rows


def of_setting(results: Results, submissions: Sequence[Submission], setting: Setting) -> list[Submission]:
    """The submissions with their runs of a setting; runs of a backbone that nothing else was run on count to the first
    setting of their data set."""
    same_data = [each for each in results.settings if each.dataset == setting.dataset]
    known = {each.backbone for each in same_data}

    def is_here(backbone: str) -> bool:
        return backbone == setting.backbone or (setting == same_data[0] and backbone not in known)

    return [replace(each, runs=tuple(run for run in each.runs if is_here(run.backbone))) for each in submissions]


def submitted_notes(rows: Sequence[Row], submissions: Sequence[Submission]) -> tuple[str, ...]:
    """What a table says of the submitted rows among its own: what they are, and where each was published."""
    shown = {cell.method for row in rows for cell in row.cells if "submitted" in cell.marks}
    papers = [f"{each.title}: {each.paper}" for each in submissions if each.method in shown]
    return (_NOTE, *papers) if papers else ()


def _cell(
    results: Results,
    submission: Submission,
    backbone: str,
    runs: Sequence[EvaluatedCell],
    dataset: str,
    bits: int,
    metric: Metric,
) -> Cell:
    found = [run for run in runs if (run.dataset, run.bits) == (dataset, bits)]
    for run in found:
        _require_same_rules(results, submission.method, run)
    values = [_value(run, metric.column) for run in found]
    over = OverSeeds(exact_mean(values) if values else math.nan, sample_spread(values), len(values))
    cell = cell_from(over, Setting(dataset, backbone), submission.method, bits, metric.name, metric.format)
    return replace(cell, marks=("submitted",)) if found else cell


def _value(run: EvaluatedCell, column: str) -> float:
    """A number of a run by its column of the frame; NaN at a rank where it was not evaluated."""
    if column.startswith("precision_at_"):
        at = dict(zip(run.evaluation.ranks, run.evaluation.precision_at, strict=True))
        return at.get(int(column.rpartition("_")[2]), math.nan)
    measures = run.evaluation.measures
    return measures[column] if column in measures else float(getattr(run.evaluation, column))


def _require_same_rules(results: Results, method: str, run: EvaluatedCell) -> None:
    setting = next(setting for setting in results.settings if setting.dataset == run.dataset)
    other = results.any_run(setting)
    values = [(name, getattr(run, name), getattr(other, name)) for name in _RULES]
    values += [(name, getattr(run.evaluation, name), getattr(other.evaluation, name)) for name in _MEASURES]
    for name, submitted, reproduced in values:
        if submitted != reproduced:
            raise HashbenchError(
                f"the submission {method} on {run.dataset} has another {name} ({submitted}) than the runs of "
                f"{other.method} ({reproduced}), so they cannot stand in one table; evaluate it again by `hashbench "
                f"submit submissions/{method}`, or take the folder out"
            )


def _backbone_title(results: Results, backbone: str) -> str:
    known = {setting.backbone: results.backbone_title(setting) for setting in results.settings}
    return known.get(backbone, backbone)
