"""`hashbench show`: a table, the figures, or one run, and where the files are."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hashbench.commands.options import add_profile
from hashbench.commands.printing import print_table

if TYPE_CHECKING:
    from rich.table import Table

    from hashbench.artefacts.layout import Layout
    from hashbench.config.params import Params
    from hashbench.records import RunRecord

HELP = "print a table or a run record, and where the files are"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "what", metavar="WHAT", help="table1, table2, table3, figures, ablation, official, or a run's name"
    )
    add_profile(parser)


def run(arguments: argparse.Namespace) -> None:
    """Print what was asked for."""
    show(arguments.what, arguments.profile)


def show(what: str, profile: str) -> None:
    """Print the table, figure list or run called `what`."""
    from hashbench.artefacts.layout import Layout
    from hashbench.config.params import load_params

    params = load_params()
    params.profile(profile)
    layouts = [Layout(profile), Layout(profile, "ablations"), Layout(profile, "official")]
    folders = [folder for layout in layouts for folder in (layout.results, layout.seconds.parent)]
    tables = {path.stem: path for folder in folders for path in sorted(folder.glob("*.md"))}
    if what in tables:
        print(tables[what].read_text(encoding="utf-8"))
        _print_files(tables[what].parent, what)
    elif what == "figures":
        _print_files(layouts[0].results, "figures")
    else:
        _print_run(what, params, layouts, [*tables])


def _print_files(folder: Path, name: str) -> None:
    found = sorted(folder.rglob(f"{name}.*")) + sorted((folder / name).glob("*")) + [folder / "report.html"]
    print("Files:", *(f"  {path}" for path in found if path.is_file()), sep="\n")


def _print_run(name: str, params: Params, layouts: list[Layout], tables: list[str]) -> None:
    from hashbench.artefacts.records import read_records
    from hashbench.config.params import did_you_mean
    from hashbench.errors import HashbenchError

    recorded = [layout for layout in reversed(layouts) if layout.records.is_file()]
    runs = {record.cell.name: (layout, record) for layout in recorded for record in read_records(layout.records)}
    if not runs:
        remedy = f"nox -s reproduce_table1 -- --profile {layouts[0].profile}"
        raise HashbenchError(f"profile {layouts[0].profile} has no results yet; run `{remedy}`")
    if name not in runs:
        guess = did_you_mean(name, [*tables, "figures", *runs]).partition(" (allowed")[0]
        raise HashbenchError(f"nothing is called '{name}' in {layouts[0].results}{guess}")
    print_table(_run_table(params, *runs[name]))


def _run_table(params: Params, layout: Layout, record: RunRecord) -> Table:
    from rich.table import Table

    from hashbench.artefacts.seconds import read_seconds
    from hashbench.config.selection import report_params
    from hashbench.reporting import cards_of

    card = cards_of(report_params(params, layout.profile, layout.group))[record.method]
    sources = {note.name: note.source for note in card.hyperparameters}
    found, seconds = record.evaluation, read_seconds(layout.seconds).get(record.cell)
    low, high = found.map_ci95
    rows = {
        "data set": f"{params.datasets[record.dataset].title}, {record.split}, digest {record.split_digest}",
        "backbone": params.backbones[record.backbone].title,
        f"mAP@{found.k or 'all'}": f"{found.map:.4f} (95 % over queries: {low:.4f} to {high:.4f})",
        "by tie order": f"{found.map_pessimistic:.4f} to {found.map_optimistic:.4f}",
        **{name.replace("_", " "): f"{value:.4f}" for name, value in found.measures.items()},
        "codes": f"{found.distinct_codes} distinct of {record.n_database}, largest bucket {found.largest_bucket}",
        "seconds": f"fit {seconds.fit:.2f}, encode {seconds.encode:.2f}, evaluate {seconds.evaluate:.2f}"
        if seconds
        else "not kept",
        **{
            f"  {key}": f"{value} ({sources.get(key, 'no longer in params.yaml')})"
            for key, value in record.fit.hyperparameters.items()
        },
        "deviations": "\n".join(card.deviations) or "none",
        "made with": ", ".join(f"{name} {number}" for name, number in record.fit.versions.items()),
        "device": f"{record.fit.device}, {record.fit.processor}",
        "program": record.fit.code,
    }
    table = Table(title=f"{card.title}, {record.bits} bits, seed {record.seed}", box=None, show_header=False)
    for name, value in rows.items():
        table.add_row(name, value)
    return table
