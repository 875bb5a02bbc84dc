"""The curves of codes from files, beside each other: precision and recall by rank and radius, and precision at k."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hashbench.report.figures.panels import Plot, log_axis, mean_of_lists
from hashbench.report.figures.style import LINES, PALETTE, new_figure


@dataclass(frozen=True)
class Curves:
    """What is drawn of one method: means over queries and repetitions.

    `precision_at`, `recall_at` at each of `ranks`; `radius_precision`, `radius_recall` within Hamming radius 0..b.
    """

    name: str
    ranks: Sequence[int]
    precision_at: Sequence[float]
    recall_at: Sequence[float]
    radius_precision: Sequence[float]
    radius_recall: Sequence[float]

    @classmethod
    def mean_of(cls, name: str, repetitions: Sequence[Curves]) -> Curves:
        """The mean of the curves of several repetitions at the ranks of the first; all have the same."""
        lists = [
            mean_of_lists([getattr(each, field) for each in repetitions])
            for field in ("precision_at", "recall_at", "radius_precision", "radius_recall")
        ]
        return cls(name, repetitions[0].ranks, *lists)


# Of each panel: its name in the data, its title, and the names of its axes.
_PANELS = (
    ("pr_by_rank", "By rank", "recall", "precision"),
    ("precision_at_k", "Precision at k", "k", "precision@k"),
    ("pr_by_radius", "By Hamming radius", "recall", "precision"),
)


def curves_of_files(methods: Sequence[Curves]) -> Plot:
    """Three panels with a line a method."""
    figure = new_figure(10.5, 3.4)
    data: list[tuple[object, ...]] = [("panel", "method", "x", "y")]
    for (name, title, x_name, y_name), axes in zip(_PANELS, figure.subplots(1, len(_PANELS)), strict=True):
        axes.set(title=title, xlabel=x_name, ylabel=y_name)
        for number, method in enumerate(methods):
            x, y = _points(method, name)
            lap, place = divmod(number, len(PALETTE))
            axes.plot(x, y, color=PALETTE[place], ls=LINES[lap % len(LINES)], lw=1.5, label=method.name)
            data += [(name, method.name, a, b) for a, b in zip(x, y, strict=True)]
        if name == "precision_at_k":
            log_axis(axes)
        else:
            axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=min(len(methods), 6))
    return Plot(
        "curves",
        "Precision and recall",
        "Precision and recall by rank, precision of the first k, and precision and recall within Hamming radius 0, 1, "
        "2 and so on; expected over random order inside ties, mean over queries and repetitions.",
        "Precision-recall curves by rank and by Hamming radius, and precision against k, of "
        f"{', '.join(method.name for method in methods)}.",
        figure,
        data,
    )


def _points(method: Curves, panel: str) -> tuple[Sequence[float], Sequence[float]]:
    if panel == "pr_by_rank":
        return method.recall_at, method.precision_at
    if panel == "precision_at_k":
        return method.ranks, method.precision_at
    return method.radius_recall, method.radius_precision
