"""Gather the searches of all methods of a profile: every fit in one table, what was chosen, what counts, a figure."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hashbench.artefacts import store
from hashbench.artefacts.layout import Layout
from hashbench.artefacts.params import read_params
from hashbench.config.selection import SearchReportParams
from hashbench.errors import HashbenchError
from hashbench.execution.command import log, run_stage
from hashbench.methods.registry import load_method
from hashbench.report.figures.panels import files_of
from hashbench.report.figures.style import drawing
from hashbench.search.choices import choices, over_budget
from hashbench.search.figure import best_so_far
from hashbench.search.trials import Fit, csv_of, csv_text, read_fits


def main(profile: str) -> None:
    """Write the results of the search of `profile`.

    Raises HashbenchError where a method had another budget, or where there was none to search.
    """
    layout = Layout(profile)
    params = read_params(layout, "search_report", SearchReportParams)
    if not params.methods:
        raise HashbenchError("no method has anything to search: params.yaml has no search.spaces")
    fits = [fit for method in params.methods for fit in read_fits(layout.trials(method))]
    if faults := over_budget(fits, params.budget):
        raise HashbenchError(f"{faults[0]}; run the search of this method again")
    store.write_text(layout.search / "trials.csv", csv_of(fits))
    store.write_text(layout.search / "choices.csv", csv_text(choices(fits)))
    store.write_text(layout.search / "importance.csv", _one_below_the_other(map(layout.importance, params.methods)))
    store.write_text(
        layout.search / "cost" / "seconds.csv", _one_below_the_other(map(layout.search_seconds, params.methods))
    )
    _draw(layout, fits, {method: load_method(code).title for method, code in params.methods.items()})
    log.info("search: %d fits of %d methods, see %s", len(fits), len(params.methods), layout.search)


def _one_below_the_other(paths: Iterable[Path]) -> str:
    """The lines of CSV files of the same names."""
    files = [path.read_text(encoding="utf-8").splitlines(keepends=True) for path in paths]
    return "".join([*files[0][:1], *(line for lines in files for line in lines[1:])])


def _draw(layout: Layout, fits: list[Fit], titles: dict[str, str]) -> None:
    with drawing():
        files = files_of(best_so_far(fits, titles))
    for name, content in files.items():
        with store.replacing(layout.search / name) as temporary:
            temporary.write_bytes(content.encode() if isinstance(content, str) else content)


if __name__ == "__main__":
    run_stage(main, "profile")
