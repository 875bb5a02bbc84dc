"""All figures of a report, in its order."""

from __future__ import annotations

from hashbench.report.bundle import ReportBundle
from hashbench.report.figures.code_figures import bit_usage, distance_histograms, tie_spread
from hashbench.report.figures.cost import time_and_quality
from hashbench.report.figures.curves import (
    map_by_bits,
    precision_at_rank,
    precision_recall_by_radius,
    precision_recall_by_rank,
)
from hashbench.report.figures.panels import Plot
from hashbench.report.figures.ranks import rank_groups
from hashbench.report.figures.style import freeze, looks
from hashbench.report.figures.training import training_curves
from hashbench.report.results import Results


def report_plots(bundle: ReportBundle, results: Results) -> list[Plot]:
    """Every figure but those of costs, in the report's order. Call it, and save, inside `style.drawing()`."""
    look = looks(results)
    return _frozen(
        map_by_bits(results, look),
        rank_groups(results, bundle.rank_groups) if bundle.rank_groups else None,
        precision_recall_by_radius(results, look),
        precision_recall_by_rank(results, look),
        precision_at_rank(results, look),
        tie_spread(results, look),
        distance_histograms(results, look),
        bit_usage(results, look, bundle.correlations),
        training_curves(results, look),
    )


def cost_plots(bundle: ReportBundle, results: Results) -> list[Plot]:
    """The figures that show seconds; to be drawn and saved as the others."""
    return _frozen(time_and_quality(results, looks(results), bundle.seconds))


def _frozen(*plots: Plot | None) -> list[Plot]:
    """The figures that there are, laid out once and for all."""
    drawn = [plot for plot in plots if plot is not None]
    for plot in drawn:
        freeze(plot.figure)
    return drawn
