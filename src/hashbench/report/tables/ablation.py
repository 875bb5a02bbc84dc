"""The ablation table: what each part of a method is worth."""

from __future__ import annotations

from collections.abc import Sequence

from hashbench.records import RunRecord
from hashbench.report.bundle import Ablation
from hashbench.report.results import Results
from hashbench.report.tables.model import Heading, Row, Table, cell_of, marked
from hashbench.report.tables.provenance import map_name, provenance, version_notes


def changed_hyperparameters(base: RunRecord, variant: RunRecord) -> str:
    """What a variant sets otherwise than its base, in words."""
    old, new = base.fit.hyperparameters, variant.fit.hyperparameters
    names = sorted(old.keys() | new.keys())
    return ", ".join(f"{name}: {old.get(name)} → {new.get(name)}" for name in names if old.get(name) != new.get(name))


def ablation_table(results: Results, ablations: Sequence[Ablation], profile: str) -> Table | None:
    """The ablation table: each base method, its variants with what each changes, and the controls; None where no
    variant was run."""
    grid = [(setting, bits) for setting in results.settings for bits in results.bits(setting)]
    names = {setting: map_name(results.any_run(setting).evaluation.k) for setting in results.settings}

    def first_run(method: str) -> RunRecord | None:
        return next((run for setting, bits in grid for run in results.runs(setting, method, bits)), None)

    def row(base: RunRecord, run: RunRecord) -> Row:
        cells = tuple(cell_of(results, s, run.method, bits, names[s], "map") for s, bits in grid)
        change = "control" if run.method in results.controls else changed_hyperparameters(base, run)
        heading = Heading(results.title(base.method), results.title(run.method), results.citation_key(run.method))
        return Row(heading, cells, change)

    rows: list[Row] = []
    for ablation in ablations:
        base = first_run(ablation.base)
        others = [run for method in (*ablation.variants, *results.controls) if (run := first_run(method)) is not None]
        if base is not None and others:
            rows += marked([row(base, run) for run in (base, *others)])
    if not rows:
        return None
    methods = tuple(dict.fromkeys(cell.method for row in rows for cell in row.cells))
    return Table(
        "ablation",
        "Ablation",
        "Variants that change one thing of a method, and the controls it must beat; mAP, mean ± standard deviation "
        "over seeds.",
        tuple(Heading(f"{results.setting_title(s)}, {names[s]}", f"{bits} bits") for s, bits in grid),
        tuple(rows),
        (
            "Bold: best among the rows of one method; underlined: second best, compared as printed.",
            *version_notes(results, methods),
        ),
        provenance(results, methods, profile),
    )
