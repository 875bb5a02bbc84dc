"""The whole report in one call: every table, figure and page as named texts and bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

from hashbench.report.bundle import ReportBundle
from hashbench.report.citing import bibtex
from hashbench.report.figures.panels import Plot, files_of
from hashbench.report.figures.registry import cost_plots, report_plots
from hashbench.report.figures.style import drawing
from hashbench.report.figures.tuning import tuning
from hashbench.report.page import Figure, report_page, short_page
from hashbench.report.results import Results
from hashbench.report.standings import Pair, pairs_of
from hashbench.report.tables.ablation import ablation_table
from hashbench.report.tables.cost import table3
from hashbench.report.tables.model import Table
from hashbench.report.tables.published import Comparison, compare, comparison_csv, comparison_markdown
from hashbench.report.tables.rendering import RENDERERS, csv_text
from hashbench.report.tables.retrieval import table1, table2
from hashbench.report.tables.tuning import tuning_table

Write = Callable[[str, str | bytes], None]

FILES = ("md", "tex", "csv")  # the page holds them as HTML


def tables_of(bundle: ReportBundle) -> list[Table]:
    """Tables 1 and 2 and, where the seconds of the runs are known, Table 3, without drawing anything."""
    results = Results(bundle)
    tables = _retrieval_tables(bundle, results)
    return [*tables, table3(results, bundle.seconds, bundle.profile)] if bundle.seconds else tables


def ablation_of(bundle: ReportBundle) -> Table | None:
    """The ablation table of a bundle that holds variants; None where none was run."""
    return ablation_table(Results(bundle), bundle.ablations, bundle.tied, bundle.profile)


def _retrieval_tables(bundle: ReportBundle, results: Results) -> list[Table]:
    submissions = bundle.submissions
    first = table1(results, bundle.tied, bundle.profile, submissions)
    return [first, table2(results, bundle.profile, submissions)]


def render_report(bundle: ReportBundle, write: Write) -> None:
    """Make the report and hand each file to `write(name, content)`; names are relative, with '/' between folders.

    `<table>.md/.tex/.csv/.bib` of table1 and table2; `published_vs_reproduced.md/.csv`; `standings.csv`;
    `metrics/<backbone>/<method>.json`; `figures/<name>.svg/.pdf/.csv`; `report.html`; where the seconds of the
    runs are known, all that depends on them in `cost/`: table3, `time_quality.*` and `cost.html`.
    Raises HashbenchError where the records cannot stand in one report.
    """
    results = Results(bundle)
    tables, comparisons, pairs = _write_texts(bundle, results, write)
    with drawing():
        figures = _write_figures(report_plots(bundle, results), _into("figures", write))
    write("report.html", report_page(bundle, results, tables, figures, comparisons, pairs))
    if bundle.seconds:
        _render_cost(bundle, results, _into("cost", write))


def render_tables(bundle: ReportBundle, write: Write) -> None:
    """The texts of a report that follow from records and per-query values alone: tables, comparisons, metrics."""
    _write_texts(bundle, Results(bundle), write)


def _write_texts(
    bundle: ReportBundle, results: Results, write: Write
) -> tuple[list[Table], list[Comparison], list[Pair]]:
    """Write these texts; the tables, comparisons and pairs in them, for the page."""
    tables, comparisons = _retrieval_tables(bundle, results), compare(bundle.published, results)
    pairs = pairs_of(results, [*results.controls, *bundle.references], bundle.compared)
    _write_tables(tables, bundle, write)
    write("published_vs_reproduced.md", comparison_markdown(comparisons))
    write("published_vs_reproduced.csv", comparison_csv(comparisons))
    write("standings.csv", standings_csv(pairs))
    for name, text in metrics_of(results).items():
        write(f"metrics/{name}.json", text)
    return tables, comparisons, pairs


def _render_cost(bundle: ReportBundle, results: Results, write: Write) -> None:
    table = table3(results, bundle.seconds, bundle.profile)
    _write_tables([table], bundle, write)
    with drawing():
        figures = _write_figures(cost_plots(bundle, results), write)
    lead = "Seconds on the machine that ran the fits; another run takes others, and everything else stays as it is."
    write("cost.html", short_page(bundle, "Cost", lead, [table], figures))


def render_ablation(bundle: ReportBundle, write: Write) -> Table | None:
    """Hand the files of the ablation to `write(name, content)`: `ablation.md/.tex/.csv/.bib` and `report.html`.

    The bundle holds the variants, the methods that they change and the controls; where no variant was run nothing is
    written. Returns the table. Raises HashbenchError where the records cannot stand in one table.
    """
    table = ablation_of(bundle)
    if table is None:
        return None
    _write_tables([table], bundle, write)
    lead = "What each part of a method under study is worth."
    write("report.html", short_page(bundle, "Ablation", lead, [table]))
    return table


def render_tuning(official: ReportBundle, searched: ReportBundle, write: Write) -> Table:
    """Hand the files of the comparison of official and searched settings to `write(name, content)`:
    `official.md/.tex/.csv/.bib`, `figures/tuning.svg/.pdf/.csv` and `report.html`.

    Returns the table. Raises HashbenchError where the records cannot stand in one table.
    """
    pair = Results(official), Results(searched)
    table = tuning_table(*pair, official.methods, official.tied, official.profile)
    _write_tables([table], official, write)
    with drawing():
        figures = _write_figures([tuning(*pair)], _into("figures", write))
    lead = "What the search of hyperparameters changes, against the settings of the methods' authors."
    write("report.html", short_page(official, "Official and searched settings", lead, [table], figures))
    return table


def _into(folder: str, write: Write) -> Write:
    return lambda name, content: write(f"{folder}/{name}", content)


def _write_tables(tables: Iterable[Table], bundle: ReportBundle, write: Write) -> None:
    for table in tables:
        for ending in FILES:
            write(f"{table.name}.{ending}", RENDERERS[ending](table))
        write(f"{table.name}.bib", bibtex(table, bundle.profile, bundle.version, bundle.methods))


def _write_figures(plots: Iterable[Plot], write: Write) -> list[Figure]:
    figures = []
    for plot in plots:
        files = files_of(plot)
        for name, content in files.items():
            write(name, content)
        figures.append(Figure(plot.name, plot.title, plot.caption, plot.alt, str(files[f"{plot.name}.svg"])))
    return figures


def metrics_of(results: Results) -> dict[str, str]:
    """'<backbone>/<method>' -> mAP, mean over seeds, by data set and code length, as JSON: `dvc metrics show` makes
    one short line of each, and experiment tools read them."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for setting in results.settings:
        for method in results.ran:
            for bits in results.bits(setting):
                value = results.mean(setting, method, bits, "map")
                if value is not None:
                    datasets = found.setdefault(f"{setting.backbone}/{method}", {})
                    datasets.setdefault(setting.dataset, {})[str(bits)] = round(value, 4)
    return {name: json.dumps(datasets, indent=1) + "\n" for name, datasets in found.items()}


def standings_csv(pairs: Sequence[Pair]) -> str:
    """How each method stands against those that all are compared with, a line a column of Table 1, as CSV."""
    head = ("dataset", "backbone", "bits", "method", "against", "difference", "p_value", "verdict")
    lines = [
        (*each.place, each.method, each.against, f"{each.difference:.6f}", f"{each.p_value:.6f}", each.verdict)
        for each in pairs
    ]
    return csv_text([head, *lines])
