"""Which methods cannot be told apart, column by column of Table 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from textwrap import fill
from typing import TYPE_CHECKING

from hashbench.report.figures.panels import Plot
from hashbench.report.figures.style import INK, new_figure
from hashbench.report.frame import exact_mean
from hashbench.report.results import Results, Setting
from hashbench.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SHADES = ("#0B4F7D", "#2F6F9E", "#7FB0D3", "#B5D1E6", "#DCE9F3", "#F3F7FB")  # the last one for all groups after it
_ON_DARK = 2  # shades on which white is easier to read


def rank_groups(results: Results, groups_of: Callable[[Mapping[str, Array]], Mapping[str, int]]) -> Plot:
    """The rank group of each method in each column, the methods with the best groups on top."""
    columns = results.grid
    groups = {column: groups_of(_ap(results, *column)) for column in columns}
    mean = {
        method: exact_mean([of_column[method] for of_column in groups.values() if method in of_column])
        for method in results.ranked
        if any(method in of_column for of_column in groups.values())
    }
    methods = sorted(mean, key=lambda method: mean[method])
    figure = new_figure(2.2 + 0.75 * len(columns), 1.1 + 0.2 * len(methods))
    axes = figure.subplots()
    for x, column in enumerate(columns):
        for y, method in enumerate(methods):
            if method in groups[column]:
                _cell(axes, x, y, groups[column][method])
    axes.set_yticks(range(len(methods)), [results.title(method) for method in methods], color=INK)
    axes.set_xticks(range(len(columns)), [f"{bits} bits" for _, bits in columns])
    for setting in results.settings:
        _heading(axes, results.setting_title(setting), [x for x, column in enumerate(columns) if column[0] == setting])
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(methods) - 0.5, -0.5))
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    first = sum(group == 1 for of_column in groups.values() for group in of_column.values())
    return Plot(
        "rank_groups",
        "Rank groups",
        "Group 1 are the methods that cannot be told from the best of the column, group 2 those that cannot be told "
        "from the best of the others, and so on, by the test of Table 1.",
        f"A table of {len(methods)} methods and {len(columns)} columns; {first} cells are of group 1, and "
        f"{results.title(methods[0])} has the best groups on average.",
        figure,
        [
            ("dataset", "backbone", "bits", "method", "group"),
            *(
                (setting.dataset, setting.backbone, bits, method, groups[setting, bits][method])
                for setting, bits in columns
                for method in methods
                if method in groups[setting, bits]
            ),
        ],
    )


def _ap(results: Results, setting: Setting, bits: int) -> dict[str, Array]:
    """AP by repetition and query of the methods that were run and are ranked."""
    ran = [method for method in results.ranked if results.runs(setting, method, bits)]
    return {method: results.ap_by_seed(setting, method, bits) for method in ran}


def _heading(axes: Axes, title: str, places: list[int]) -> None:
    """What the columns at `places` share, above their tick labels."""
    axes.annotate(
        fill(title, 11 * len(places)),
        (exact_mean(places), 1),
        (0, 16),
        xycoords=axes.get_xaxis_transform(),
        textcoords="offset points",
        ha="center",
        va="bottom",
        color=INK,
        weight="bold",
        annotation_clip=False,
    )


def _cell(axes: Axes, x: int, y: int, group: int) -> None:
    from matplotlib.patches import Rectangle

    shade = min(group, len(_SHADES)) - 1
    axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=_SHADES[shade], edgecolor="white", linewidth=1))
    axes.text(x, y, str(group), ha="center", va="center", color="white" if shade < _ON_DARK else INK)
