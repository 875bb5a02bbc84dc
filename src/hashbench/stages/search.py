"""Search the hyperparameters of one method on the train rows of a profile, and keep every fit of the search.

A method without a search space has an empty table, so that the stage is the same for all.
"""

from __future__ import annotations

from hashbench.artefacts import store
from hashbench.artefacts.layout import Layout
from hashbench.artefacts.params import read_params
from hashbench.config.selection import MethodSearchParams
from hashbench.execution.command import log, run_stage
from hashbench.search.rounds import MethodSearch, Result
from hashbench.search.trials import csv_of, csv_text


def main(profile: str, method: str) -> None:
    """Search the hyperparameters of `method` and write the table of its fits."""
    layout = Layout(profile)
    params = read_params(layout, f"search/{method}", MethodSearchParams)
    results, importance = MethodSearch.of(profile, params).run() if params.space else ([], {})
    store.write_text(layout.trials(method), csv_of(fit for fit, _ in results))
    rows = [("method", "hyperparameter", "importance"), *((method, *each) for each in sorted(importance.items()))]
    store.write_text(layout.importance(method), csv_text(rows))
    if results:
        store.write_text(layout.search_seconds(method), csv_text(seconds_of(results)))
    log.info("search %s: %d fits", method, len(results))


def seconds_of(results: list[Result]) -> list[tuple[object, ...]]:
    """The seconds of every fit, by what tells one fit from another."""
    names = ("method", "round", "trial", "dataset", "backbone", "hold_out", "bits", "seed")
    rows = [(*(getattr(fit, name) for name in names), outcome.seconds) for fit, outcome in results]
    return [(*names, "seconds"), *rows]


if __name__ == "__main__":
    run_stage(main, "profile", "method")
