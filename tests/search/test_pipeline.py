"""The pipeline of the search: what it makes, and what an edit of a space makes stale."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import dvc, hashbench, read_params, stages_run, write_params

from hashbench.search.trials import of_trial, read_fits

PIPELINE = "pipelines/search-quick/dvc.yaml"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_space_makes_the_search_of_its_method_stale_and_nothing_else(
    finished: Callable[[Path], Path], tmp_path: Path
) -> None:
    folder = finished(tmp_path / "project")
    params = read_params(folder)
    params["search"] |= {"trials": 3, "at_once": 2, "finalists": 1, "hold_outs": 1, "seeds": 1}
    params["search"]["steps"] = {"low": 2, "high": 20, "log": True}
    write_params(folder, params)
    assert stages_run(dvc(folder, "repro")) == ["params"]
    hashbench(folder, "check", "quick", "--search")
    searches = [f"{PIPELINE}:search@{method}" for method in ("nsh", "lsh")]
    assert sorted(stages_run(dvc(folder, "repro", PIPELINE))) == sorted([*searches, f"{PIPELINE}:search_report"])
    fits = read_fits(folder / "results" / "quick" / "search" / "trials.csv")
    assert {fit.method for fit in fits} == {"nsh"}
    assert list(of_trial(fits, 1)) == [1, 2, 3]
    assert stages_run(dvc(folder, "repro", PIPELINE)) == []

    def change(place: str, value: Any) -> None:
        params["search"]["spaces"]["nsh"][place] = value
        write_params(folder, params)

    change("m", {"low": 1, "high": 4})
    assert stages_run(dvc(folder, "repro")) == ["params"]
    assert stages_run(dvc(folder, "repro", PIPELINE)) == [searches[0], f"{PIPELINE}:search_report"]
