"""`hashbench adopt`: what the search of a profile chose stands in its overrides, and the search stays what it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers import read_params, write_params
from search.conftest import search_of

from hashbench.cli import main
from hashbench.config.params import load_params
from hashbench.config.selection import search_params
from hashbench.errors import HashbenchError
from hashbench.search.choices import adopted, as_yaml
from hashbench.search.trials import Fit, csv_of


def fit(method: str, trial: int, value: float, **setting: Any) -> Fit:
    where = {"dataset": "digits", "backbone": "vit_micro", "hold_out": 0, "bits": 12, "seed": 0}
    said = {"hyperparameters": setting, "steps": 5, "state": "complete", "map": value}
    return Fit.model_validate({"method": method, "round": 2, "trial": trial, **where, **said})


def searched(project: Path, *fits: Fit) -> None:
    """Let the project have the results of a search."""
    folder = project / "results" / "quick" / "search"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "trials.csv").write_text(csv_of(fits))


def adopt(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["-q", "adopt", *arguments])
    return int(ended.value.code or 0)


def values_of(method: str) -> dict[str, Any]:
    return load_params().method(method, "quick").values


def test_the_best_setting_is_adopted_and_the_search_is_not_stale(project: Path) -> None:
    present = values_of("dsh")
    before, fingerprint = search_params(load_params(), "quick", "dsh"), search_of("dsh").fingerprint
    best = {**present, "neighbours": 7, "groups_per_bit": 1e-05}
    searched(project, fit("dsh", 1, 0.2, **present), fit("dsh", 3, 0.4, **best))
    assert adopt() == 0
    assert values_of("dsh") == best
    assert search_params(load_params(), "quick", "dsh") == before
    assert search_of("dsh").fingerprint == fingerprint
    entries = read_params(project)["profiles"]["quick"]["overrides"]["dsh"]
    assert set(entries) == set(before.space)
    assert {entry["source"] for entry in entries.values()} == {"search"}


def test_adopting_changes_no_other_line_and_a_second_time_none(project: Path) -> None:
    file = project / "params.yaml"
    from dvc.utils.serialize import modify_yaml

    with modify_yaml(str(file)):
        pass  # as DVC lays it out
    lines = file.read_text().splitlines()
    searched(project, fit("dsh", 2, 0.4, **{**values_of("dsh"), "neighbours": 7}))
    assert adopt() == 0
    once = file.read_text()
    left = [line for line in once.splitlines() if line not in lines]
    assert left == [
        "    overrides:",
        "      dsh:",
        *("        " + line for line in as_yaml(dict(sorted(values_of("dsh").items()))).splitlines()),
    ]
    assert adopt() == 0
    assert file.read_text() == once


def test_what_a_new_search_chose_takes_the_place_of_the_old(project: Path) -> None:
    present = values_of("dsh")
    for neighbours in (7, 9):
        searched(project, fit("dsh", 2, 0.4, **{**present, "neighbours": neighbours}))
        assert adopt() == 0
        assert values_of("dsh") == {**present, "neighbours": neighbours}


def test_where_the_official_setting_won_all_of_it_is_adopted() -> None:
    fits = [fit("m", 1, 0.5, searched=1, wide=True, same=3)]
    assert adopted(fits, {"searched": 1, "wide": False, "same": 3}, ["searched"]) == {"searched": 1, "wide": True}
    assert adopted([], {"searched": 1}, ["searched"]) == {}


def test_a_value_by_hand_is_never_overwritten(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    params = read_params(project)
    params["profiles"]["quick"]["overrides"] = {"dsh": {"neighbours": {"value": 4, "source": "ours"}}}
    write_params(project, params)
    searched(project, fit("dsh", 2, 0.4, **{**values_of("dsh"), "neighbours": 7}))
    before = (project / "params.yaml").read_bytes()
    assert adopt() == 2
    assert "key 'profiles.quick.overrides.dsh.neighbours' has a value by hand" in capsys.readouterr().err
    assert (project / "params.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), r"results/quick/search/trials.csv is missing; `nox -s search` makes it"),
        (("--profile", "quik"), "profile: unknown name 'quik'; did you mean 'quick'?"),
    ],
)
def test_what_is_missing_is_named(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], sentence: str
) -> None:
    assert adopt(*arguments) == 2
    assert sentence in capsys.readouterr().err


def test_methods_is_where_a_search_begins_and_takes_none_of_its_values(project: Path) -> None:
    params = read_params(project)
    params["methods"]["dsh"]["neighbours"] = {"value": 4, "source": "search"}
    write_params(project, params)
    with pytest.raises(HashbenchError, match=r"key 'methods\.dsh\.neighbours' has the source 'search'"):
        load_params()


def test_a_method_that_runs_nowhere_in_a_profile_has_nothing_to_search(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = read_params(project)
    params["profiles"]["quick"]["methods"] = ["lsh", "contrastive"]
    write_params(project, params)
    assert search_params(load_params(), "quick", "contrastive").space
    assert search_params(load_params(), "quick", "dsh").space == {}
    with pytest.raises(SystemExit, match="2"):
        main(["-q", "search", "dsh"])
    assert "dsh is not fitted in the profile quick, so there is nothing to search" in capsys.readouterr().err
