"""Figures with a line or a point a method: quality against recall, rank, code length, training step and time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hashbench.report.labels import name_ends, name_points
from hashbench.report.panels import Plot, best_words, grid, legend, log_axis, mean_curve
from hashbench.report.provenance import map_name
from hashbench.report.results import Results, Setting, mean, spread
from hashbench.report.style import MUTED_TEXT, Looks, new_figure
from hashbench.types import RunRecord

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
            axes.plot(x, y, color=look.colour, lw=look.width, zorder=look.zorder)
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
        lambda runs: (runs[0].ranks, mean_curve(runs, lambda r: r.precision_at)),
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
            cells = [(bits, results.values(setting, method, bits, lambda r: r.map)) for bits in lengths]
            cells = [(bits, maps) for bits, maps in cells if maps]
            if not cells:
                continue
            x = [bits for bits, _ in cells]
            y = [mean(maps) for _, maps in cells]
            error = [spread(maps) or 0.0 for _, maps in cells]
            axes.errorbar(
                x, y, error, color=look.colour, lw=look.width, ls=look.line, marker=look.marker,
                ms=3 if look.muted else 5, elinewidth=0.9, capsize=2, zorder=look.zorder,
            )  # fmt: skip
            where = (setting.dataset, setting.backbone, method)
            data += [(*where, *point) for point in zip(x, y, error, strict=True)]
            ends[method] = (x[-1], y[-1])
        _bits_axis(axes, lengths)
        axes.set_title(results.setting_title(setting))
        axes.set_ylabel(map_name(results.any_run(setting).k))
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


def training_curves(results: Results, looks: Looks) -> Plot | None:
    """The loss of every method that reports one, by code length, mean over seeds; None where no method does."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex
    from matplotlib.lines import Line2D

    setting = results.settings[0]
    lengths = results.bits(setting)
    names = {m: n for m in looks if (n := _curve_name(results, setting, m)) is not None}
    if not names:
        return None
    columns = min(len(names), 5)
    rows = -(-len(names) // columns)
    figure = new_figure(2.2 * columns + 0.4, 1.75 * rows + 0.5)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    shades = [to_hex(shade) for shade in colormaps["Blues"](np.linspace(0.4, 1, len(lengths)))]
    data: list[tuple[object, ...]] = [("dataset", "backbone", "bits", "method", "curve", "step", "value")]
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    for axes, (method, name) in zip(panels, names.items(), strict=False):
        for bits, shade in zip(lengths, shades, strict=True):
            runs = [run for run in results.runs(setting, method, bits) if name in run.curves]
            values = mean_curve(runs, lambda run: run.curves[name])  # noqa: B023  (called at once)
            axes.plot(range(1, len(values) + 1), values, color=shade, lw=1.4)
            where = (setting.dataset, setting.backbone, bits, method, name)
            data += [(*where, step, value) for step, value in enumerate(values, start=1)]
        axes.set_title(results.title(method), color=looks[method].text)
        axes.set_ylabel(name.replace("_", " "), fontsize=7.5)
    handles = [Line2D([], [], color=c, label=f"{b} bits") for b, c in zip(lengths, shades, strict=True)]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    alt = f"Training curves on {results.setting_title(setting)}, one panel a method, one line a code length."
    return Plot(
        "training",
        f"Training curves on {results.setting_title(setting)}",
        "Mean over seeds, by step of the method's own log (epoch or iteration): the loss or, of several terms, the one "
        "that the method names first.",
        alt,
        figure,
        data,
    )


def _curve_name(results: Results, setting: Setting, method: str) -> str | None:
    """The curve to show of a method: its loss, or else the term that it names first."""
    names = [name for b in results.bits(setting) for run in results.runs(setting, method, b) for name in run.curves]
    return "loss" if "loss" in names else next(iter(names), None)


def time_and_quality(results: Results, looks: Looks) -> Plot:
    """mAP against the seconds of one fit at the longest codes; a line joins the methods that none beats in both."""
    width, height = 4.6, 3.6
    figure = new_figure(width * len(results.settings), height)
    panels = figure.subplots(1, len(results.settings), squeeze=False)[0]
    data: list[tuple[object, ...]] = [("dataset", "backbone", "bits", "method", "fit_seconds", "map")]
    for setting, axes in zip(results.settings, panels, strict=True):
        bits = results.bits(setting)[-1]
        points = {}
        for method, look in looks.items():
            if runs := results.runs(setting, method, bits):
                # A fit shorter than the clock's step still needs a place on a log axis.
                x, y = max(mean(run.seconds.fit for run in runs), 1e-3), mean(run.map for run in runs)
                axes.plot(
                    [x],
                    [y],
                    ls="",
                    marker=look.marker,
                    ms=5 if look.muted else 7,
                    color=look.colour,
                    zorder=look.zorder,
                )
                points[method] = (x, y)
                data.append((setting.dataset, setting.backbone, bits, method, x, y))
        _draw_front(axes, list(points.values()))
        log_axis(axes)
        axes.margins(0.12)
        axes.set_title(f"{results.setting_title(setting)}, {bits} bits")
        axes.set_xlabel("seconds of one fit")
        axes.set_ylabel(map_name(results.any_run(setting).k))
        name_points(axes, points, results, looks, (width - 0.9) * 72, (height - 0.9) * 72)
    alt = f"mAP against the time of one fit on a log axis; {best_words(results)}."
    return Plot(
        "time_quality",
        "Time and quality",
        "Dotted: the methods that no faster one beats. Seconds are those of the device named with the tables.",
        alt,
        figure,
        data,
    )


def _draw_front(axes: Axes, points: Sequence[tuple[float, float]]) -> None:
    front: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda p: (p[0], -p[1])):
        if not front or y > front[-1][1]:
            front.append((x, y))
    axes.step(*zip(*front, strict=True), where="post", color=MUTED_TEXT, lw=0.9, ls=":", zorder=1)
