"""The ablation table: what each part of a method is worth, one change a row."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from hashbench.records import RunRecord
from hashbench.report.bundle import Ablation, Variant
from hashbench.report.results import Results, Setting
from hashbench.report.tables.model import (
    DIFFERENCE_NOTE,
    PLAIN_MAP,
    Cell,
    Heading,
    Row,
    Table,
    Tied,
    cell_of,
    difference,
)
from hashbench.report.tables.provenance import provenance, setting_map_name, version_notes
from hashbench.types import Array


def changed_hyperparameters(base: RunRecord, variant: RunRecord) -> str:
    """What a variant sets otherwise than another run of the same method, in words."""
    old, new = base.fit.hyperparameters, variant.fit.hyperparameters
    names = sorted(old.keys() | new.keys())
    return ", ".join(f"{name}: {old.get(name)} → {new.get(name)}" for name in names if old.get(name) != new.get(name))


def ablation_table(results: Results, ablations: Sequence[Ablation], tied: Tied, profile: str) -> Table | None:
    """The ablation table: each base method and its variants with what each changes; None where no variant was run.

    For each data set and code length: mAP, and its difference from the row that the variant is compared with.
    `tied(ap)`: of two methods, each with its AP by repetition and query, those that tie with the better one.
    """
    labels = {variant.method: variant.label for ablation in ablations for variant in ablation.variants}
    rows = [
        row
        for ablation in ablations
        if any(_a_run(results, variant.method) for variant in ablation.variants)
        for row in _rows(results, ablation, labels, tied)
    ]
    if not rows:
        return None
    methods = tuple(dict.fromkeys(cell.method for row in rows for cell in row.cells))
    return Table(
        "ablation",
        "Ablation",
        "Variants that change one thing of the row that they are compared with; mAP, mean ± standard deviation over "
        "seeds, and its difference from that row.",
        tuple(
            Heading(f"{results.setting_title(setting)}, {setting_map_name(results, setting)}", label)
            for setting, bits in results.grid
            for label in (f"{bits} bits", "difference")
        ),
        tuple(rows),
        (
            DIFFERENCE_NOTE,
            *version_notes(results, methods),
        ),
        provenance(results, methods, profile),
        corner="Variant",
    )


def _a_run(results: Results, method: str) -> RunRecord | None:
    return next((run for setting, bits in results.grid for run in results.runs(setting, method, bits)), None)


def _rows(
    results: Results,
    ablation: Ablation,
    labels: dict[str, str],
    tied: Tied,
) -> list[Row]:
    """A method's own row, and one for each of its variants that was run."""
    title, key = results.title(ablation.base), results.citation_key(ablation.base)
    rows = [Row(Heading(title, title, key), _cells(results, ablation.base, None, tied), "as in table 1")]
    for variant in ablation.variants:
        run, other = _a_run(results, variant.method), _a_run(results, variant.against)
        if run is not None:
            cells = _cells(results, variant.method, variant.against, tied)
            name = labels.get(variant.against, results.title(variant.against))
            rows.append(Row(Heading(title, variant.label), cells, f"{_change(variant, run, other, title)} ({name})"))
    return rows


def _change(variant: Variant, run: RunRecord, other: RunRecord | None, title: str) -> str:
    if other is None or run.fit.hyperparameters.keys() != other.fit.hyperparameters.keys():
        return f"network and loss of {title}"
    return changed_hyperparameters(other, run)


def _cells(results: Results, method: str, against: str | None, tied: Tied) -> tuple[Cell, ...]:
    """For each column of the grid mAP and its difference, marked where that is not significant."""
    cells: list[Cell] = []
    for setting, bits in results.grid:
        name = setting_map_name(results, setting)
        pair = [method for method in (method, against) if method is not None]
        own, *other = (cell_of(results, setting, method, bits, name, "map", PLAIN_MAP) for method in pair)
        ap = partial(_ap, results, setting, bits, pair)
        cells += [own, difference(own, other[0] if other else None, ap, tied)]
    return tuple(cells)


def _ap(results: Results, setting: Setting, bits: int, methods: Sequence[str]) -> dict[str, Array]:
    return {method: results.ap_by_seed(setting, method, bits) for method in methods}
