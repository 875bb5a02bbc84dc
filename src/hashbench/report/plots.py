"""The figures. Each function draws one and gives its data points with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hashbench.report.bundle import Gallery
from hashbench.report.results import CellKey, Results, Setting, key_of, mean, spread
from hashbench.report.style import INK, MUTED, MUTED_TEXT, Look, by_quality, freeze, new_figure
from hashbench.report.tables import map_name
from hashbench.types import Array, RunRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RIGHT, WRONG, OTHER = "#0072B2", "#D55E00", "#B4BAC2"
Looks = Mapping[str, Look]


@dataclass(frozen=True)
class Plot:
    """A drawn figure. `alt` says in words what it shows; `data` holds its points, the first line their names."""

    name: str
    title: str
    alt: str
    figure: Figure
    data: list[tuple[object, ...]]


def _mean_curve(runs: Sequence[RunRecord], values: Callable[[RunRecord], Sequence[float]]) -> list[float]:
    """The mean over runs of a list that each run holds, as long as the shortest of them."""
    return [mean(column) for column in zip(*(values(run) for run in runs), strict=False)]


def _grid(results: Results, height: float = 2.7) -> tuple[Figure, list[tuple[Setting, int, Axes]]]:
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


def _legend(figure: Figure, results: Results, looks: Looks) -> None:
    """A legend of the coloured methods below the figure; the muted ones share one entry."""
    from matplotlib.lines import Line2D

    coloured = [method for method in looks if not looks[method].muted]
    handles = [Line2D([], [], color=looks[m].colour, lw=looks[m].width, label=results.title(m)) for m in coloured]
    others = len(looks) - len(coloured)
    if others:
        handles.append(Line2D([], [], color=MUTED, lw=0.9, label=f"{others} other methods"))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 8))


def _curve_panels(
    results: Results,
    looks: Looks,
    points: Callable[[Sequence[RunRecord]], tuple[Sequence[float], Sequence[float]]],
    x_name: str,
    y_name: str,
    log_x: bool,
) -> tuple[Figure, list[tuple[object, ...]]]:
    """One curve a method in each panel, mean over seeds."""
    figure, panels = _grid(results)
    data: list[tuple[object, ...]] = [("dataset", "backbone", "bits", "method", x_name, y_name)]
    first = results.settings[0]
    for setting, bits, axes in panels:
        for method in looks:
            runs = results.runs(setting, method, bits)
            if not runs:
                continue
            look = looks[method]
            x, y = points(runs)
            axes.plot(x, y, color=look.colour, lw=look.width, zorder=look.zorder)
            where = (setting.dataset, setting.backbone, bits, method)
            data += [(*where, a, b) for a, b in zip(x, y, strict=True) if math.isfinite(b)]
        if log_x:
            axes.set_xscale("log")
            axes.minorticks_off()
        else:
            axes.set_xlim(0, 1)
        if setting == results.settings[-1]:
            axes.set_xlabel(x_name)
        if bits == min(results.bits(first)):
            axes.set_ylabel(y_name)
    for _, _, axes in panels:
        axes.set_ylim(bottom=0)
    _legend(figure, results, looks)
    return figure, data


def _best_words(results: Results) -> str:
    """Which method leads in each setting at the longest codes, in words, for alternative texts."""
    words = []
    for setting in results.settings:
        bits = results.bits(setting)[-1]
        scores = {m: v for m in results.ran if (v := results.mean_map(setting, m, bits)) is not None}
        best = max(scores, key=lambda method: scores[method])
        where = f"{results.setting_title(setting)} at {bits} bits"
        words.append(f"on {where} {results.title(best)} has the highest mAP, {scores[best]:.3f}")
    return "; ".join(words)


def precision_recall_by_radius(results: Results, looks: Looks) -> Plot:
    """Precision against recall of everything within Hamming radius 0, 1, ..., b."""
    figure, data = _curve_panels(
        results,
        looks,
        lambda runs: (_mean_curve(runs, lambda r: r.radius_recall), _mean_curve(runs, lambda r: r.radius_precision)),
        "recall",
        "precision",
        log_x=False,
    )
    alt = f"Precision-recall curves by Hamming radius, one panel a data set and code length; {_best_words(results)}."
    return Plot("pr_by_radius", "Precision and recall by Hamming radius", alt, figure, data)


def precision_recall_by_rank(results: Results, looks: Looks) -> Plot:
    """Precision against recall of the first items, with random order inside ties."""
    figure, data = _curve_panels(
        results,
        looks,
        lambda runs: (_mean_curve(runs, lambda r: r.recall_at), _mean_curve(runs, lambda r: r.precision_at)),
        "recall",
        "precision",
        log_x=False,
    )
    alt = f"Precision-recall curves by rank, one panel for each data set and code length; {_best_words(results)}."
    return Plot("pr_by_rank", "Precision and recall by rank", alt, figure, data)


def precision_at_rank(results: Results, looks: Looks) -> Plot:
    """Precision of the first k items against k."""
    figure, data = _curve_panels(
        results,
        looks,
        lambda runs: (runs[0].ranks, _mean_curve(runs, lambda r: r.precision_at)),
        "k",
        "precision@k",
        log_x=True,
    )
    alt = f"Precision of the first k items against k on a log axis; {_best_words(results)}."
    return Plot("precision_at_k", "Precision at k", alt, figure, data)


def _spread_out(values: Sequence[float], gap: float) -> list[float]:
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


def map_by_bits(results: Results, looks: Looks) -> Plot:
    """mAP against code length with the standard deviation over seeds; every method is named at its line's end."""
    height = max(3.4, 0.135 * len(looks) + 1.2)
    figure = new_figure(4.4 * len(results.settings), height)
    panels = figure.subplots(1, len(results.settings), squeeze=False)[0]
    data: list[tuple[object, ...]] = [("dataset", "backbone", "method", "bits", "map", "spread")]
    for setting, axes in zip(results.settings, panels, strict=True):
        ends = {}
        lengths = results.bits(setting)
        for method, look in looks.items():
            cells = [(bits, results.values(setting, method, bits, lambda r: r.map)) for bits in lengths]
            cells = [(bits, maps) for bits, maps in cells if maps]
            if not cells:
                continue
            x = [bits for bits, _ in cells]
            y = [mean(maps) for _, maps in cells]
            error = [spread(maps) or 0.0 for _, maps in cells]
            axes.errorbar(
                x, y, error, color=look.colour, lw=look.width, ls=look.line, marker=look.marker,
                ms=3 if look.muted else 5, elinewidth=0.9, capsize=2, zorder=look.zorder,
            )  # fmt: skip
            where = (setting.dataset, setting.backbone, method)
            data += [(*where, *point) for point in zip(x, y, error, strict=True)]
            ends[method] = (x[-1], y[-1])
        _bits_axis(axes, lengths)
        axes.set_title(results.setting_title(setting))
        axes.set_ylabel(map_name(results.any_run(setting).k))
        _name_ends(axes, ends, results, looks, height)
    alt = f"mAP against code length with error bars over seeds; {_best_words(results)}."
    return Plot("map_by_bits", "mAP by code length", alt, figure, data)


