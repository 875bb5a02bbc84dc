"""Tables 1 and 2: how well each method retrieves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hashbench.report.bundle import Submission
from hashbench.report.results import Results, Setting
from hashbench.report.tables.model import (
    Cell,
    Format,
    Heading,
    Metric,
    Row,
    Table,
    Tied,
    cell_of,
    marked,
    with_tie,
)
from hashbench.report.tables.provenance import map_name, provenance, version_notes
from hashbench.report.tables.submitted import HEADING as SUBMITTED
from hashbench.report.tables.submitted import of_setting, submitted_notes, submitted_rows

MARKS_NOTE = "Bold: the best method; underlined: the second best; compared as printed."
TIE_NOTE = (
    "Bold: the best method of the column and every method that cannot be told from it (paired bootstrap over seeds and "
    "queries, two-sided, p ≥ 0.05 after Holm's correction for all comparisons in the column); underlined: the best of "
    "the others."
)
EXTERNAL_TEXT = "Told external text; not ranked with methods that learn from images alone"
ASYMMETRIC = "Asymmetric: real-valued queries against database bits; not comparable with Hamming distances"

Grid = Sequence[tuple[str, int]]  # data set, code length


def table1(
    results: Results,
    tied: Tied,
    profile: str,
    submissions: Sequence[Submission] = (),
) -> Table:
    """Table 1: mAP@k of every method by data set and code length, mean ± standard deviation over seeds.

    Methods that are told external text, and asymmetric rankings, stand in sections of their own below the others, and
    nothing marks them. `tied(ap)`: of the methods of a column, each with its AP by repetition and query, those that tie
    with the best.
    """
    grid = _dataset_grid(results)
    rows: list[Row] = []
    for heading, settings in _backbone_sections(results):
        section = _map_rows(results, heading, settings, grid, results.ranked)
        for number in range(len(grid)) if section else ():
            section = with_tie(
                section, number, lambda c: results.ap_by_seed(Setting(c.dataset, c.backbone), c.method, c.bits), tied
            )
        rows += section
        rows += _map_rows(results, _joined(heading, EXTERNAL_TEXT), settings, grid, results.external_text)
        rows += _asymmetric_rows(results, _joined(heading, ASYMMETRIC), settings, grid)
    submitted = submitted_rows(results, submissions, SUBMITTED, [_map_column(results, *each) for each in grid])
    return Table(
        "table1",
        "Table 1",
        "Mean average precision of unsupervised hashing methods, mean ± standard deviation over seeds.",
        tuple(_map_heading(results, dataset, bits) for dataset, bits in grid),
        (*rows, *submitted),
        (
            TIE_NOTE,
            *results.left_out,
            *submitted_notes(submitted, submissions),
            *version_notes(results, results.ran),
        ),
        provenance(results, results.ran, profile),
    )


def _map_rows(
    results: Results, group: str, settings: Sequence[Setting], grid: Grid, methods: Sequence[str]
) -> list[Row]:
    """The mAP of those of `methods` that were run on the backbone of these settings."""
    rows = [
        Row(_method_heading(results, group, method), _map_cells(results, settings, grid, method)) for method in methods
    ]
    return [row for row in rows if any(cell.value is not None for cell in row.cells)]


def _asymmetric_rows(results: Results, group: str, settings: Sequence[Setting], grid: Grid) -> list[Row]:
    """The mAP of rankings by real-valued queries, of the methods that give these."""
    rows = []
    for method in results.ran:
        cells = _map_cells(results, settings, grid, method, "asymmetric ", "asymmetric_map")
        if any(cell.value is not None for cell in cells):
            heading = _method_heading(results, group, method)
            rows.append(Row(replace(heading, label=f"{heading.label} (asymmetric)"), cells))
    return rows


def _joined(heading: str, section: str) -> str:
    return f"{heading}. {section}" if heading else section


def _dataset_grid(results: Results) -> list[tuple[str, int]]:
    """Each data set with each of its code lengths, on whichever backbone it was run."""
    datasets = dict.fromkeys(setting.dataset for setting in results.settings)
    lengths = {d: sorted({b for s in results.settings if s.dataset == d for b in results.bits(s)}) for d in datasets}
    return [(dataset, bits) for dataset in datasets for bits in lengths[dataset]]


def _map_column(results: Results, dataset: str, bits: int) -> tuple[str, int, Metric]:
    heading = _map_heading(results, dataset, bits)
    return dataset, bits, Metric(heading.group.rpartition(", ")[2], "map", heading)


def _map_heading(results: Results, dataset: str, bits: int) -> Heading:
    setting = next(setting for setting in results.settings if setting.dataset == dataset)
    name = map_name(results.any_run(setting).evaluation.k)
    return Heading(f"{results.dataset_title(setting)}, {name}", f"{bits} bits")


def _backbone_sections(results: Results) -> list[tuple[str, list[Setting]]]:
    """The settings by backbone, each with its heading; no heading where there is one backbone only."""
    backbones = dict.fromkeys(setting.backbone for setting in results.settings)
    by_backbone = [[s for s in results.settings if s.backbone == backbone] for backbone in backbones]
    return [(results.backbone_title(settings[0]) if len(backbones) > 1 else "", settings) for settings in by_backbone]


def _method_heading(results: Results, group: str, method: str) -> Heading:
    return Heading(group, results.title(method), results.citation_key(method))


def _map_cells(
    results: Results, settings: Sequence[Setting], grid: Grid, method: str, kind: str = "", column: str = "map"
) -> tuple[Cell, ...]:
    """A method's mAP, of a kind, in each column of the grid, on the backbone of these settings."""
    names = {s.dataset: f"{kind}{map_name(results.any_run(s).evaluation.k)}" for s in results.settings}
    backbone = settings[0].backbone
    return tuple(
        cell_of(results, Setting(dataset, backbone), method, bits, names[dataset], column) for dataset, bits in grid
    )


