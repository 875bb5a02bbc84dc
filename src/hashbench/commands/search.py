"""`hashbench search METHOD`: search a method's hyperparameters on train rows, in two rounds, with the budget of all.

The stage `search` does the same for the committed results and finds what was done here.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from textwrap import indent
from typing import TYPE_CHECKING

from hashbench.commands.options import add_profile, whole_number

if TYPE_CHECKING:
    from rich.table import Table

    from hashbench.config.params import Params
    from hashbench.config.selection import MethodSearchParams
    from hashbench.search.trials import Fit

HELP = "search the hyperparameters of a method on held-out train rows, never on query rows"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("method", metavar="METHOD", help="a method that params.yaml has a search space for")
    add_profile(parser)
    parser.add_argument(
        "--trials", type=whole_number, metavar="N", help="settings to try, 2 or more (default: those of params.yaml)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Print the finalists and, as lines for params.yaml, what was chosen.

    What an earlier search of the same has finished is taken from it. Raises HashbenchError where the method has nothing
    to search, or the profile has no features yet.
    """
    from rich.console import Console

    from hashbench.artefacts.layout import Layout
    from hashbench.config.params import load_params
    from hashbench.execution.locks import holding
    from hashbench.search.choices import adopted, as_yaml
    from hashbench.search.rounds import MethodSearch

    asked = _asked(load_params(), arguments.profile, arguments.method, arguments.trials)
    with holding(Layout(arguments.profile).lock(f"search-{arguments.method}")):
        results, _ = MethodSearch.of(arguments.profile, asked).run()
    fits = [fit for fit, _ in results]
    console = Console()
    console.print(_table(fits, sorted(asked.space)))
    values = adopted(fits, asked.fit.hyperparameters, asked.space)
    if not values:
        console.print("No setting finished round 2.")
        return
    console.print(f"\nFor params.yaml, below profiles.{arguments.profile}.overrides.{arguments.method}:")
    console.print(indent(as_yaml(values), " " * 4), end="", highlight=False)


def _asked(params: Params, profile: str, method: str, trials: int | None) -> MethodSearchParams:
    from hashbench.config.params import known
    from hashbench.config.selection import search_params
    from hashbench.errors import HashbenchError

    known("method", method, params.methods)
    found = search_params(params, profile, method)
    if not found.space and method in params.search.spaces:
        raise HashbenchError(
            f"{method} is not fitted in the profile {profile}, so there is nothing to search; see `list`"
        )
    if not found.space:
        searched = ", ".join(sorted(params.search.spaces))
        raise HashbenchError(
            f"{method} has nothing to search: params.yaml has no search.spaces.{method} (has: {searched})"
        )
    if trials == 1:
        raise HashbenchError("--trials must be at least 2: the official and the present setting are the first two")
    changed = found.budget.model_copy(update={"trials": trials or found.budget.trials})
    return found.model_copy(update={"budget": changed})


def _table(fits: Sequence[Fit], names: Sequence[str]) -> Table:
    """The finalists, best of those that went furthest first: searched hyperparameters, validation mAP in both rounds,
    and over how many fits that of the second is the mean."""
    from rich.table import Table

    from hashbench.search.choices import OFFICIAL, PRESENT
    from hashbench.search.trials import best_first, mean_map, of_trial

    first, second = of_trial(fits, 1), of_trial(fits, 2)
    pruned = sum(of_one[0].state == "pruned" for of_one in first.values())
    title = f"{fits[0].method}: {len(first)} trials, {pruned} of them pruned; the finalists"
    table = Table("trial", "setting", title=title, title_justify="left", box=None)
    for column in ("round 1", "round 2"):
        table.add_column(f"mAP, {column}", justify="right")
    table.add_column("fits", justify="right")
    finished = best_first(fits, 2)
    for trial in [*finished, *(trial for trial in second if trial not in finished)]:
        maps = (mean_map(first[trial]), mean_map(second[trial]))
        values = first[trial][0].hyperparameters
        called = {OFFICIAL: "official: ", PRESENT: "present: "}.get(trial, "")
        setting = called + ", ".join(f"{name} {values[name]}" for name in names)
        shown = ["failed" if value is None else f"{value:.4f}" for value in maps]
        table.add_row(str(trial), setting, *shown, str(len(second[trial])))
    return table
