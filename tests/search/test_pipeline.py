"""The pipeline of the search: what it makes, what an edit of a space makes stale, and what becomes of its choice."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import dvc, hashbench, read_params, stages_run, write_params

from hashbench.artefacts.layout import Layout
from hashbench.artefacts.records import read_records
from hashbench.search.choices import chosen
from hashbench.search.trials import of_trial, read_fits

PIPELINE, OFFICIAL = "pipelines/search-quick/dvc.yaml", "pipelines/quick-official/dvc.yaml"


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

    hashbench(folder, "adopt")
    assert stages_run(dvc(folder, "repro")) == ["params", "fit@nsh", "evaluate", "report"]
    best = chosen(read_fits(folder / "results" / "quick" / "search" / "trials.csv"))
    found = {
        str(run.fit.hyperparameters)
        for run in read_records(Layout("quick", root=folder).records)
        if run.method == "nsh"
    }
    assert found == {str(dict(sorted((best or {}).items())))}
    assert stages_run(dvc(folder, "repro", PIPELINE)) == [], "a search is not stale for its choice was adopted"

    hashbench(folder, "check", "quick", "--official")
    ran = [f"{OFFICIAL}:{name}" for name in ("fit@nsh", "fit@lsh", "evaluate", "report")]
    assert sorted(stages_run(dvc(folder, "repro", OFFICIAL))) == sorted(ran)
    table = (folder / "results" / "quick" / "official" / "official.md").read_text()
    assert "Kendall's τ of the two orders of the 2 methods" in table
    assert re.search(r"\| NSH \| \d+ of 200 epochs \|", table)
    said = hashbench(folder, "verify", "results/quick/official").stdout
    assert said.endswith("results/quick/official: 2 of 2 runs recomputed from their codes, no differences\n")
    assert "Official and searched settings" in hashbench(folder, "show", "official").stdout
    assert "@" in hashbench(folder, "cite", "official").stdout