def _table2_metrics(ranks: Sequence[int]) -> list[Metric]:
    """The columns of Table 2."""
    radius, ties = "Hamming radius ≤ 2", "mAP by order inside ties"
    lower, neither = Format(prefer="lower"), Format(prefer="none")
    return [
        *(Metric(f"precision@{rank}", f"precision_at_{rank}", Heading("Precision", f"at {rank}")) for rank in ranks),
        Metric("precision within radius 2", "precision_within_2", Heading(radius, "precision")),
        Metric("found nothing within radius 2", "found_nothing_within_2", Heading(radius, "found nothing"), lower),
        Metric("mAP pessimistic", "map_pessimistic", Heading(ties, "worst")),
        Metric("mAP", "map", Heading(ties, "expected")),
        Metric("mAP optimistic", "map_optimistic", Heading(ties, "best"), neither),
    ]


def ranks_shown(results: Results) -> list[int]:
    """The last two powers of ten that were evaluated and are at most a tenth of every database: precision at a rank
    near the size of a database is the share of its items that are relevant, whatever the codes."""
    smallest = min(results.any_run(setting).n_database for setting in results.settings)
    powers = [10, 100, 1000, 10_000]
    return [rank for rank in powers if 10 * rank <= smallest and f"precision_at_{rank}" in results.frame][-2:]


def table2(results: Results, profile: str, submissions: Sequence[Submission] = ()) -> Table:
    """Table 2: precision at ranks and within radius 2, and how far the order inside ties moves mAP."""
    metrics = _table2_metrics(ranks_shown(results))
    rows: list[Row] = []
    for setting in results.settings:
        for bits in results.bits(setting):
            heading = f"{results.setting_title(setting)}, {bits} bits"
            rows += marked(_metric_rows(results, heading, setting, bits, results.ranked, metrics))
            told = _joined(heading, EXTERNAL_TEXT)
            rows += _metric_rows(results, told, setting, bits, results.external_text, metrics)
            columns = [(setting.dataset, bits, metric) for metric in metrics]
            rows += submitted_rows(results, of_setting(results, submissions, setting), heading, columns)
    return Table(
        "table2",
        "Table 2",
        "Precision at ranks and within Hamming radius 2, and the mAP of the worst, a random and the best order inside "
        "ties; mean ± standard deviation over seeds.",
        tuple(metric.heading for metric in metrics),
        tuple(rows),
        (
            MARKS_NOTE,
            "Found nothing: share of queries with no database item within radius 2; their precision counts 0.",
            *results.left_out,
            *submitted_notes(rows, submissions),
            *version_notes(results, results.ran),
        ),
        provenance(results, results.ran, profile),
    )


def _metric_rows(
    results: Results, group: str, setting: Setting, bits: int, methods: Sequence[str], metrics: Sequence[Metric]
) -> list[Row]:
    """A row of Table 2 for those of `methods` that were run in a setting."""
    return [
        Row(
            _method_heading(results, group, method),
            tuple(cell_of(results, setting, method, bits, m.name, m.column, m.format) for m in metrics),
        )
        for method in methods
        if results.runs(setting, method, bits)
    ]
