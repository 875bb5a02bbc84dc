"""Figures with a line or a point a method: quality against recall, rank and code length."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from hashbench.records import RunRecord
from hashbench.report.figures.labels import name_ends
from hashbench.report.figures.panels import Plot, best_words, grid, legend, log_axis, mean_curve
from hashbench.report.figures.style import Looks, new_figure
from hashbench.report.results import Results
from hashbench.report.tables.model import cell_of
from hashbench.report.tables.provenance import setting_map_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def _curve_panels(
    results: Results,
    looks: Looks,
    points: Callable[[Sequence[RunRecord]], tuple[Sequence[float], Sequence[float]]],
    x_name: str,
    y_name: str,
    log_x: bool,
) -> tuple[Figure, list[tuple[object, ...]]]:
    """One curve a method in each panel, mean over seeds."""
    figure, panels = grid(results)
    data: list[tuple[object, ...]] = [("dataset", "backbone", "bits", "method", x_name, y_name)]
    first = results.settings[0]
    for setting, bits, axes in panels:
        for method in looks:
            runs = results.runs(setting, method, bits)
            if not runs:
                continue
            look = looks[method]
            x, y = points(runs)
            axes.plot(x, y, color=look.colour, lw=look.width, ls="-" if look.muted else look.line, zorder=look.zorder)
            where = (setting.dataset, setting.backbone, bits, method)
            data += [(*where, a, b) for a, b in zip(x, y, strict=True) if math.isfinite(b)]
        if log_x:
            log_axis(axes)
        else:
            axes.set_xlim(0, 1)
        if setting == results.settings[-1]:
            axes.set_xlabel(x_name)
        if bits == min(results.bits(first)):
            axes.set_ylabel(y_name)
    legend(figure, results, looks)
    return figure, data


def precision_recall_by_radius(results: Results, looks: Looks) -> Plot:
    """Precision against recall of everything within Hamming radius 0, 1, ..., b."""
    figure, data = _curve_panels(
        results,
        looks,
        lambda runs: (mean_curve(runs, lambda r: r.radius_recall), mean_curve(runs, lambda r: r.radius_precision)),
        "recall",
        "precision",
        log_x=False,
    )
    alt = f"Precision-recall curves by Hamming radius, one panel a data set and code length; {best_words(results)}."
    return Plot(
        "pr_by_radius",
        "Precision and recall by Hamming radius",
        "Precision and recall of everything within Hamming radius 0, 1, 2 and so on; mean over queries and seeds.",
        alt,
        figure,
        data,
    )


def precision_recall_by_rank(results: Results, looks: Looks) -> Plot:
    """Precision against recall of the first items, with random order inside ties."""
    figure, data = _curve_panels(
        results,
        looks,
        lambda runs: (mean_curve(runs, lambda r: r.recall_at), mean_curve(runs, lambda r: r.precision_at)),
        "recall",
        "precision",
        log_x=False,
    )
    alt = f"Precision-recall curves by rank, one panel for each data set and code length; {best_words(results)}."
    return Plot(
        "pr_by_rank",
        "Precision and recall by rank",
        "Precision and recall of the first items, expected over random order inside ties; mean over queries and seeds.",
        alt,
        figure,
        data,
    )


def precision_at_rank(results: Results, looks: Looks) -> Plot:
    """Precision of the first k items against k."""
    figure, data = _curve_panels(
        results,
        looks,
        lambda runs: (runs[0].evaluation.ranks, mean_curve(runs, lambda r: r.precision_at)),
        "k",
        "precision@k",
        log_x=True,
    )
    alt = f"Precision of the first k items against k on a log axis; {best_words(results)}."
    return Plot(
        "precision_at_k",
        "Precision at k",
        "Expected precision of the first k items; mean over queries and seeds.",
        alt,
        figure,
        data,
    )


def map_by_bits(results: Results, looks: Looks) -> Plot:
    """mAP against code length with the standard deviation over seeds; every method is named at its line's end."""
    height = max(3.4, 0.135 * len(looks) + 1.2)
    figure = new_figure(4.4 * len(results.settings), height)
    panels = figure.subplots(1, len(results.settings), squeeze=False)[0]
    data: list[tuple[object, ...]] = [("dataset", "backbone", "method", "bits", "map", "spread")]
    for setting, axes in zip(results.settings, panels, strict=True):
        ends = {}
        lengths = results.bits(setting)
        for method, look in looks.items():
            cells = [cell_of(results, setting, method, bits, "mAP", "map") for bits in lengths]
            points = [(cell.bits, cell.value, cell.spread or 0.0) for cell in cells if cell.value is not None]
            if not points:
                continue
            x, y, error = zip(*points, strict=True)
            axes.errorbar(
                x, y, error, color=look.colour, lw=look.width, ls=look.line, marker=look.marker,
                ms=3 if look.muted else 5, elinewidth=0.9, capsize=2, zorder=look.zorder,
            )  # fmt: skip
            where = (setting.dataset, setting.backbone, method)
            data += [(*where, *point) for point in points]
            ends[method] = (x[-1], y[-1])
        _bits_axis(axes, lengths)
        axes.set_title(results.setting_title(setting))
        axes.set_ylabel(setting_map_name(results, setting))
        name_ends(axes, ends, results, looks, height)
    alt = f"mAP against code length with error bars over seeds; {best_words(results)}."
    return Plot(
        "map_by_bits", "mAP by code length", "Mean over seeds; bars: one standard deviation.", alt, figure, data
    )


def _bits_axis(axes: Axes, lengths: Sequence[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(lengths, [str(bits) for bits in lengths])
    axes.minorticks_off()
    axes.set_xlabel("bits")
    axes.set_xlim(lengths[0] / 1.12, lengths[-1] * 1.12)
