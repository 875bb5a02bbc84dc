"""Tables 1 and 2: how well each method retrieves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set

from hashbench.report.results import Results, Setting
from hashbench.report.tables.model import (
    Cell,
    Format,
    Heading,
    Metric,
    Row,
    Table,
    cell_of,
    marked,
    with_tie,
)
from hashbench.report.tables.provenance import map_name, provenance, version_notes
from hashbench.types import Array

MARKS_NOTE = "Bold: the best method; underlined: the second best; compared as printed."
TIE_NOTE = (
    "Bold: the best method of the column and every method that cannot be told from it (paired bootstrap over seeds and "
    "queries, two-sided, p ≥ 0.05 after Holm's correction for all comparisons in the column); underlined: the best of "
    "the others."
)


def table1(results: Results, tied: Callable[[Mapping[str, Array]], Set[str]], profile: str) -> Table:
    """Table 1: mAP@k of every method by data set and code length, mean ± standard deviation over seeds.

    `tied(ap)`: of the methods of a column, each with its AP by repetition and query, those that tie with the best.
    """
    grid = _dataset_grid(results)
    rows: list[Row] = []
    for heading, settings in _backbone_sections(results):
        section = [
            Row(_method_heading(results, heading, method), _map_cells(results, settings, grid, method))
            for method in results.ran
        ]
        section = [row for row in section if any(cell.value is not None for cell in row.cells)]
        for number in range(len(grid)):
            section = with_tie(
                section, number, lambda c: results.ap_by_seed(Setting(c.dataset, c.backbone), c.method, c.bits), tied
            )
        rows += section
    return Table(
        "table1",
        "Table 1",
        "Mean average precision of unsupervised hashing methods, mean ± standard deviation over seeds.",
        tuple(_map_heading(results, dataset, bits) for dataset, bits in grid),
        tuple(rows),
        (
            TIE_NOTE,
            *version_notes(results, results.ran),
        ),
        provenance(results, results.ran, profile),
    )


def _dataset_grid(results: Results) -> list[tuple[str, int]]:
    """Each data set with each of its code lengths, on whichever backbone it was run."""
    datasets = dict.fromkeys(setting.dataset for setting in results.settings)
    lengths = {d: sorted({b for s in results.settings if s.dataset == d for b in results.bits(s)}) for d in datasets}
    return [(dataset, bits) for dataset in datasets for bits in lengths[dataset]]


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
    results: Results, settings: Sequence[Setting], grid: Sequence[tuple[str, int]], method: str
) -> tuple[Cell, ...]:
    """A method's mAP in each column of the grid, on the backbone of these settings."""
    names = {s.dataset: map_name(results.any_run(s).evaluation.k) for s in results.settings}
    backbone = settings[0].backbone
    return tuple(
        cell_of(results, Setting(dataset, backbone), method, bits, names[dataset], "map") for dataset, bits in grid
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


def table2(results: Results, profile: str, ranks: Sequence[int] = (100, 1000)) -> Table:
    """Table 2: precision at ranks and within radius 2, and how far the order inside ties moves mAP.

    Ranks that no run evaluated are left out.
    """
    metrics = _table2_metrics([rank for rank in ranks if f"precision_at_{rank}" in results.frame])
    rows: list[Row] = []
    for setting in results.settings:
        for bits in results.bits(setting):
            heading = f"{results.setting_title(setting)}, {bits} bits"
            section = [
                Row(
                    _method_heading(results, heading, method),
                    tuple(cell_of(results, setting, method, bits, m.name, m.column, m.format) for m in metrics),
                )
                for method in results.ran
                if results.runs(setting, method, bits)
            ]
            rows += marked(section)
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
            *version_notes(results, results.ran),
        ),
        provenance(results, results.ran, profile),
    )
