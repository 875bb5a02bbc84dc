"""The figure of the search: what each method had reached after how many trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

from hashbench.report.figures.panels import Plot
from hashbench.report.figures.style import INK, MUTED, PALETTE, drawing, freeze, new_figure
from hashbench.search.trials import Fit, by_method, mean_map, of_trial

COLUMNS = 5


def best_so_far(fits: Sequence[Fit], titles: Mapping[str, str]) -> Plot:
    """Validation mAP of every finished trial of round 1, and the best so far, a panel a method."""
    methods = {name: reached(of_one) for name, of_one in by_method(fits).items()}
    columns = min(COLUMNS, len(methods))
    rows = -(-len(methods) // columns)
    with drawing():
        figure = new_figure(2.2 * columns + 0.4, 1.75 * rows + 0.5)
        panels = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
        for axes in panels[len(methods) :]:
            axes.set_axis_off()
        for axes, (method, found) in zip(panels, methods.items(), strict=False):
            trials, maps = [trial for trial, _, _ in found], [value for _, value, _ in found]
            axes.plot(trials, maps, "o", color=MUTED, ms=3)
            axes.step(trials, [best for _, _, best in found], where="post", color=PALETTE[1], lw=1.5)
            axes.set_title(titles[method], color=INK)
        figure.supxlabel("trial", fontsize=8)
        figure.supylabel("validation mAP", fontsize=8)
        freeze(figure)
    data: list[tuple[object, ...]] = [("method", "trial", "map", "best")]
    data += [(method, *point) for method, found in methods.items() for point in found]
    best = max(methods, key=lambda name: max((point[2] for point in methods[name]), default=0.0))
    return Plot(
        "best_so_far",
        "What the search had reached after how many trials",
        "Round 1 on one hold-out of the train rows: dots, trials that were not pruned; line, the best so far. The "
        "first trial is the official setting, the second the present one.",
        f"One panel a method with its best validation mAP by trial; {titles[best]} reaches most.",
        figure,
        data,
    )


def reached(fits: Sequence[Fit]) -> list[tuple[int, float, float]]:
    """Trial, its mAP, and the best mAP up to it, of every trial of round 1 that was brought to its end."""
    means = {trial: mean_map(of_one) for trial, of_one in sorted(of_trial(fits, 1).items())}
    finished = {trial: mean for trial, mean in means.items() if mean is not None}
    return list(zip(finished, finished.values(), accumulate(finished.values(), max), strict=True))
