"""`hashbench fit METHOD`: try a method on a profile's features and see its row beside those of the table.

Nothing is written: a method earns its place in the tables by a block in params.yaml.
"""

from __future__ import annotations

import argparse
import logging
from statistics import fmean
from typing import TYPE_CHECKING

from hashbench.commands.printing import print_table
from hashbench.commands.trials import add_trial_arguments, fitter_for, settings_of, time_limit
from hashbench.errors import HashbenchError

if TYPE_CHECKING:
    from hashbench.cells import Cell
    from hashbench.config.params import Params
    from hashbench.fitter import Fitter

log = logging.getLogger("hashbench")

HELP = "fit a method on a profile's features and print its row; METHOD may be your own file"

Column = tuple[str, str, int]
Row = dict[Column, float]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_trial_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Fit the method once for every data set, backbone and code length of the profile and print its mAP."""
    from hashbench.config.params import load_params
    from hashbench.execution.processes import use_one_core
    from hashbench.progress import track

    params, settings = load_params(), settings_of(arguments.set)
    for key, values in settings.items():
        if len(values) > 1:
            raise HashbenchError(f"--set {key} stands {len(values)} times; give one value, or use `hashbench validate`")
    once = {key: values[0] for key, values in settings.items()}
    fitter = fitter_for(params, arguments.profile, arguments.method, once, arguments.bits)
    use_one_core()  # as the stage does, for the same bits
    measured: Row = {}
    for cell in track(list(fitter.params.cells()), f"fit {arguments.method}"):
        measured[cell.dataset, cell.backbone, cell.bits] = _measured(fitter, cell, params, arguments.timeout)
    title = f"{fitter.method_class.title} (this run, one seed)"
    _print(title, measured, _recorded(params, arguments.profile), arguments.profile)


def _measured(fitter: Fitter, cell: Cell, params: Params, timeout: float | None) -> float:
    """The mAP of a cell, fitted within `timeout` seconds; a warning where its codes waste bits."""
    from hashbench.evaluation.summary import EvaluationRules, evaluate_codes
    from hashbench.fitting import wasted_bits

    where = f"{fitter.method_class.title} on {cell.dataset}, {cell.bits} bits"
    features = fitter.features(cell.dataset, cell.backbone)
    with time_limit(timeout, f"{where}: fit and encode"):
        (fitted,) = fitter.fitted((cell,))
    query, database = fitted.codes["query"], fitted.codes["database"]
    for remark in wasted_bits(database):
        log.warning("%s: %s", where, remark)
    k, denominator, empty = params.datasets[cell.dataset].k, params.evaluation.denominator, params.evaluation.empty
    return evaluate_codes(query, database, features.split, EvaluationRules(k, denominator, empty, [1])).map


def _recorded(params: Params, profile: str) -> dict[str, Row]:
    """Mean mAP over seeds of every method of the tables that has run records, by title."""
    from hashbench.artefacts.layout import Layout
    from hashbench.artefacts.records import read_records
    from hashbench.methods.registry import load_method

    path = Layout(profile).records
    found: dict[str, dict[Column, list[float]]] = {}
    for record in read_records(path) if path.is_file() else []:
        if record.method in params.methods:
            column = record.dataset, record.backbone, record.bits
            found.setdefault(record.method, {}).setdefault(column, []).append(record.evaluation.map)
    titles = {method: load_method(params.methods[method].code).title for method in found}
    return {titles[method]: {column: fmean(maps) for column, maps in row.items()} for method, row in found.items()}


def _print(title: str, measured: Row, recorded: dict[str, Row], profile: str) -> None:
    from rich.table import Table

    rows = {**{name: row for name, row in recorded.items() if set(measured) <= set(row)}, title: measured}
    table = Table(title=f"mAP on profile {profile}", title_justify="left", box=None, header_style="bold")
    table.add_column("method")
    for dataset, backbone, n_bits in measured:
        table.add_column(f"{dataset}\n{backbone}\n{n_bits} bits", justify="right")
    for name, row in sorted(rows.items(), key=lambda item: fmean(item[1][column] for column in measured)):
        style = "bold" if name == title else ""
        table.add_row(name, *(f"{row[column]:.4f}" for column in measured), style=style)
    print_table(table)
