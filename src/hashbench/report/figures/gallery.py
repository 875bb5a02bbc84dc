"""What a method retrieves first for some queries, as a figure."""

from __future__ import annotations

from typing import Any

from hashbench.report.bundle import Gallery
from hashbench.report.figures.panels import Plot
from hashbench.report.figures.style import INK, MUTED_TEXT, new_figure
from hashbench.report.results import Results, Setting

RIGHT, WRONG = "#0072B2", "#D55E00"


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
    return Plot(
        f"gallery_{gallery.dataset}_{gallery.backbone}_{gallery.method}_{gallery.bits}", title, "", alt, figure, data
    )
