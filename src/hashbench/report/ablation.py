"""The ablation table: what each part of a method is worth."""

from __future__ import annotations

from collections.abc import Sequence

from hashbench.report.bundle import Ablation
from hashbench.report.provenance import map_name, provenance
from hashbench.report.results import Results
from hashbench.report.tables import Column, Row, Table, cell_of, marked
from hashbench.types import RunRecord


def changed_hyperparameters(base: RunRecord, variant: RunRecord) -> str:
    """What a variant sets otherwise than its base, in words."""
    names = sorted(base.hyperparameters.keys() | variant.hyperparameters.keys())
    changes = []
    for name in names:
        old, new = base.hyperparameters.get(name), variant.hyperparameters.get(name)
        before, after = (None if old is None else old.value), (None if new is None else new.value)
        if before != after:
            changes.append(f"{name}: {before} → {after}")
    return ", ".join(changes)


def ablation_table(results: Results, ablations: Sequence[Ablation], profile: str) -> Table | None:
    """The ablation table: each base method, its variants with what each changes, and its controls; None where no
    variant was run."""
    grid = [(setting, bits) for setting in results.settings for bits in results.bits(setting)]
    columns = tuple(
        Column(f"{results.setting_title(s)}, {map_name(results.any_run(s).k)}", f"{bits} bits") for s, bits in grid
    )

    def runs_of(method: str) -> list[RunRecord]:
        return [run for setting, bits in grid for run in results.runs(setting, method, bits)]

    def row(ablation: Ablation, method: str) -> Row:
        base, run = runs_of(ablation.base)[0], runs_of(method)[0]
        cells = tuple(cell_of(results, s, method, b, map_name(run.k), lambda r: r.map) for s, b in grid)
        change = "control" if method in ablation.controls else changed_hyperparameters(base, run)
        return Row(results.title(ablation.base), results.title(method), cells, change)

    rows: list[Row] = []
    for ablation in ablations:
        ran = [m for m in (ablation.base, *ablation.variants, *ablation.controls) if runs_of(m)]
        if ablation.base in ran and len(ran) > 1:
            rows += marked([row(ablation, method) for method in ran], columns)
    if not rows:
        return None
    methods = tuple(dict.fromkeys(cell.method for row in rows for cell in row.cells))
    return Table(
        "ablation",
        "Ablation",
        "Variants that change one thing of a method, and the controls it must beat; mAP, mean ± standard deviation "
        "over seeds.",
        columns,
        tuple(rows),
        ("Bold: best of its column among the rows of one method; underlined: second best, compared as printed.",),
        provenance(results, results.settings, methods, profile),
    )
