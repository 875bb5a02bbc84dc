"""Names written beside points and lines, where they hide each other least."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hashbench.report.figures.style import MUTED, Looks
from hashbench.report.frame import exact_mean
from hashbench.report.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_Box = tuple[float, float, float, float]


def name_ends(
    axes: Axes, ends: Mapping[str, tuple[float, float]], results: Results, looks: Looks, height: float
) -> None:
    """Write each method's name to the right of its last point, moved apart where names would overlap."""
    low, high = axes.get_ylim()
    gap = (high - low) * 0.135 / (height - 1.0)
    places = spread_out([y for _, y in ends.values()], gap, low, high)
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
            arrowprops={
                "arrowstyle": "-",
                "color": look.colour,
                "lw": 0.5,
                "shrinkA": 0,
                "shrinkB": 3,
                "relpos": (0, 0.5),
            },
            annotation_clip=False,
        )


def spread_out(values: Sequence[float], gap: float, lowest: float, highest: float) -> list[float]:
    """Positions near `values` in the same order, at least `gap` apart, keeping the middle of each crowd in place.

    They lie between `lowest` and `highest` as far as there is room; what there is no room for goes beyond `highest`.
    """

    def start_of(members: Sequence[int]) -> float:
        wide = gap * (len(members) - 1)
        return max(min(exact_mean(values[i] for i in members) - wide / 2, highest - wide), lowest)

    order = sorted(range(len(values)), key=lambda i: values[i])
    groups: list[tuple[list[int], float]] = []  # members from below, and the place of the lowest
    for index in order:
        members = [index]
        low = start_of(members)
        while groups and groups[-1][1] + gap * len(groups[-1][0]) > low:
            members = groups.pop()[0] + members
            low = start_of(members)
        groups.append((members, low))
    placed = [0.0] * len(values)
    for members, low in groups:
        for step, index in enumerate(members):
            placed[index] = low + gap * step
    return placed


def name_points(
    axes: Axes, points: Mapping[str, tuple[float, float]], results: Results, looks: Looks, width: float, height: float
) -> None:
    """Write each name near its point, on a log x axis, where it hides neither points nor names; sizes in points."""
    from matplotlib.patheffects import withStroke

    axes.autoscale_view()
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    spots = {
        method: (math.log(x / left) / math.log(right / left) * width, (y - low) / (high - low) * height)
        for method, (x, y) in points.items()
    }
    sizes = {method: (4.5 * len(results.title(method)), 8.5) for method in points}
    offsets = place_names(spots, sizes, width, height)
    halo = [withStroke(linewidth=2, foreground="white")]  # so that a name can be read where a line runs behind it
    for method, (across, up) in offsets.items():
        far = abs(up) > _NEAR or abs(across) > _NEAR
        axes.annotate(
            results.title(method), points[method], (across, up), textcoords="offset points", fontsize=7,
            ha="left" if across > 0 else "right" if across < 0 else "center", va="center", color=looks[method].text,
            weight="bold" if looks[method].width > 2 else "normal", path_effects=halo, zorder=6,
            arrowprops={"arrowstyle": "-", "color": MUTED, "lw": 0.6, "shrinkA": 0, "shrinkB": 3} if far else None,
        )  # fmt: skip


_NEAR = 11  # points: a name no farther from its mark needs no line to it
_OFFSETS: Sequence[tuple[float, float]] = [(9, 0), (-9, 0), (0, 10), (0, -10), (8, 8), (-8, 8), (8, -8), (-8, -8)] + [
    (side * across, up)
    for ring in (1, 2, 3, 4)
    for up in (0, 10 * ring, -10 * ring, 5 * ring, -5 * ring)
    for across in (9 + 6 * ring, 2 * ring)
    for side in (1, -1)
    if up or across > 10
]


def place_names(
    spots: Mapping[str, tuple[float, float]], sizes: Mapping[str, tuple[float, float]], width: float, height: float
) -> dict[str, tuple[float, float]]:
    """For each mark at (x, y) the offset of its name of (width, height), so that names hide marks, names and lines to
    names as little as can be found by moving one after the other, nearest offsets first."""
    marks = {name: (x - 5, y - 5, x + 5, y + 5) for name, (x, y) in spots.items()}
    chosen: dict[str, tuple[float, float]] = dict.fromkeys(spots, _OFFSETS[0])

    def cost(name: str, offset: tuple[float, float]) -> float:
        box = _box(spots[name], sizes[name], offset)
        others = [other for other in spots if other != name]
        hidden = sum(_overlap(box, mark) for mark in marks.values())
        hidden += sum(_overlap(box, _box(spots[other], sizes[other], chosen[other])) for other in others)
        struck = sum(_crosses(spots[other], chosen[other], box) for other in others)
        struck += sum(_crosses(spots[name], offset, marks[other]) for other in others)
        return hidden + 20 * struck + 4 * _outside(box, width, height) + 0.4 * math.hypot(*offset)

    for _ in range(4):
        for name in spots:
            chosen[name] = min(_OFFSETS, key=lambda offset: cost(name, offset))
    return chosen


def _box(spot: tuple[float, float], size: tuple[float, float], offset: tuple[float, float]) -> _Box:
    """Where a name lies that is written at an offset from a mark."""
    x, y = spot[0] + offset[0], spot[1] + offset[1]
    left = x if offset[0] > 0 else x - size[0] if offset[0] < 0 else x - size[0] / 2
    return (left, y - size[1] / 2, left + size[0], y + size[1] / 2)


def _crosses(spot: tuple[float, float], offset: tuple[float, float], box: _Box) -> bool:
    """Whether the line from a mark to its far name runs through a box."""
    if max(map(abs, offset)) <= _NEAR:
        return False
    steps = ((spot[0] + offset[0] * t / 8, spot[1] + offset[1] * t / 8) for t in range(1, 8))
    return any(box[0] < x < box[2] and box[1] < y < box[3] for x, y in steps)


def _overlap(a: _Box, b: _Box) -> float:
    """The area that two boxes share."""
    wide, tall = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(wide, 0) * max(tall, 0)


def _outside(box: _Box, width: float, height: float) -> float:
    """How far a box sticks out of the panel."""
    return max(-box[0], 0) + max(box[2] - width, 0) + max(-box[1], 0) + max(box[3] - height, 0)
