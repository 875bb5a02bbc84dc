"""`hashbench validate METHOD`: try hyperparameters on the train rows alone, several values of one in turn.

One train row in ten is held out as a query and searched for among two others in ten; the method is fitted on the rest.
The queries and the database of the benchmark are never looked at, so what is chosen this way is chosen fairly. A trial
of `hashbench search` is such a fit: `--set` with its setting gives its number.
"""

from __future__ import annotations

import argparse
from itertools import product
from typing import TYPE_CHECKING

from hashbench.commands.printing import print_table
from hashbench.commands.trials import add_trial_arguments, fitter_for, settings_of, time_limit

if TYPE_CHECKING:
    from hashbench.cells import Cell
    from hashbench.fitter import Fitter

HELP = "try hyperparameters of a method on held-out train rows, never on query rows; a repeated --set is a sweep"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_trial_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Print the validation mAP of the method for every data set, backbone, code length and combination of settings."""
    from rich.table import Table

    from hashbench.config.params import load_params
    from hashbench.execution.processes import use_one_core
    from hashbench.progress import track

    params, settings = load_params(), settings_of(arguments.set)
    combinations = [dict(zip(settings, values, strict=True)) for values in product(*settings.values())]
    tried = {
        ", ".join(f"{key}={value}" for key, value in combination.items()): fitter_for(
            params, arguments.profile, arguments.method, combination, arguments.bits
        )
        for combination in combinations
    }
    use_one_core()
    some = next(iter(tried.values()))
    title, cells = some.method_class.title, list(some.params.cells())
    table = Table(title=f"{title}, held-out train rows", title_justify="left", box=None)
    for column in ("data set", "backbone", "setting"):
        table.add_column(column)
    for column in ("bits", "mAP@k", "k", "seconds to fit"):
        table.add_column(column, justify="right")
    for cell, (setting, fitter) in track(list(product(cells, tried.items())), f"validate {title}"):
        with time_limit(arguments.timeout, f"{title} on {cell.dataset}, {cell.bits} bits: fit and encode"):
            found, k, seconds = _validated(fitter, cell, params.datasets[cell.dataset].k)
        row = (cell.dataset, cell.backbone, setting or "that of params.yaml", str(cell.bits))
        table.add_row(*row, f"{found:.4f}", str(k), f"{seconds:.1f}")
    print_table(table)


def _validated(fitter: Fitter, cell: Cell, k: int | None) -> tuple[float, int, float]:
    """The mAP@k of held-out train rows, its k, and the seconds of the fit."""
    from hashbench.execution.sessions import session_of
    from hashbench.fitting import fit_cells
    from hashbench.search.hold_outs import cut_off, hold_out, validation_map
    from hashbench.seeding import run_seed

    method, base_seed = fitter.new_method(), fitter.params.base_seed
    features = fitter.features(cell.dataset, cell.backbone)
    held = hold_out(features, run_seed(base_seed, "validation", cell.dataset), 0)
    session = session_of(fitter.params, cell.name, None, lambda: False)
    (fitted,) = fit_cells([method], held, [cell.bits], [cell.derived_seed(base_seed)], session)
    k = cut_off(k, held)
    return validation_map(fitted.codes["query"], fitted.codes["database"], held.split, k), k, fitted.fit_seconds
