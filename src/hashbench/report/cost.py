"""Table 3: what each method costs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace

from hashbench.report.provenance import provenance
from hashbench.report.results import Results, Setting, mean
from hashbench.report.tables import Column, Metric, Row, Table, cell_of
from hashbench.types import RunRecord


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
        (
            _median_fit(results, lengths),
            "Times are those of the device named below, taken once per run; the CSV file holds their spread.",
        ),
        provenance(results, results.settings, results.ran, profile),
    )


def _median_fit(results: Results, lengths: Sequence[int]) -> str:
    """How long the middle method takes to fit every code length once, in words."""

    def seconds(setting: Setting, method: str) -> float:
        fits = [results.values(setting, method, bits, lambda run: run.seconds.fit) for bits in lengths]
        return sum(map(mean, fits)) if all(fits) else math.nan

    words = []
    for setting in results.settings:
        sums = [total for method in results.ran if math.isfinite(total := seconds(setting, method))]
        if sums:
            median = f"{statistics.median(sums):.2f} s ({len(sums)} methods)"
            words.append(f"{results.setting_title(setting)} {median}")
    first, last = ", ".join(map(str, lengths[:-1])), lengths[-1]
    whole = f"all of {first} and {last}" if first else str(last)
    return f"Fitting {whole} bits once takes, as the median over methods: {'; '.join(words)}."
