"""The stages `search` and `search_report`: from the params that the stage `params` wrote to the committed results."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hashbench.artefacts.layout import Layout
from hashbench.artefacts.params import write_params
from hashbench.config.params import load_params
from hashbench.errors import HashbenchError
from hashbench.search.trials import best_first, by_method, mean_map, of_trial, read_fits
from hashbench.stages import search, search_report
from hashbench.stages.params import params_of_stages

SEARCHED = ("contrastive", "deepbit", "dsh")


@pytest.fixture
def results(project: Path, in_this_process: Callable[..., None]) -> Path:
    in_this_process()
    write_params(Layout("quick").params, params_of_stages(load_params(), "quick"))
    for method in (*SEARCHED, "lsh"):
        search.main("quick", method)
    search_report.main("quick")
    return project / "results" / "quick" / "search"


def lines_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.open()))


def test_the_results_are_one_table_what_was_chosen_and_what_counts(results: Path) -> None:
    files = {path.relative_to(results).as_posix() for path in results.rglob("*") if path.is_file()}
    pictures = {f"best_so_far.{ending}" for ending in ("csv", "pdf", "svg")}
    assert files == {"trials.csv", "choices.csv", "importance.csv", "cost/seconds.csv", *pictures}
    fits = by_method(read_fits(results / "trials.csv"))
    assert tuple(fits) == SEARCHED, "a method without anything to search has no line"
    assert {len(of_trial(of_one, 1)) for of_one in fits.values()} == {6}
    for line in lines_of(results / "choices.csv"):
        of_method = fits[line["method"]]
        best = best_first(of_method, 2)[0]
        second = of_trial(of_method, 2)
        assert int(line["trial"]) == best
        assert json.loads(line["hyperparameters"]) == second[best][0].hyperparameters
        first = {trial: [f for f in of_one if (f.hold_out, f.seed) == (0, 0)] for trial, of_one in second.items()}
        assert {len(of_one) for of_one in first.values()} == {2}, "all finalists, at both code lengths"
        for name, trial in {"official": 1, "present": 2, "searched": best}.items():
            assert float(line[name]) == mean_map(first[trial])
    assert {line["method"] for line in lines_of(results / "importance.csv")} == set(SEARCHED)
    seconds = lines_of(results / "cost" / "seconds.csv")
    assert all(float(line["seconds"]) > 0 for line in seconds)
    assert [line["method"] for line in seconds] == [fit.method for of_method in fits.values() for fit in of_method]
    for line in lines_of(results / "best_so_far.csv"):
        earlier = [fit.map for fit in fits[line["method"]] if fit.round == 1 and fit.trial <= int(line["trial"])]
        assert float(line["best"]) == max(value for value in earlier if value is not None)


def test_the_results_are_content_but_for_the_seconds(results: Path) -> None:
    before = {path: path.read_bytes() for path in results.glob("*.*")}
    for method in SEARCHED:
        Layout("quick").study(method).unlink()
        search.main("quick", method)
    search_report.main("quick")
    assert {path: path.read_bytes() for path in results.glob("*.*")} == before


def test_a_method_with_another_budget_is_refused(results: Path) -> None:
    params = load_params()
    smaller = params.search.model_copy(update={"trials": 4})
    write_params(Layout("quick").params, params_of_stages(params.model_copy(update={"search": smaller}), "quick"))
    search.main("quick", "dsh")
    with pytest.raises(
        HashbenchError, match=r"^contrastive had 6 trials, the budget is 4; run the search of this method"
    ):
        search_report.main("quick")
