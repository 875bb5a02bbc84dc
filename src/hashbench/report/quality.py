"""Tables 1 and 2: how well each method retrieves."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from hashbench.report.provenance import map_name, provenance
from hashbench.report.results import Results, Setting
from hashbench.report.tables import SIGNIFICANCE_LEVEL, Column, Metric, Row, Table, cell_of, marked, with_significance
from hashbench.types import Array, RunRecord


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
            section = with_significance(
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
