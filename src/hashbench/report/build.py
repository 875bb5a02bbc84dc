"""The whole report in one call: every table, figure and page as named texts and bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from hashbench.report import rendering
from hashbench.report.ablation import ablation_table
from hashbench.report.bundle import ReportBundle
from hashbench.report.citing import bibtex
from hashbench.report.claims import Claim, check
from hashbench.report.cost import table3
from hashbench.report.html import Figure, page
from hashbench.report.plots import all_plots
from hashbench.report.published import compare, comparison_csv, comparison_markdown
from hashbench.report.quality import table1, table2
from hashbench.report.results import Results, mean
from hashbench.report.style import drawing, looks, png_of, svg_of
from hashbench.report.tables import Table

Write = Callable[[str, str | bytes], None]


def results_of(bundle: ReportBundle) -> Results:
    """The bundle's records, checked and grouped."""
    return Results(bundle.records, bundle.methods, bundle.datasets, bundle.ap)


def tables_of(bundle: ReportBundle) -> list[Table]:
    """All tables of a report, in its order, without drawing anything."""
    results = results_of(bundle)
    tables = [
        table1(results, bundle.paired_pvalue, bundle.profile),
        table2(results, bundle.profile),
        table3(results, bundle.profile),
    ]
    ablation = ablation_table(results, bundle.ablations, bundle.profile)
    return [*tables, ablation] if ablation else tables


def render_report(bundle: ReportBundle, write: Write) -> None:
    """Make the report and hand each file to `write(name, content)`; names are relative, with '/' between folders.

    `<table>.md/.tex/.csv/.html/.bib` for table1, table2, table3 and, where there are ablations, ablation;
    `published_vs_reproduced.md/.csv`; `claims.csv`; `metrics.json`; `figures/<name>.svg/.png/.csv`; `report.html`.
    Raises HashbenchError where the records cannot stand in one report.
    """
    results = results_of(bundle)
    tables = tables_of(bundle)
    for table in tables:
        for ending, render in rendering.RENDERERS.items():
            write(f"{table.name}.{ending}", render(table))
        write(f"{table.name}.bib", bibtex(table, bundle.profile, bundle.version, bundle.papers))
    comparisons = compare(bundle.published, results)
    write("published_vs_reproduced.md", comparison_markdown(comparisons))
    write("published_vs_reproduced.csv", comparison_csv(comparisons))
    claims = check(results, bundle.contests)
    write("claims.csv", claims_csv(claims))
    write("metrics.json", metrics_json(results))
    figures = _write_figures(bundle, results, write)
    write("report.html", page(bundle, results, tables, figures, comparisons, claims))


def _write_figures(bundle: ReportBundle, results: Results, write: Write) -> list[Figure]:
    figures = []
    with drawing():
        look = looks(results, bundle.highlighted)
        galleries = sorted(bundle.galleries, key=lambda g: (g.dataset, g.backbone, g.method, g.bits))
        for plot in all_plots(results, look, bundle.correlations, galleries):
            svg = svg_of(plot.figure)
            write(f"figures/{plot.name}.svg", svg)
            write(f"figures/{plot.name}.png", png_of(plot.figure))
            write(f"figures/{plot.name}.csv", rendering.csv_text(plot.data))
            figures.append(Figure(plot.name, plot.title, plot.caption, plot.alt, svg))
    return figures


def metrics_json(results: Results) -> str:
    """Means over seeds by data set, backbone, method and bits, for `dvc metrics` and experiment tools."""
    metrics: dict[str, dict[str, dict[str, dict[str, dict[str, float]]]]] = {}
    for setting in results.settings:
        for method in results.ran:
            for bits in results.bits(setting):
                if runs := results.runs(setting, method, bits):
                    methods = metrics.setdefault(setting.dataset, {}).setdefault(setting.backbone, {})
                    methods.setdefault(method, {})[str(bits)] = {
                        "map": round(mean(run.map for run in runs), 6),
                        "map_optimistic": round(mean(run.map_optimistic for run in runs), 6),
                        "map_pessimistic": round(mean(run.map_pessimistic for run in runs), 6),
                        "precision_within_2": round(mean(run.precision_within_2 for run in runs), 6),
                    }
    return json.dumps(metrics, indent=1) + "\n"


def claims_csv(claims: Sequence[Claim]) -> str:
    """The claims as CSV."""
    lines = [(claim.text, "yes" if claim.holds else "no", claim.evidence) for claim in claims]
    return rendering.csv_text([("claim", "holds", "evidence"), *lines])
