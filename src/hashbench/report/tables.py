"""Tables as data: what they hold and which cells are marked. `rendering` turns them into text."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Literal

from hashbench.report.bundle import Ablation
from hashbench.report.results import Results, Setting, digest_of, mean, spread
from hashbench.types import Array, RunRecord

Mark = Literal["best", "second", "insignificant"]
SIGNIFICANCE_LEVEL = 0.05


@dataclass(frozen=True)
class Column:
    """`group` is the heading it shares with its neighbours; values are printed with `decimals` digits, and with their
    spread where `show_spread`. `prefer` says which values are the better ones, if any."""

    group: str
    label: str
    decimals: int = 3
    show_spread: bool = True
    prefer: Literal["higher", "lower", "none"] = "higher"


@dataclass(frozen=True)
class Cell:
    """A number and what it is the number of. `value`: mean over `seeds` runs, None where there is none; `spread`: their
    sample standard deviation."""

    dataset: str
    backbone: str
    method: str
    bits: int
    metric: str
    value: float | None
    spread: float | None
    seeds: int
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class Row:
    """A line of a table; rows of one `section` follow each other, and marks compare the rows of a section."""

    section: str
    label: str
    cells: tuple[Cell, ...]
    remark: str = ""


@dataclass(frozen=True)
class Table:
    """`name`: file name without its ending; `notes` explain the marks; `provenance` says what made the numbers."""

    name: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    provenance: tuple[str, ...]

    @cached_property
    def digest(self) -> str:
        """First 12 hex digits of the sha256 over everything the table says, numbers in full precision."""
        return digest_of(asdict(self))

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods in the table, in the order of their rows."""
        return tuple(dict.fromkeys(cell.method for row in self.rows for cell in row.cells))

    def sections(self) -> list[tuple[str, list[Row]]]:
        """The rows by section, in order."""
        names = dict.fromkeys(row.section for row in self.rows)
        return [(name, [row for row in self.rows if row.section == name]) for name in names]


@dataclass(frozen=True)
class Metric:
    """One number of a run and how a column shows it."""

    name: str
    of: Callable[[RunRecord], float]
    column: Column


def cell_of(
    results: Results, setting: Setting, method: str, bits: int, metric: str, of: Callable[[RunRecord], float]
) -> Cell:
    """Mean and spread over seeds of one number of a cell's runs."""
    values = results.values(setting, method, bits, of)
    finite = bool(values) and all(map(math.isfinite, values))
    value = mean(values) if finite else None
    return Cell(
        setting.dataset, setting.backbone, method, bits, metric, value, spread(values) if finite else None, len(values)
    )


def printed(cell: Cell, column: Column) -> str:
    """A cell's value as the table prints it, without spread."""
    return "–" if cell.value is None else f"{cell.value:,.{column.decimals}f}"


def marked(rows: Sequence[Row], columns: Sequence[Column]) -> list[Row]:
    """Mark the best and the second best value of each column of these rows, compared as printed, so that equal print
    bears equal marks. Columns without a preference, and columns of a single value, are left alone."""
    grid = [list(row.cells) for row in rows]
    for number, column in enumerate(columns):
        shown = [printed(row.cells[number], column) for row in rows]
        order = sorted(
            {float(text.replace(",", "")) for text in shown if text != "–"}, reverse=column.prefer == "higher"
        )
        if column.prefer == "none" or len(order) < 2:
            continue
        for line, text in zip(grid, shown, strict=True):
            value = math.nan if text == "–" else float(text.replace(",", ""))
            if value == order[0]:
                line[number] = replace(line[number], marks=("best",))
            elif value == order[1]:
                line[number] = replace(line[number], marks=("second",))
    return [replace(row, cells=tuple(line)) for row, line in zip(rows, grid, strict=True)]


def _with_significance(
    rows: Sequence[Row], number: int, ap: Callable[[Cell], Array], pvalue: Callable[[Array, Array], float]
) -> list[Row]:
    """Mark the best value of column `number` where its lead over the runner-up may be chance: where it shares the
    first place, or where the paired test gives p >= 0.05."""
    cells = [row.cells[number] for row in rows]
    best = [cell for cell in cells if "best" in cell.marks]
    second = [cell for cell in cells if "second" in cell.marks]
    if not best or (len(best) == 1 and not second):
        return list(rows)
    if len(best) == 1:
        runner_up = max(second, key=lambda cell: cell.value or 0.0)
        if pvalue(ap(best[0]), ap(runner_up)) < SIGNIFICANCE_LEVEL:
            return list(rows)
    unsure = {cell.method for cell in best}
    return [
        replace(row, cells=_replaced(row.cells, number, replace(cell, marks=(*cell.marks, "insignificant"))))
        if (cell := row.cells[number]).method in unsure
        else row
        for row in rows
    ]


def _replaced(cells: tuple[Cell, ...], number: int, cell: Cell) -> tuple[Cell, ...]:
    return (*cells[:number], cell, *cells[number + 1 :])


def map_name(k: int | None) -> str:
    """How mAP with this cutoff is called."""
    return "mAP" if k is None else f"mAP@{k}"


