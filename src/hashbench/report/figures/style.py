"""One look for all figures: which method has which colour, marker and line, and how a figure becomes bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hashbench.report.frame import exact_mean
from hashbench.report.results import Results, Setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito, 'Color Universal Design' (2008), without the yellow, which is too faint on white.
PALETTE = ("#D55E00", "#0072B2", "#009E73", "#AA4499", "#E69F00", "#56B4E9", "#222222")
# The same hues, dark enough for text on white (contrast of at least 4.5 to 1).
TEXT_PALETTE = ("#B34700", "#0063A0", "#007052", "#973A87", "#8A5A00", "#1B6FA8", "#222222")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":")
MUTED, MUTED_TEXT, INK, RULE = "#B4BAC2", "#5B6470", "#1F2933", "#E3E7EC"
_PNG_DPI = 130
_RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "mathtext.fontset": "dejavusans",
    "font.size": 8.5,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.linewidth": 0.8,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED_TEXT,
    "ytick.color": MUTED_TEXT,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "hashbench",
    "path.simplify": True,
    "pdf.fonttype": 42,  # TrueType: publishers refuse Type 3
}


@dataclass(frozen=True)
class Look:
    """How a method is drawn, and in which colour its name is written, in every figure. `muted` methods are the grey
    background of the coloured ones."""

    colour: str
    text: str
    marker: str
    line: str
    width: float
    muted: bool

    @property
    def zorder(self) -> float:
        """Coloured methods lie above muted ones."""
        return 2 if self.muted else 3 + self.width


Looks = Mapping[str, Look]


def by_quality(results: Results) -> list[str]:
    """The methods by their mAP, averaged over all cells they ran in, best first."""

    def quality(method: str) -> float:
        maps = [_map(results, method, panel) for panel in _panels(results)]
        ran = [value for value in maps if value is not None]
        return exact_mean(ran) if ran else 0.0

    return sorted(results.ran, key=quality, reverse=True)


def best_of_panels(results: Results) -> list[str]:
    """The methods that have the highest mAP of a setting at a code length, among those without external text."""
    winners = []
    for panel in _panels(results):
        maps = {method: found for method in results.ranked if (found := _map(results, method, panel)) is not None}
        winners += [max(maps, key=lambda method: maps[method])] if maps else []
    return list(dict.fromkeys(winners))


def _panels(results: Results) -> list[tuple[Setting, int]]:
    return [(setting, bits) for setting in results.settings for bits in results.bits(setting)]


def _map(results: Results, method: str, panel: tuple[Setting, int]) -> float | None:
    setting, bits = panel
    return results.mean(setting, method, bits, "map")


def looks(results: Results) -> Looks:
    """A look for each method. Colours go to the methods under study, the controls, the best of every panel and, while
    there are colours left, the strongest others; where the colours do not suffice they come again with broken lines."""
    named = list(dict.fromkeys([*results.under_study, *results.controls, *best_of_panels(results)]))
    order = dict.fromkeys([*named, *by_quality(results)])
    coloured = max(len(named), len(PALETTE))
    return {
        method: _look(number, number >= coloured, method in results.under_study) for number, method in enumerate(order)
    }


def _look(number: int, muted: bool, under_study: bool) -> Look:
    lap, place = divmod(number, len(PALETTE))
    return Look(
        MUTED if muted else PALETTE[place],
        MUTED_TEXT if muted else TEXT_PALETTE[place],
        MARKERS[place],
        LINES[lap % len(LINES)],
        0.9 if muted else 2.2 if under_study else 1.5,
        muted,
    )


@contextmanager
def drawing() -> Iterator[None]:
    """Matplotlib set to the report's look, for drawing and for saving; nothing is left set afterwards."""
    import matplotlib as mpl

    with mpl.rc_context(_RC):
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches, without any global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_PNG_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def freeze(figure: Figure) -> None:
    """Lay the figure out once, so that saving it twice does not lay it out twice."""
    figure.get_layout_engine().execute(figure)  # type: ignore[union-attr]
    figure.set_layout_engine("none")


def svg_of(figure: Figure) -> str:
    """The figure as SVG, text as outlines, so that it looks the same everywhere."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.StringIO()
    # Not savefig, which draws everything twice.
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    return buffer.getvalue()


def png_of(figure: Figure) -> bytes:
    """The figure as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    figure.set_dpi(_PNG_DPI)  # the SVG canvas leaves its own behind
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})  # type: ignore[no-untyped-call]
    return buffer.getvalue()


def pdf_of(figure: Figure) -> bytes:
    """The figure as PDF, for papers: fonts embedded as TrueType, and nothing in it that tells when it was made."""
    from matplotlib.backends.backend_pdf import FigureCanvasPdf

    buffer = io.BytesIO()
    nothing = dict.fromkeys(("CreationDate", "ModDate", "Creator", "Producer"))
    FigureCanvasPdf(figure).print_pdf(buffer, metadata=nothing)  # type: ignore[no-untyped-call]
    return buffer.getvalue()


IMAGES: dict[str, Callable[[Figure], str | bytes]] = {"svg": svg_of, "png": png_of, "pdf": pdf_of}
