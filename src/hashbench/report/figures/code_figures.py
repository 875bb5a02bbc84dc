"""Figures of the codes themselves: ties, distances, bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from hashbench.records import Cell
from hashbench.report.figures.panels import Plot, coloured, grid, mean_curve
from hashbench.report.figures.style import MUTED_TEXT, Look, Looks, by_quality, new_figure
from hashbench.report.results import Results, Setting
from hashbench.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RELEVANT, OTHER = "#0072B2", "#B4BAC2"


def tie_spread(results: Results, looks: Looks) -> Plot:
    """From the worst to the best order inside ties: how far mAP could be moved by the order of equal distances."""
    order = [method for method in by_quality(results) if method in looks][::-1]
    figure, panels = grid(results, height=0.15 * len(order) + 0.9)
    data: list[tuple[object, ...]] = [("dataset", "backbone", "bits", "method", "worst", "expected", "best")]
    for setting, bits, axes in panels:
        for y, method in enumerate(order):
            if not results.runs(setting, method, bits):
                continue
            where = (setting.dataset, setting.backbone, method, bits)
            columns = ("map_pessimistic", "map", "map_optimistic")
            worst, middle, best = (results.over_seeds.of(*where, column).mean for column in columns)
            look = looks[method]
            axes.plot([worst, best], [y, y], color=look.colour, lw=3 if look.muted else 4, alpha=0.55, zorder=2)
            axes.plot([middle], [y], color=look.text, marker="|", ms=7, mew=1.8, zorder=3)
            data.append((setting.dataset, setting.backbone, bits, method, worst, middle, best))
        axes.set_yticks(range(len(order)), [results.title(method) for method in order])
        axes.set_ylim(-0.7, len(order) - 0.3)
        axes.tick_params(axis="y", length=0)
        if setting == results.settings[-1]:
            axes.set_xlabel("mAP: worst | expected | best order")
    alt = "For each method the range of mAP between the worst and the best order inside ties, and the expected value."
    return Plot(
        "tie_spread",
        "How far the order inside ties moves mAP",
        "Bar: from the worst to the best order of items at equal distance; tick: expectation over random order.",
        alt,
        figure,
        data,
    )


def distance_histograms(results: Results, looks: Looks) -> Plot:
    """How the distances of relevant pairs and of other pairs lie, for the coloured methods."""
    rows = [(s, results.bits(s)[-1], coloured(results, looks, s)) for s in results.settings]
    columns = max(len(methods) for _, _, methods in rows)
    figure = new_figure(1.75 * columns, 1.75 * len(rows) + 0.6)
    panels = figure.subplots(len(rows), columns, squeeze=False)
    data: list[tuple[object, ...]] = [("dataset", "backbone", "bits", "method", "distance", "relevant", "other")]
    for line, (setting, bits, methods) in zip(panels, rows, strict=True):
        for axes in line[len(methods) :]:
            axes.set_axis_off()
        for axes, method in zip(line, methods, strict=False):
            runs = results.runs(setting, method, bits)
            shares = [
                _shares(mean_curve(runs, of)) for of in (lambda e: e.relevant_histogram, lambda e: e.other_histogram)
            ]
            for share, colour in zip(shares, (RELEVANT, OTHER), strict=True):
                axes.fill_between(range(bits + 1), share, step="mid", color=colour, alpha=0.45, lw=0)
                axes.step(range(bits + 1), share, where="mid", color=colour if colour == RELEVANT else MUTED_TEXT, lw=1)
            axes.set_title(results.title(method), color=looks[method].text)
            axes.set_yticks([])
            axes.set_ylim(bottom=0)
            where = (setting.dataset, setting.backbone, bits, method)
            data += [(*where, d, *pair) for d, pair in enumerate(zip(*shares, strict=True))]
        line[0].set_ylabel(_row_label(results, setting, bits, "share of pairs"))
    figure.supxlabel("Hamming distance", fontsize=8.5)
    _pair_legend(figure)
    alt = "Histograms of the Hamming distances of relevant pairs and of other pairs; the less they overlap, the better."
    return Plot(
        "distances",
        "Distances of relevant and other pairs",
        "Share of query-database pairs at each distance, of the relevant and of the other pairs; mean over seeds.",
        alt,
        figure,
        data,
    )


def _row_label(results: Results, setting: Setting, bits: int, axis: str) -> str:
    """What a row of panels shares, wrapped to the height of a small one."""
    return f"{fill(results.setting_title(setting), 16)}\n{bits} bits\n{axis}"


def _shares(counts: Sequence[float]) -> list[float]:
    total = sum(counts)
    return [count / total if total else 0.0 for count in counts]


def _pair_legend(figure: Figure) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=RELEVANT, alpha=0.55, label="relevant pairs"),
        Patch(facecolor=OTHER, alpha=0.55, edgecolor=MUTED_TEXT, label="other pairs"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)


def bit_usage(results: Results, looks: Looks, correlations: Mapping[Cell, Array]) -> Plot:
    """Share of ones of each bit, sorted, and below it the absolute correlation of each two bits of the first seed."""
    rows = [(s, results.bits(s)[-1], coloured(results, looks, s)) for s in results.settings]
    columns = max(len(methods) for _, _, methods in rows)
    figure = new_figure(1.75 * columns + 0.5, 2.85 * len(rows) + 0.6)
    panels = figure.subplots(2 * len(rows), columns, squeeze=False, height_ratios=[0.55, 1] * len(rows))
    data: list[tuple[object, ...]] = [("dataset", "backbone", "bits", "method", "bit", "share_of_ones")]
    image = None
    for number, (setting, bits, methods) in enumerate(rows):
        top, bottom = panels[2 * number], panels[2 * number + 1]
        for axes in (*top[len(methods) :], *bottom):
            axes.set_axis_off()
        for column, method in enumerate(methods):
            run = results.runs(setting, method, bits)[0]
            _draw_balance(top[column], run.evaluation.bit_balance, looks[method], results.title(method))
            where = (setting.dataset, setting.backbone, bits, method)
            data += [(*where, bit, share) for bit, share in enumerate(run.evaluation.bit_balance)]
            if (matrix := correlations.get(run.cell)) is not None:
                image = _draw_correlation(bottom[column], np.abs(matrix), run.evaluation.bit_correlation)
        for axes in top[1 : len(methods)]:
            axes.set_yticklabels([])
        top[0].set_ylabel(_row_label(results, setting, bits, "share of ones"))
    if image is not None:
        label = "absolute correlation of two bits"
        figure.colorbar(image, ax=panels, location="bottom", shrink=0.35, aspect=40, pad=0.02, label=label)
    alt = "For each coloured method the share of ones of its bits, ideally 0.5, and the correlation of bits, ideally 0."
    return Plot(
        "bit_usage",
        "Bit balance and correlation",
        "Bars: share of ones of each bit, sorted. Squares: absolute correlation of each two bits. First seed.",
        alt,
        figure,
        data,
    )


def _draw_balance(axes: Axes, balance: Sequence[float], look: Look, title: str) -> None:
    shares = sorted(balance)
    axes.axhline(0.5, color=MUTED_TEXT, lw=0.8, zorder=1)
    axes.bar(range(len(shares)), [s - 0.5 for s in shares], bottom=0.5, width=0.9, color=look.colour, zorder=2)
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.5, 1])
    axes.set_xticks([])
    axes.set_title(title, color=look.text)


def _draw_correlation(axes: Axes, matrix: Array, mean_correlation: float) -> Any:
    axes.set_axis_on()
    image = axes.imshow(matrix, cmap="cividis", vmin=0, vmax=1, interpolation="nearest")
    axes.grid(False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel(f"mean {mean_correlation:.2f}", fontsize=7.5)
    return image