def backbone_sections(results: Results) -> list[tuple[str, list[Setting]]]:
    """The settings by backbone, each with its heading; no heading where there is one backbone only."""
    backbones = dict.fromkeys(setting.backbone for setting in results.settings)
    sections = []
    for backbone in backbones:
        settings = [setting for setting in results.settings if setting.backbone == backbone]
        heading = results.any_run(settings[0]).backbone_title if len(backbones) > 1 else ""
        sections.append((heading, settings))
    return sections


def table1(results: Results, pvalue: Callable[[Array, Array], float], profile: str) -> Table:
    """Table 1: mAP@k of every method by data set and code length, mean ± standard deviation over seeds.

    `pvalue(a, b)` compares the per-query AP (means over seeds) of the best method and the runner-up of a column.
    """
    datasets = dict.fromkeys(setting.dataset for setting in results.settings)
    lengths = {d: sorted({b for s in results.settings if s.dataset == d for b in results.bits(s)}) for d in datasets}
    runs = {d: next(results.any_run(s) for s in results.settings if s.dataset == d) for d in datasets}
    columns = tuple(
        Column(f"{runs[d].dataset_title}, {map_name(runs[d].k)}", f"{bits} bits")
        for d in datasets
        for bits in lengths[d]
    )
    rows: list[Row] = []
    for heading, settings in backbone_sections(results):
        by_dataset = {setting.dataset: setting for setting in settings}
        backbone = settings[0].backbone
        section = [
            Row(
                heading,
                results.title(method),
                tuple(
                    cell_of(
                        results,
                        by_dataset.get(d, Setting(d, backbone)),
                        method,
                        bits,
                        map_name(runs[d].k),
                        lambda r: r.map,
                    )
                    for d in datasets
                    for bits in lengths[d]
                ),
            )
            for method in results.ran
        ]
        section = marked([row for row in section if any(cell.value is not None for cell in row.cells)], columns)
        for number in range(len(columns)):
            section = _with_significance(
                section, number, lambda c: results.ap(Setting(c.dataset, c.backbone), c.method, c.bits), pvalue
            )
        rows += section
    return Table(
        "table1",
        "Table 1",
        "Mean average precision of unsupervised hashing methods, mean ± standard deviation over seeds.",
        columns,
        tuple(rows),
        (
            "Bold: best of its column; underlined: second best, compared as printed.",
            f"†: the lead over the runner-up is not significant "
            f"(paired bootstrap over queries, p ≥ {SIGNIFICANCE_LEVEL}).",
        ),
        provenance(results, results.settings, results.ran, profile),
    )


def _precision_at(rank: int) -> Callable[[RunRecord], float]:
    def value(run: RunRecord) -> float:
        return run.precision_at[run.ranks.index(rank)] if rank in run.ranks else math.nan

    return value


def _quality_metrics(ranks: Sequence[int]) -> list[Metric]:
    """The columns of Table 2."""
    precision = [Metric(f"precision@{rank}", _precision_at(rank), Column("Precision", f"at {rank}")) for rank in ranks]
    return [
        *precision,
        Metric("precision within radius 2", lambda r: r.precision_within_2, Column("Hamming radius ≤ 2", "precision")),
        Metric(
            "found nothing within radius 2",
            lambda r: r.found_nothing_within_2,
            Column("Hamming radius ≤ 2", "found nothing", prefer="lower"),
        ),
        Metric("mAP pessimistic", lambda r: r.map_pessimistic, Column("mAP by order inside ties", "worst")),
        Metric("mAP", lambda r: r.map, Column("mAP by order inside ties", "expected")),
        Metric("mAP optimistic", lambda r: r.map_optimistic, Column("mAP by order inside ties", "best", prefer="none")),
    ]


def table2(results: Results, profile: str, ranks: Sequence[int] = (100, 1000)) -> Table:
    """Table 2: precision at ranks and within radius 2, and how far the order inside ties moves mAP.

    Ranks that no run evaluated are left out.
    """
    evaluated = {rank for setting in results.settings for rank in results.any_run(setting).ranks}
    metrics = _quality_metrics([rank for rank in ranks if rank in evaluated])
    columns = tuple(metric.column for metric in metrics)
    rows: list[Row] = []
    for setting in results.settings:
        for bits in results.bits(setting):
            heading = f"{results.setting_title(setting)}, {bits} bits"
            section = [
                Row(
                    heading,
                    results.title(method),
                    tuple(cell_of(results, setting, method, bits, metric.name, metric.of) for metric in metrics),
                )
                for method in results.ran
                if results.runs(setting, method, bits)
            ]
            rows += marked(section, columns)
    return Table(
        "table2",
        "Table 2",
        "Precision at ranks and within Hamming radius 2, and the mAP of the worst, a random and the best order inside "
        "ties; mean ± standard deviation over seeds.",
        columns,
        tuple(rows),
        (
            "Bold: best of its column; underlined: second best, compared as printed.",
            "Found nothing: share of queries with no database item within radius 2; their precision counts 0.",
        ),
        provenance(results, results.settings, results.ran, profile),
    )


