"""The ablation table: what each part of a method is worth, one change a row."""

from __future__ import annotations

from collections.abc import Sequence

from hashbench.records import RunRecord
from hashbench.report.bundle import Ablation, Variant
from hashbench.report.results import Results, Setting
from hashbench.report.tables.model import (
    Cell,
    Format,
    Heading,
    Mark,
    Row,
    Table,
    Tied,
    cell_of,
)
from hashbench.report.tables.provenance import map_name, provenance, version_notes

_DIFFERENCE = Format(signed=True, show_spread=False, prefer="none")
_MAP = Format(prefer="none")

Grid = Sequence[tuple[Setting, int]]


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
    grid = [(setting, bits) for setting in results.settings for bits in results.bits(setting)]
    labels = {variant.method: variant.label for ablation in ablations for variant in ablation.variants}
    rows = [
        row
        for ablation in ablations
        if any(_a_run(results, grid, variant.method) for variant in ablation.variants)
        for row in _rows(results, grid, ablation, labels, tied)
    ]
    if not rows:
        return None
    names = {setting: map_name(results.any_run(setting).evaluation.k) for setting in results.settings}
    methods = tuple(dict.fromkeys(cell.method for row in rows for cell in row.cells))
    return Table(
        "ablation",
        "Ablation",
        "Variants that change one thing of the row that they are compared with; mAP, mean ± standard deviation over "
        "seeds, and its difference from that row.",
        tuple(
            Heading(f"{results.setting_title(setting)}, {names[setting]}", label)
            for setting, bits in grid
            for label in (f"{bits} bits", "difference")
        ),
        tuple(rows),
        (
            "†: the two rows cannot be told apart (paired bootstrap over seeds and queries, two-sided, p ≥ 0.05).",
            *version_notes(results, methods),
        ),
        provenance(results, methods, profile),
        corner="Variant",
    )


def _a_run(results: Results, grid: Grid, method: str) -> RunRecord | None:
    return next((run for setting, bits in grid for run in results.runs(setting, method, bits)), None)


def _rows(
    results: Results,
    grid: Grid,
    ablation: Ablation,
    labels: dict[str, str],
    tied: Tied,
) -> list[Row]:
    """A method's own row, and one for each of its variants that was run."""
    title, key = results.title(ablation.base), results.citation_key(ablation.base)
    rows = [Row(Heading(title, title, key), _cells(results, grid, ablation.base, None, tied), "as in table 1")]
    for variant in ablation.variants:
        run, other = _a_run(results, grid, variant.method), _a_run(results, grid, variant.against)
        if run is not None:
            cells = _cells(results, grid, variant.method, variant.against, tied)
            name = labels.get(variant.against, results.title(variant.against))
            rows.append(Row(Heading(title, variant.label), cells, f"{_change(variant, run, other, title)} ({name})"))
    return rows


def _change(variant: Variant, run: RunRecord, other: RunRecord | None, title: str) -> str:
    if other is None or run.fit.hyperparameters.keys() != other.fit.hyperparameters.keys():
        return f"network and loss of {title}"
    return changed_hyperparameters(other, run)


def _cells(results: Results, grid: Grid, method: str, against: str | None, tied: Tied) -> tuple[Cell, ...]:
    """For each column of the grid mAP and its difference, marked where that is not significant."""
    cells: list[Cell] = []
    for setting, bits in grid:
        name = map_name(results.any_run(setting).evaluation.k)
        own = cell_of(results, setting, method, bits, name, "map", _MAP)
        other = None if against is None else cell_of(results, setting, against, bits, name, "map", _MAP).value
        difference: float | None = None
        marks: tuple[Mark, ...] = ()
        if own.value is not None and other is not None and against is not None:
            difference = own.value - other
            marks = ("insignificant",) if _are_tied(results, setting, bits, (method, against), tied) else ()
        metric = f"{name} difference"
        place = setting.dataset, setting.backbone, method, bits, metric
        cells += [own, Cell(*place, difference, None, own.seeds, _DIFFERENCE, marks)]
    return tuple(cells)


def _are_tied(results: Results, setting: Setting, bits: int, pair: tuple[str, str], tied: Tied) -> bool:
    return len(tied({method: results.ap_by_seed(setting, method, bits) for method in pair})) == 2