def _bits_axis(axes: Axes, lengths: Sequence[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(lengths, [str(bits) for bits in lengths])
    axes.minorticks_off()
    axes.set_xlabel("bits")
    axes.set_xlim(lengths[0] / 1.12, lengths[-1] * 1.12)


def _name_ends(
    axes: Axes, ends: Mapping[str, tuple[float, float]], results: Results, looks: Looks, height: float
) -> None:
    """Write each method's name to the right of its last point, moved apart where names would overlap."""
    low, high = axes.get_ylim()
    gap = (high - low) * 0.135 / (height - 1.0)
    places = _spread_out([y for _, y in ends.values()], gap)
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


def tie_spread(results: Results, looks: Looks) -> Plot:
    """From the worst to the best order inside ties: how far mAP could be moved by the order of equal distances."""
    order = [method for method in by_quality(results) if method in looks][::-1]
    figure, panels = _grid(results, height=0.15 * len(order) + 0.9)
    data: list[tuple[object, ...]] = [("dataset", "backbone", "bits", "method", "worst", "expected", "best")]
    for setting, bits, axes in panels:
        for y, method in enumerate(order):
            runs = results.runs(setting, method, bits)
            if not runs:
                continue
            worst = mean(run.map_pessimistic for run in runs)
            middle = mean(run.map for run in runs)
            best = mean(run.map_optimistic for run in runs)
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
    return Plot("tie_spread", "How far the order inside ties moves mAP", alt, figure, data)


def _coloured(results: Results, looks: Looks, setting: Setting, bits: int) -> list[str]:
    return [method for method, look in looks.items() if not look.muted and results.runs(setting, method, bits)]


def _middle_bits(results: Results, setting: Setting) -> int:
    lengths = results.bits(setting)
    return lengths[len(lengths) // 2]


def distance_histograms(results: Results, looks: Looks) -> Plot:
    """How the distances of relevant pairs and of other pairs lie, for the coloured methods."""
    rows = [(s, b, _coloured(results, looks, s, b)) for s in results.settings if (b := _middle_bits(results, s))]
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
                _shares(_mean_curve(runs, of)) for of in (lambda r: r.relevant_histogram, lambda r: r.other_histogram)
            ]
            for share, colour in zip(shares, (RIGHT, OTHER), strict=True):
                axes.fill_between(range(bits + 1), share, step="mid", color=colour, alpha=0.45, lw=0)
                axes.step(range(bits + 1), share, where="mid", color=colour if colour == RIGHT else MUTED_TEXT, lw=1)
            axes.set_title(results.title(method), color=looks[method].text)
            axes.set_yticks([])
            axes.set_ylim(bottom=0)
            where = (setting.dataset, setting.backbone, bits, method)
            data += [(*where, d, *pair) for d, pair in enumerate(zip(*shares, strict=True))]
        line[0].set_ylabel(f"{results.setting_title(setting)}\n{bits} bits\nshare of pairs")
    figure.supxlabel("Hamming distance", fontsize=8.5)
    _pair_legend(figure)
    alt = "Histograms of the Hamming distances of relevant pairs and of other pairs; the less they overlap, the better."
    return Plot("distances", "Distances of relevant and other pairs", alt, figure, data)


def _shares(counts: Sequence[float]) -> list[float]:
    total = sum(counts)
    return [count / total if total else 0.0 for count in counts]


def _pair_legend(figure: Figure) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=RIGHT, alpha=0.55, label="relevant pairs"),
        Patch(facecolor=OTHER, alpha=0.55, edgecolor=MUTED_TEXT, label="other pairs"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)


def bit_usage(results: Results, looks: Looks, correlations: Mapping[CellKey, Array]) -> Plot:
    """Share of ones of each bit, sorted, and below it the absolute correlation of each two bits of the first seed."""
    rows = [(s, b, _coloured(results, looks, s, b)) for s in results.settings if (b := _middle_bits(results, s))]
    columns = max(len(methods) for _, _, methods in rows)
    figure = new_figure(1.75 * columns + 0.5, 2.85 * len(rows) + 0.3)
    panels = figure.subplots(2 * len(rows), columns, squeeze=False, height_ratios=[0.55, 1] * len(rows))
    data: list[tuple[object, ...]] = [("dataset", "backbone", "bits", "method", "bit", "share_of_ones")]
    image = None
    for number, (setting, bits, methods) in enumerate(rows):
        top, bottom = panels[2 * number], panels[2 * number + 1]
        for axes in (*top[len(methods) :], *bottom):
            axes.set_axis_off()
        for column, method in enumerate(methods):
            run = results.runs(setting, method, bits)[0]
            _draw_balance(top[column], run, looks[method], results.title(method))
            where = (setting.dataset, setting.backbone, bits, method)
            data += [(*where, bit, share) for bit, share in enumerate(run.bit_balance)]
            if (matrix := correlations.get(key_of(run))) is not None:
                image = _draw_correlation(bottom[column], np.abs(matrix), run.bit_correlation)
        for axes in top[1 : len(methods)]:
            axes.set_yticklabels([])
        top[0].set_ylabel(f"{results.setting_title(setting)}\n{bits} bits\nshare of ones")
    if image is not None:
        figure.colorbar(image, ax=panels, shrink=0.4, aspect=30, label="absolute correlation of two bits")
    alt = "For each coloured method the share of ones of its bits, ideally 0.5, and the correlation of bits, ideally 0."
    return Plot("bit_usage", "Bit balance and correlation", alt, figure, data)


def _draw_balance(axes: Axes, run: RunRecord, look: Look, title: str) -> None:
    shares = sorted(run.bit_balance)
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


def training_curves(results: Results, looks: Looks) -> Plot | None:
    """The loss of every method that reports one, by code length, mean over seeds; None where no method does."""
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
    shades = ["#9ECAE9", "#3A85BD", "#08306B", "#000000"]
    data: list[tuple[object, ...]] = [("dataset", "backbone", "bits", "method", "curve", "step", "value")]
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    for axes, (method, name) in zip(panels, names.items(), strict=False):
        for bits, shade in zip(lengths, shades, strict=False):
            runs = [run for run in results.runs(setting, method, bits) if name in run.curves]
            values = _mean_curve(runs, lambda run: run.curves[name])  # noqa: B023  (called at once)
            axes.plot(range(1, len(values) + 1), values, color=shade, lw=1.4)
            where = (setting.dataset, setting.backbone, bits, method, name)
            data += [(*where, step, value) for step, value in enumerate(values, start=1)]
        axes.set_title(results.title(method), color=looks[method].text)
        axes.set_ylabel(name, fontsize=7.5)
    handles = [Line2D([], [], color=c, label=f"{b} bits") for b, c in zip(lengths, shades, strict=False)]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    alt = f"Training curves on {results.setting_title(setting)}, one panel a method, one line a code length."
    return Plot("training", f"Training curves on {results.setting_title(setting)}", alt, figure, data)


def _curve_name(results: Results, setting: Setting, method: str) -> str | None:
    """The curve to show of a method: its loss, or else its first."""
    names = {name for b in results.bits(setting) for run in results.runs(setting, method, b) for name in run.curves}
    return "loss" if "loss" in names else min(names, default=None)


def time_and_quality(results: Results, looks: Looks) -> Plot:
    """mAP against the seconds of one fit at the longest codes; a line joins the methods that none beats in both."""
    width, height = 4.6, 3.6
    figure = new_figure(width * len(results.settings), height)
    panels = figure.subplots(1, len(results.settings), squeeze=False)[0]
    data: list[tuple[object, ...]] = [("dataset", "backbone", "bits", "method", "fit_seconds", "map")]
    for setting, axes in zip(results.settings, panels, strict=True):
        bits = results.bits(setting)[-1]
        points = {}
        for method, look in looks.items():
            if runs := results.runs(setting, method, bits):
                # A fit shorter than the clock's step still needs a place on a log axis.
                x, y = max(mean(run.seconds.fit for run in runs), 1e-3), mean(run.map for run in runs)
                axes.plot(
                    [x],
                    [y],
                    ls="",
                    marker=look.marker,
                    ms=5 if look.muted else 7,
                    color=look.colour,
                    zorder=look.zorder,
                )
                points[method] = (x, y)
                data.append((setting.dataset, setting.backbone, bits, method, x, y))
        _draw_front(axes, list(points.values()))
        axes.set_xscale("log")
        axes.margins(0.12)
        axes.set_title(f"{results.setting_title(setting)}, {bits} bits")
        axes.set_xlabel("seconds of one fit")
        axes.set_ylabel(map_name(results.any_run(setting).k))
        _name_points(axes, points, results, looks, (width - 0.9) * 72, (height - 0.9) * 72)
    alt = f"mAP against the time of one fit on a log axis; {_best_words(results)}."
    return Plot("time_quality", "Time and quality", alt, figure, data)


def _draw_front(axes: Axes, points: Sequence[tuple[float, float]]) -> None:
    front: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda p: (p[0], -p[1])):
        if not front or y > front[-1][1]:
            front.append((x, y))
    axes.step(*zip(*front, strict=True), where="post", color=MUTED_TEXT, lw=0.9, ls=":", zorder=1)