def _cost_metrics() -> list[Metric]:
    """The columns of Table 3, one of each for every code length."""

    def encoded_per_second(run: RunRecord) -> float:
        return (run.n_query + run.n_database) / run.seconds.encode if run.seconds.encode > 0 else math.nan

    def column(group: str, decimals: int) -> Column:
        return Column(group, "", decimals, show_spread=False, prefer="none")

    return [
        Metric("fit seconds", lambda r: r.seconds.fit, column("Fit, seconds", 2)),
        Metric("encoded images per second", encoded_per_second, column("Encode, images/s", 0)),
        Metric("code bytes", lambda r: float(-(-r.bits // 8)), column("Code, bytes", 0)),
        Metric("evaluate seconds", lambda r: r.seconds.evaluate, column("Evaluate, seconds", 2)),
    ]


def table3(results: Results, profile: str) -> Table:
    """Table 3: what each method costs; means over seeds."""
    lengths = sorted({bits for setting in results.settings for bits in results.bits(setting)})
    grid = [(metric, bits) for metric in _cost_metrics() for bits in lengths]
    rows = [
        Row(
            results.setting_title(setting),
            results.title(method),
            tuple(cell_of(results, setting, method, bits, metric.name, metric.of) for metric, bits in grid),
        )
        for setting in results.settings
        for method in results.ran
        if any(results.runs(setting, method, bits) for bits in lengths)
    ]
    return Table(
        "table3",
        "Table 3",
        "Cost: wall-clock seconds of one fit, images encoded per second from extracted features, bytes of one code, "
        "and seconds of one evaluation; means over seeds.",
        tuple(replace(metric.column, label=f"{bits} bits") for metric, bits in grid),
        tuple(rows),
        ("Times are those of the device named below, taken once per run; the CSV file holds their spread.",),
        provenance(results, results.settings, results.ran, profile),
    )


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
    """The ablation table: each base method and its variants, with what each changes; None where none was run."""
    grid = [(setting, bits) for setting in results.settings for bits in results.bits(setting)]
    columns = tuple(
        Column(f"{results.setting_title(s)}, {map_name(results.any_run(s).k)}", f"{bits} bits") for s, bits in grid
    )
    rows: list[Row] = []
    for ablation in ablations:
        section = []
        for method in (ablation.base, *ablation.variants):
            runs = [run for setting, bits in grid for run in results.runs(setting, method, bits)]
            if runs:
                base = next((r for s, b in grid for r in results.runs(s, ablation.base, b)), runs[0])
                cells = tuple(cell_of(results, s, method, b, map_name(runs[0].k), lambda r: r.map) for s, b in grid)
                heading = results.title(ablation.base)
                section.append(Row(heading, results.title(method), cells, changed_hyperparameters(base, runs[0])))
        rows += marked(section, columns) if len(section) > 1 else []
    if not rows:
        return None
    methods = tuple(dict.fromkeys(m for ablation in ablations for m in (ablation.base, *ablation.variants)))
    return Table(
        "ablation",
        "Ablation",
        "Variants that change one thing of a method, mAP, mean ± standard deviation over seeds.",
        columns,
        tuple(rows),
        ("Bold: best of its column among the variants of one method; underlined: second best, compared as printed.",),
        provenance(results, results.settings, methods, profile),
    )


def provenance(results: Results, settings: Sequence[Setting], methods: Sequence[str], profile: str) -> tuple[str, ...]:
    """What made the numbers of these settings and methods, one statement a line."""
    runs = [run for setting in settings for run in results.of_setting(setting, methods)]
    splits = {
        f"{run.dataset_title}: {run.split}, {run.n_query:,} query / {run.n_train:,} train / "
        f"{run.n_database:,} database, digest {run.split_digest}": None
        for run in (results.any_run(setting) for setting in settings)
    }
    rules = {f"{run.dataset_title}: {_rule(run)}": None for run in (results.any_run(s) for s in settings)}
    programs = sorted({run.program_digest for run in runs})
    program = programs[0] if len(programs) == 1 else f"{digest_of(programs)} over {len(programs)} programs"
    return (
        f"Profile: {profile}",
        f"Split: {'; '.join(splits)}",
        f"Backbone: {'; '.join(dict.fromkeys(results.any_run(s).backbone_title for s in settings))}",
        f"Measure: {'; '.join(rules)}",
        f"Ties: {'; '.join(sorted({run.ties for run in runs}))}",
        f"Seeds: {', '.join(map(str, sorted({run.seed for run in runs})))}",
        f"Versions: {_versions([run.versions for run in runs])}",
        f"Device: {'; '.join(sorted({run.device for run in runs}))}",
        f"Code and params: {program}",
    )


def _rule(run: RunRecord) -> str:
    empty = "count 0" if run.empty == "zero" else "are left out"
    return (
        f"{map_name(run.k)}, AP divided by {run.denominator.replace('_', ' ')}, queries without relevant items {empty}"
    )


def _versions(versions: Sequence[Mapping[str, str]]) -> str:
    names = sorted({name for found in versions for name in found})
    return ", ".join(f"{n} {' and '.join(sorted({found[n] for found in versions if n in found}))}" for n in names)
