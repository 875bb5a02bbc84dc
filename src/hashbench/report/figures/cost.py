"""The figure of what quality costs: mAP against the time of one fit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hashbench.records import Cell, CellSeconds
from hashbench.report.figures.labels import name_points
from hashbench.report.figures.panels import Plot, best_words, log_axis
from hashbench.report.figures.style import MUTED_TEXT, Looks, new_figure
from hashbench.report.frame import SeedStatistics, with_seconds
from hashbench.report.results import Results
from hashbench.report.tables.provenance import setting_map_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def time_and_quality(results: Results, looks: Looks, seconds: Mapping[Cell, CellSeconds]) -> Plot:
    """mAP against the seconds of one fit at the longest codes; a line joins the methods that none beats in both."""
    over_seeds = SeedStatistics(with_seconds(results.frame, seconds))
    width, height = 4.6, 3.6
    figure = new_figure(width * len(results.settings), height)
    panels = figure.subplots(1, len(results.settings), squeeze=False)[0]
    data: list[tuple[object, ...]] = [("dataset", "backbone", "bits", "method", "fit_seconds", "map")]
    for setting, axes in zip(results.settings, panels, strict=True):
        bits = results.bits(setting)[-1]
        points = {}
        for method, look in looks.items():
            where = (setting.dataset, setting.backbone, method, bits)
            x, y = (over_seeds.of(*where, column).mean for column in ("fit_seconds", "map"))
            if math.isfinite(x) and math.isfinite(y):
                x = max(x, 1e-3)  # a fit shorter than the clock's step still needs a place on a log axis
                size = 5 if look.muted else 7
                axes.plot([x], [y], ls="", marker=look.marker, ms=size, color=look.colour, zorder=look.zorder)
                points[method] = (x, y)
                data.append((setting.dataset, setting.backbone, bits, method, x, y))
        _draw_front(axes, list(points.values()))
        log_axis(axes)
        axes.margins(0.12)
        axes.set_title(f"{results.setting_title(setting)}, {bits} bits")
        axes.set_xlabel("seconds of one fit")
        axes.set_ylabel(setting_map_name(results, setting))
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
    if front:
        axes.step(*zip(*front, strict=True), where="post", color=MUTED_TEXT, lw=0.9, ls=":", zorder=1)
