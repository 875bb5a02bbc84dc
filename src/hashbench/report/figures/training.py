"""The figure of training: how each method's loss falls, on an axis of its own."""

from __future__ import annotations

import numpy as np

from hashbench.report.figures.panels import Plot, mean_of_lists
from hashbench.report.figures.style import Looks, new_figure
from hashbench.report.results import Results, Setting


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
            runs = results.runs(setting, method, bits)
            values = mean_of_lists([run.fit.curves[name] for run in runs if name in run.fit.curves])
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
    names = [name for b in results.bits(setting) for run in results.runs(setting, method, b) for name in run.fit.curves]
    return "loss" if "loss" in names else next(iter(names), None)
