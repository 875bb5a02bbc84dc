"""Names written beside points and lines, where they hide each other least."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hashbench.report.results import Results, mean
from hashbench.report.style import MUTED, Looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_Box = tuple[float, float, float, float]


def name_ends(
    axes: Axes, ends: Mapping[str, tuple[float, float]], results: Results, looks: Looks, height: float
) -> None:
    """Write each method's name to the right of its last point, moved apart where names would overlap."""
    low, high = axes.get_ylim()
    gap = (high - low) * 0.135 / (height - 1.0)
    places = spread_out([y for _, y in ends.values()], gap)
    for (method, (x, y)), place in zip(ends.items(), places, strict=True):
        look = looks[method]
        axes.annotate(
            results.title(method),
            (x, y),
            (1.04, place),
            textcoords=axes.get_yaxis_transform(),
            va="center",
            fontsize=7.2,
            color=look.text,
            weight="bold" if look.width > 2 else "normal",
            arrowprops={"arrowstyle": "-", "color": look.colour, "lw": 0.5, "shrinkA": 1, "shrinkB": 3},
            annotation_clip=False,
        )


def spread_out(values: Sequence[float], gap: float) -> list[float]:
    """Positions near `values` in the same order, at least `gap` apart, keeping the middle of each crowd in place."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    groups: list[tuple[list[int], float]] = []  # members from below, and the place of the lowest
    for index in order:
        members, low = [index], values[index]
        while groups and groups[-1][1] + gap * len(groups[-1][0]) > low:
            members = groups.pop()[0] + members
            low = mean(values[i] for i in members) - gap * (len(members) - 1) / 2
        groups.append((members, low))
    placed = [0.0] * len(values)
    for members, low in groups:
        for step, index in enumerate(members):
            placed[index] = low + gap * step
    return placed


def name_points(
    axes: Axes, points: Mapping[str, tuple[float, float]], results: Results, looks: Looks, width: float, height: float
) -> None:
    """Write each name beside its point at the first of several places where it hides no other; sizes in points."""
    axes.autoscale_view()
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    spots = {
        method: (math.log(x / left) / math.log(right / left) * width, (y - low) / (high - low) * height)
        for method, (x, y) in points.items()
    }
    taken = [(x - 3, y - 3, x + 3, y + 3) for x, y in spots.values()]
    offsets = [(side, 9 * step) for step in (0, 1, -1, 2, -2, 3, -3, 4, -4) for side in (1, -1)]
    for method, (x, y) in spots.items():
        long = 4.4 * len(results.title(method))
        boxes = [
            (x + 6 if side > 0 else x - 6 - long, y + up - 4, x + 6 + long if side > 0 else x - 6, y + up + 4)
            for side, up in offsets
        ]
        hidden = [sum(_overlap(box, other) for other in taken) + _outside(box, width) for box in boxes]
        choice = min(range(len(boxes)), key=lambda i: (hidden[i] > 0, hidden[i], i))
        taken.append(boxes[choice])
        side, up = offsets[choice]
        axes.annotate(
            results.title(method), points[method], (6 * side, up), textcoords="offset points", fontsize=7,
            ha="left" if side > 0 else "right", va="center", color=looks[method].text,
            weight="bold" if looks[method].width > 2 else "normal",
            arrowprops={"arrowstyle": "-", "color": MUTED, "lw": 0.6, "shrinkA": 0, "shrinkB": 3} if up else None,
        )  # fmt: skip


def _overlap(a: _Box, b: _Box) -> float:
    """The area that two boxes share."""
    wide, tall = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(wide, 0) * max(tall, 0)


def _outside(box: _Box, width: float) -> float:
    """How far a box sticks out of the panel sideways, weighted as the area of a line of text."""
    return 8 * (max(-box[0], 0) + max(box[2] - width, 0))
