"""The table of trials: nothing is lost on its way through CSV, and what it says of who won and what was spent."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT, read_params
from hypothesis import given
from hypothesis import strategies as st

from hashbench.config.params import Params, load_params
from hashbench.errors import HashbenchError
from hashbench.search.choices import choices, chosen, not_chosen, over_budget
from hashbench.search.trials import Fit, best_first, by_method, csv_of, mean_map, of_trial, read_fits

VALUES = st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
FITS = st.builds(
    Fit,
    method=st.sampled_from(["one", "other"]),
    round=st.sampled_from([1, 2]),
    trial=st.integers(1, 4),
    dataset=st.just("digits"),
    backbone=st.just("vit"),
    hold_out=st.integers(0, 1),
    bits=st.sampled_from([16, 32]),
    seed=st.integers(0, 1),
    hyperparameters=st.dictionaries(st.text(min_size=1, max_size=5), VALUES | st.none(), max_size=3),
    steps=st.integers(0, 2000),
    state=st.just("complete"),
    map=st.none() | st.floats(0, 1),
)


def fit(trial: int, value: float | None, round: Any = 2, method: str = "m", steps: int = 5, **setting: Any) -> Fit:
    state: Any = "complete" if value is not None else "pruned"
    where = {"dataset": "d", "backbone": "b", "hold_out": 0, "bits": 32, "seed": 0}
    said = {"hyperparameters": setting or {"a": trial}, "steps": steps, "state": state, "map": value}
    return Fit.model_validate({"method": method, "round": round, "trial": trial, **where, **said})


@given(fits=st.lists(FITS, max_size=5))
def test_a_table_comes_back_from_csv_as_it_was(tmp_path_factory: pytest.TempPathFactory, fits: list[Fit]) -> None:
    path = tmp_path_factory.mktemp("table") / "trials.csv"
    path.write_text(csv_of(fits), encoding="utf-8")
    assert read_fits(path) == fits


@pytest.mark.parametrize("text", ["method,round\nm,1\n", "a\nb\n", csv_of([fit(1, 0.5)]).replace("complete", "done")])
def test_what_is_no_table_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "trials.csv"
    path.write_text(text)
    with pytest.raises(HashbenchError, match=r"trials\.csv is damaged \(no table of trials"):
        read_fits(path)


def test_a_table_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(HashbenchError, match=r"none\.csv is missing; `nox -s search` makes it"):
        read_fits(tmp_path / "none.csv")


def test_the_best_mean_of_round_2_wins_and_a_tie_goes_to_the_earlier() -> None:
    fits = [fit(1, 0.9, round=1), fit(2, 0.1, round=1)]
    fits += [fit(1, 0.2), fit(1, 0.4), fit(2, 0.5), fit(2, 0.3), fit(3, 0.4), fit(3, 0.4), fit(4, 0.99), fit(4, None)]
    assert best_first(fits, 2) == [2, 3, 1], "what was not finished everywhere cannot win"
    assert best_first([*fits, fit(5, 0.9)], 2) == [2, 3, 1], "nor can what did not go as far"
    assert chosen(fits) == {"a": 2}
    assert best_first(fits, 1) == [1, 2]
    names, line = choices(fits)
    assert dict(zip(names, line, strict=True)) == {
        "method": "m",
        "official": pytest.approx(0.3),
        "present": pytest.approx(0.4),
        "searched": pytest.approx(0.4),
        "trial": 2,
        "hyperparameters": '{"a": 2}',
    }
    assert chosen([fit(1, None)]) is None
    assert mean_map([]) is None


def test_values_that_the_search_did_not_choose_are_named() -> None:
    fits = [fit(1, 0.2, a=1, b="x"), fit(2, 0.5, a=2, b="y")]
    assert not_chosen({"a": 2, "b": "y"}, fits) == {}
    assert not_chosen({"a": 1, "b": "y", "c": 0}, fits) == {"a": 1, "c": 0}


def test_another_budget_is_told() -> None:
    budget = load_params(ROOT / "params.yaml").search.budget_of(None).model_copy(update={"trials": 2})
    good = [fit(1, 0.1, round=1), fit(2, 0.2, round=1)]
    assert over_budget(good, budget) == []
    assert over_budget(good[:1], budget) == ["m had 1 trials, the budget is 2"]
    long = [*good, fit(1, 0.1, steps=10**6)]
    assert over_budget(long, budget) == [f"m had a fit of 1000000 steps, the budget is {budget.steps.high}"]


COMMITTED = {path.parent.parent.name: path for path in sorted((ROOT / "results").glob("*/search/trials.csv"))}


@pytest.mark.parametrize("profile", COMMITTED)
def test_every_method_had_the_same_budget(profile: str) -> None:
    params, fits = load_params(ROOT / "params.yaml"), read_fits(COMMITTED[profile])
    assert over_budget(fits, params.budget_of(profile)) == []
    assert {len(of_trial(of_one, 1)) for of_one in by_method(fits).values()} == {params.search.trials}


def test_a_value_with_the_source_search_is_that_of_the_best_trial() -> None:
    """Of methods, in a committed search of any profile; of a profile's overrides, in that of the profile."""
    params = read_params(ROOT)
    found = {profile: by_method(read_fits(path)) for profile, path in COMMITTED.items()}
    for method, block in params["methods"].items():
        searches = [of_method[method] for of_method in found.values() if method in of_method]
        check(method, block, searches)
    for profile, block in params["profiles"].items():
        for method, entries in block["overrides"].items():
            check(method, entries, [found[profile][method]] if method in found.get(profile, {}) else [])


def check(method: str, entries: dict[str, Any], searches: list[list[Fit]]) -> None:
    values = {
        name: entry["value"]
        for name, entry in entries.items()
        if isinstance(entry, dict) and entry["source"] == "search"
    }
    told = json.dumps({method: values})
    assert not values or any(not not_chosen(values, fits) for fits in searches), f"no search chose {told}"


@pytest.mark.parametrize("profile", COMMITTED)
def test_the_page_tells_what_every_search_chose(profile: str) -> None:
    """docs/methods.md has a row for every method that was searched, as params.yaml has it."""
    params = load_params(ROOT / "params.yaml")
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    section = page.partition(f"\n### What the search of `{profile}` chose\n")[2].partition("\n##")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \|", section, re.MULTILINE)
    assert dict(rows) == {method: told(params, profile, method) for method in by_method(read_fits(COMMITTED[profile]))}


def told(params: Params, profile: str, method: str) -> str:
    """The official and the searched value of every hyperparameter that was searched, as the page writes them."""
    official, searched = params.settings(method, profile)["official"], params.method(method, profile).values
    return ", ".join(
        f"{name.replace('_', ' ')} {short(official[name])} → {short(searched[name])}"
        for name in params.search.spaces[method]
    )


def short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else f"{value:,}"
