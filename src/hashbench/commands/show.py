"""`hashbench show`: a table, the figures, or one run, and where the files are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hashbench.errors import HashbenchError
from hashbench.layout import Layout
from hashbench.params import did_you_mean, load_params
from hashbench.stages.evaluate import read_record
from hashbench.types import RunRecord


def show(what: str, profile: str) -> None:
    """Print the table, figure list or run called `what`."""
    load_params().profile(profile)
    layout = Layout(profile)
    tables = sorted(layout.results.glob("*.md"))
    table = next((path for path in tables if path.stem == what), None)
    if table is not None:
        print(table.read_text(encoding="utf-8"))
        _print_files(layout.results, what)
    elif what == "figures":
        _print_files(layout.results, "figures")
    else:
        _print_run(what, layout, [path.stem for path in tables])


def _print_files(folder: Path, name: str) -> None:
    found = sorted(folder.rglob(f"{name}.*")) + sorted((folder / name).glob("*")) + [folder / "report.html"]
    print("Files:", *(f"  {path}" for path in found if path.is_file()), sep="\n")


def _print_run(name: str, layout: Layout, tables: list[str]) -> None:
    folders = (layout.runs, replace(layout, group="ablations").runs)
    runs = {path.stem: path for folder in folders for path in folder.glob("*.json")}
    if name not in runs:
        allowed = [*tables, "figures", *runs]
        if not runs:
            remedy = f"nox -s reproduce_table1 -- --profile {layout.profile}"
            raise HashbenchError(f"profile {layout.profile} has no results yet; run `{remedy}`")
        guess = did_you_mean(name, allowed).partition(" (allowed")[0]
        raise HashbenchError(f"nothing is called '{name}' in {layout.results}{guess}")
    record = read_record(runs[name])
    Console().print(_run_table(record))


def _run_table(record: RunRecord) -> Table:
    table = Table(title=f"{record.method_title}, {record.bits} bits, seed {record.seed}", box=None, show_header=False)
    low, high = record.map_ci95
    rows = {
        "data set": f"{record.dataset_title}, {record.split}, digest {record.split_digest}",
        "backbone": record.backbone_title,
        f"mAP@{record.k or 'all'}": f"{record.map:.4f} (95 % over queries: {low:.4f} to {high:.4f})",
        "by tie order": f"{record.map_pessimistic:.4f} to {record.map_optimistic:.4f}",
        "precision within radius 2": f"{record.precision_within_2:.4f}, "
        f"{record.found_nothing_within_2:.1%} of queries find nothing",
        "codes": f"{record.distinct_codes} distinct of {record.n_database}, largest bucket {record.largest_bucket}",
        "seconds": f"fit {record.seconds.fit:.2f}, encode {record.seconds.encode:.2f}, "
        f"evaluate {record.seconds.evaluate:.2f}",
        **{f"  {key}": f"{entry.value} ({entry.source})" for key, entry in record.hyperparameters.items()},
        "deviations": "\n".join(record.deviations) or "none",
        "made with": ", ".join(f"{name} {number}" for name, number in record.versions.items()),
        "device": record.device,
        "program": record.program_digest,
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table
