"""What tuning does to the order of the methods: a line a method, from its official to its searched place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hashbench.report.figures.panels import Plot
from hashbench.report.figures.style import INK, MUTED, MUTED_TEXT, PALETTE, new_figure
from hashbench.report.frame import exact_mean
from hashbench.report.results import Results, Setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIDES = ("official", "searched")


def tuning(official: Results, searched: Results) -> Plot:
    """The methods by mean mAP over code lengths, with official settings on the left and searched ones on the right."""
    methods = [method for method in official.ranked if method in searched.ranked]
    maps = {setting: _maps(official, searched, setting, methods) for setting in official.settings}
    figure = new_figure(4.6 * len(maps), 1.0 + 0.21 * len(methods))
    panels = figure.subplots(1, len(maps), squeeze=False)[0]
    data: list[tuple[object, ...]] = [
        ("dataset", "backbone", "method", *(f"{side} {what}" for side in _SIDES for what in ("map", "rank")))
    ]
    for axes, (setting, of_setting) in zip(panels, maps.items(), strict=True):
        ranks = [_ranks({method: pair[side] for method, pair in of_setting.items()}) for side in (0, 1)]
        _draw(axes, official, of_setting, ranks)
        axes.set_title(official.setting_title(setting))
        for method in sorted(of_setting, key=ranks[1].__getitem__):
            pairs = [(value, rank[method]) for value, rank in zip(of_setting[method], ranks, strict=True)]
            data.append((setting.dataset, setting.backbone, method, *(each for pair in pairs for each in pair)))
    return Plot(
        "tuning",
        "What tuning does to the order",
        "Methods by mAP, mean over code lengths, best on top: left with their authors' settings, right with those that "
        "the search chose. Coloured: the methods under study.",
        f"A line for each of {len(methods)} methods from its place with official to that with searched settings.",
        figure,
        data,
    )


def _maps(
    official: Results, searched: Results, setting: Setting, methods: Sequence[str]
) -> dict[str, tuple[float, float]]:
    """Mean mAP over code lengths with official and with searched settings, of the methods that have all of them."""
    found = {}
    for method in methods:
        pair = [[each.mean(setting, method, b, "map") for b in each.bits(setting)] for each in (official, searched)]
        known = [[value for value in values if value is not None] for values in pair]
        if known == pair and all(known):
            found[method] = exact_mean(known[0]), exact_mean(known[1])
    return found


def _ranks(maps: Mapping[str, float]) -> dict[str, int]:
    """The place of each method, from 1; of equal ones in the order given."""
    return {method: place for place, method in enumerate(sorted(maps, key=lambda name: -maps[name]), start=1)}


def _draw(
    axes: Axes, results: Results, maps: Mapping[str, tuple[float, float]], ranks: Sequence[Mapping[str, int]]
) -> None:
    colours = dict(zip(results.under_study, PALETTE, strict=False))
    for method, pair in maps.items():
        ends = [rank[method] for rank in ranks]
        colour, is_named = colours.get(method, MUTED), method in colours
        axes.plot([0, 1], ends, color=colour, lw=2 if is_named else 1, marker="o", ms=3, zorder=3 if is_named else 2)
        for x, (place, value) in enumerate(zip(ends, pair, strict=True)):
            text = f"{results.title(method)} {value:.3f}" if x == 0 else f"{value:.3f} {results.title(method)}"
            offset, align = ((-0.05, "right"), (1.05, "left"))[x]
            axes.text(offset, place, text, ha=align, va="center", color=INK if is_named else MUTED_TEXT, fontsize=7)
    axes.set_xticks([0, 1], _SIDES)
    axes.set_yticks([])
    axes.set(xlim=(-1.1, 2.1), ylim=(len(maps) + 0.6, 0.4))
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
