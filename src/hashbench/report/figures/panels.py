"""What the figures share: a figure with its words and points, a grid of panels, a legend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hashbench.records import EvaluationSummary, RunRecord
from hashbench.report.figures.style import MUTED, Looks, new_figure, pdf_of, svg_of
from hashbench.report.frame import exact_mean
from hashbench.report.results import Results, Setting
from hashbench.report.tables.rendering import csv_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Plot:
    """A drawn figure. `caption` says how to read it, `alt` in words what it shows; `data` holds its points, the first
    line their names."""

    name: str
    title: str
    caption: str
    alt: str
    figure: Figure
    data: list[tuple[object, ...]]


def files_of(plot: Plot) -> dict[str, str | bytes]:
    """The files of a figure by name: as SVG, as PDF, and its points as CSV."""
    return {
        f"{plot.name}.svg": svg_of(plot.figure),
        f"{plot.name}.pdf": pdf_of(plot.figure),
        f"{plot.name}.csv": csv_text(plot.data),
    }


def mean_curve(runs: Sequence[RunRecord], values: Callable[[EvaluationSummary], Sequence[float]]) -> list[float]:
    """The mean over runs of a list that the evaluation of each holds, as long as the shortest of them."""
    return mean_of_lists([values(run.evaluation) for run in runs])


def mean_of_lists(lists: Sequence[Sequence[float]]) -> list[float]:
    """The mean of lists at each place, as long as the shortest of them."""
    return [exact_mean(column) for column in zip(*lists, strict=False)]


def grid(results: Results, height: float = 2.7) -> tuple[Figure, list[tuple[Setting, int, Axes]]]:
    """A panel for each setting (rows) and code length (columns)."""
    lengths = sorted({bits for setting in results.settings for bits in results.bits(setting)})
    rows, columns = len(results.settings), len(lengths)
    figure = new_figure(max(3.1 * columns, 4.5), height * rows + 0.7)
    axes = figure.subplots(rows, columns, squeeze=False, sharey="row")
    panels = []
    for row, setting in enumerate(results.settings):
        for column, bits in enumerate(lengths):
            axes[row, column].set_title(f"{results.setting_title(setting)}, {bits} bits")
            panels.append((setting, bits, axes[row, column]))
    return figure, panels


def log_axis(axes: Axes) -> None:
    """Make x logarithmic, with a plain number at each power of ten."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def legend(figure: Figure, results: Results, looks: Looks) -> None:
    """A legend of the coloured methods below the figure; the muted ones share one entry."""
    from matplotlib.lines import Line2D

    coloured = [method for method in looks if not looks[method].muted]
    handles = [
        Line2D([], [], color=looks[m].colour, lw=looks[m].width, ls=looks[m].line, label=results.title(m))
        for m in coloured
    ]
    others = len(looks) - len(coloured)
    if others:
        handles.append(Line2D([], [], color=MUTED, lw=0.9, label=f"{others} other method{'s'[: others > 1]}"))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 8))


def best_words(results: Results) -> str:
    """Which method without external text leads in each setting at the longest codes, for alternative texts."""
    words = []
    for setting in results.settings:
        bits = results.bits(setting)[-1]
        scores = {m: v for m in results.ranked if (v := results.mean(setting, m, bits, "map")) is not None}
        if not scores:
            continue
        best = max(scores, key=lambda method: scores[method])
        where = f"{results.setting_title(setting)} at {bits} bits"
        words.append(f"on {where} {results.title(best)} has the highest mAP, {scores[best]:.3f}")
    return "; ".join(words)


def coloured(results: Results, looks: Looks, setting: Setting) -> list[str]:
    """The coloured methods that ran with the longest codes of a setting."""
    bits = results.bits(setting)[-1]
    return [method for method, look in looks.items() if not look.muted and results.runs(setting, method, bits)]
