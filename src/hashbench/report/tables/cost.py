"""Table 3: what each method costs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

from hashbench.records import Cell, CellSeconds
from hashbench.report.frame import SeedStatistics, with_seconds
from hashbench.report.results import Results, Setting
from hashbench.report.tables.model import Format, Heading, Metric, Row, Table, cell_from
from hashbench.report.tables.provenance import provenance, version_notes


def _metrics() -> list[Metric]:
    """The columns of Table 3, one of each for every code length."""

    def shown(decimals: int) -> Format:
        return Format(decimals, show_spread=False, prefer="none")

    return [
        Metric("fit seconds", "fit_seconds", Heading("Fit, seconds", ""), shown(2)),
        Metric("encoded images per second", "encoded_per_second", Heading("Encode, images/s", ""), shown(0)),
        Metric("code bytes", "code_bytes", Heading("Code, bytes", ""), shown(0)),
        Metric("evaluate seconds", "evaluate_seconds", Heading("Evaluate, seconds", ""), shown(2)),
    ]


def table3(results: Results, seconds: Mapping[Cell, CellSeconds], profile: str) -> Table:
    """Table 3: what each method costs; means over seeds."""
    over_seeds = SeedStatistics(with_seconds(results.frame, seconds))
    lengths = sorted({bits for setting in results.settings for bits in results.bits(setting)})
    grid = [(metric, bits) for metric in _metrics() for bits in lengths]

    def row(setting: Setting, method: str) -> Row:
        heading = Heading(results.setting_title(setting), results.title(method), results.citation_key(method))
        cells = (
            cell_from(
                over_seeds.of(setting.dataset, setting.backbone, method, bits, metric.column),
                setting, method, bits, metric.name, metric.format,
            )
            for metric, bits in grid
        )  # fmt: skip
        return Row(heading, tuple(cells))

    return Table(
        "table3",
        "Table 3",
        "Cost: wall-clock seconds of one fit, images encoded per second from extracted features, bytes of one code, "
        "and seconds of one evaluation; means over seeds.",
        tuple(replace(metric.heading, label=f"{bits} bits") for metric, bits in grid),
        tuple(
            row(setting, method)
            for setting in results.settings
            for method in results.ran
            if any(results.runs(setting, method, bits) for bits in lengths)
        ),
        (
            _median_fit(results, over_seeds, lengths),
            "Times are those of the device named below, taken once per run; the CSV file holds their spread.",
            *version_notes(results, results.ran),
        ),
        provenance(results, results.ran, profile),
    )


def _median_fit(results: Results, over_seeds: SeedStatistics, lengths: Sequence[int]) -> str:
    """How long the middle method takes to fit every code length once, in words."""

    def seconds(setting: Setting, method: str) -> float:
        where = (setting.dataset, setting.backbone, method)
        return sum(over_seeds.of(*where, bits, "fit_seconds").mean for bits in lengths)

    words = []
    for setting in results.settings:
        sums = [total for method in results.ran if math.isfinite(total := seconds(setting, method))]
        if sums:
            median = f"{statistics.median(sums):.2f} s ({len(sums)} methods)"
            words.append(f"{results.setting_title(setting)} {median}")
    first, last = ", ".join(map(str, lengths[:-1])), lengths[-1]
    whole = f"all of {first} and {last}" if first else str(last)
    return f"Fitting {whole} bits once takes, as the median over methods: {'; '.join(words)}."