def _name_points(
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


_Box = tuple[float, float, float, float]


def _overlap(a: _Box, b: _Box) -> float:
    wide, tall = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(wide, 0) * max(tall, 0)


def _outside(box: _Box, width: float) -> float:
    return 8 * (max(-box[0], 0) + max(box[2] - width, 0))


def gallery_figure(gallery: Gallery, results: Results) -> Plot:
    """Queries and what was found first: right ones framed solid, wrong ones framed dashed, distances below."""
    from matplotlib.patches import Rectangle

    q, r = gallery.relevant.shape
    pitch = 1.12  # of two rows, in tiles: a tile and the line of distances below it
    figure = new_figure(0.7 * (r + 2.4), 0.7 * pitch * q + 0.35)
    axes = figure.subplots()
    for row in range(q):
        top = pitch * row
        strip = [gallery.query_images[row], *gallery.images[row]]
        for column, image in enumerate(strip):
            left = column + (0.4 if column else 0)
            axes.imshow(image, extent=(left, left + 0.86, top + 0.86, top), interpolation="nearest", zorder=2)
            if column:
                right = bool(gallery.relevant[row, column - 1])
                frame: dict[str, Any] = {
                    "edgecolor": RIGHT if right else WRONG,
                    "ls": "-" if right else (0, (2, 1.2)),
                    "lw": 2,
                }
                axes.add_patch(Rectangle((left, top), 0.86, 0.86, facecolor="none", zorder=3, **frame))
                distance = str(gallery.distances[row, column - 1])
                axes.text(left + 0.43, top + 0.97, distance, ha="center", va="center", fontsize=6, color=MUTED_TEXT)
        axes.text(-0.12, top + 0.43, gallery.query_labels[row], ha="right", va="center", fontsize=8, color=INK)
    axes.set_xlim(-1.0, r + 1.4)
    axes.set_ylim(pitch * q, -0.08)
    axes.set_axis_off()
    setting = Setting(gallery.dataset, gallery.backbone)
    title = f"First {r} of {results.title(gallery.method)}, {gallery.bits} bits, on {results.setting_title(setting)}"
    axes.set_title(f"{title}; solid frame: right, dashed: wrong; number: Hamming distance", fontsize=8, weight="normal")
    alt = f"{title}: of {q * r} items shown, {int(gallery.relevant.sum())} are right."
    data: list[tuple[object, ...]] = [("query", "rank", "distance", "relevant")]
    for row in range(q):
        for rank in range(r):
            data.append((row, rank + 1, int(gallery.distances[row, rank]), int(gallery.relevant[row, rank])))
    return Plot(f"gallery_{gallery.dataset}_{gallery.method}_{gallery.bits}", title, alt, figure, data)


def all_plots(
    results: Results, looks: Looks, correlations: Mapping[CellKey, Array], galleries: Sequence[Gallery]
) -> list[Plot]:
    """Every figure of the report, in its order. Call it, and save, inside `style.drawing()`."""
    plots = [
        map_by_bits(results, looks),
        precision_recall_by_radius(results, looks),
        precision_recall_by_rank(results, looks),
        precision_at_rank(results, looks),
        tie_spread(results, looks),
        time_and_quality(results, looks),
        distance_histograms(results, looks),
        bit_usage(results, looks, correlations),
        training_curves(results, looks),
        *(gallery_figure(gallery, results) for gallery in galleries),
    ]
    drawn = [plot for plot in plots if plot is not None]
    for plot in drawn:
        freeze(plot.figure)
    return drawn
