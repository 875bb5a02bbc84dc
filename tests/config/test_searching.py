"""The blocks `search` and `official` of params.yaml: what is refused, and what a profile makes of them."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT, read_params, to_yaml
from hypothesis import given
from hypothesis import strategies as st

from hashbench.config.lengths import cut, rows_of_a_search, steps_an_epoch, steps_of
from hashbench.config.params import Params, load_params
from hashbench.config.selection import evaluate_params, fit_params, report_params, search_params
from hashbench.errors import HashbenchError

GOOD: dict[str, Any] = read_params(ROOT)


def loaded(folder: Path, **places: Any) -> Params:
    """params.yaml with other values at some places, `a__b__c` for the key a.b.c."""
    params = copy.deepcopy(GOOD)
    for place, value in places.items():
        *way, last = place.split("__")
        block = params
        for key in way:
            block = block[key]
        block[last] = value
    path = folder / "params.yaml"
    path.write_text(to_yaml(params))
    return load_params(path)


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    [
        ("search__spaces__nsj", {"m": [1, 2]}, "search.spaces: unknown name 'nsj'; did you mean 'nsh'?"),
        ("search__spaces__nsh", {"n": [1, 2]}, "search.spaces.nsh: unknown name 'n'"),
        ("search__spaces__nsh__m", [1], "key 'search.spaces.nsh.m' is [1]"),
        ("search__spaces__nsh__m", {"low": 3, "high": 3}, "nsh.m.low' must be below high, which is 3, got 3"),
        ("search__spaces__nsh__m", {"low": 0, "high": 3, "log": True}, "nsh.m.low' must be above 0 on a logarithmic"),
        ("search__spaces__nsh__m", {"low": 0, "high": 3}, "key 'search.spaces.nsh.m' is 0; it must be a whole number"),
        ("search__spaces__nsh__m", {"low": 1.0, "high": 3.0}, "key 'search.spaces.nsh.m' is 1.0; it must be a whole"),
        (
            "search__spaces__nsh__m",
            {"low": 1, "high": 40},
            "'search.spaces.nsh.m' is 40; it must be below batch_size",
        ),
        ("search__spaces__nsh__sorter", ["softsort", "bubble"], "key 'search.spaces.nsh.sorter' is 'bubble'"),
        ("search__spaces__dsh__neighbours", "steps", "key 'search.spaces.dsh' has a length in steps, which takes a"),
        (
            "search__spaces__agh1__anchors",
            {"low": 5, "high": 9},
            "'search.spaces.agh1.nearest' is 10; it must be at most",
        ),
        ("search__trials", 1, "key 'search.trials' is 1"),
        ("search__hold_outs", 11, "key 'search.hold_outs' is 11"),
        ("search__steps", {"low": 0.5, "high": 3.0}, "key 'search.steps' must be whole numbers from 1 on"),
        ("official__nsh", {"n": {"value": 1, "source": "paper"}}, "official.nsh: unknown name 'n'"),
        ("official__nsj", {}, "official: unknown name 'nsj'"),
        ("official__nsh__epochs", {"value": 0, "source": "paper"}, "key 'official.nsh.epochs.value' is 0"),
        ("profiles__cpu__settings_of", "cpi", "profiles.cpu.settings_of: unknown name 'cpi'; did you mean 'cpu'?"),
        ("profiles__cpu__settings_of", "cpu", "it must be another profile that has no settings_of itself"),
        ("profiles__cpu__settings_of", "quick", "key 'profiles.cpu.settings_of' is 'quick'; it must be another"),
        ("profiles__quick__most_steps", 2.5, "key 'profiles.quick.most_steps' is 2.5"),
        ("profiles__quick__most_steps", 3, "key 'profiles.quick.most_steps' is 3; it must be above search.steps.low, "),
    ],
)
def test_a_wrong_block_is_refused_in_one_sentence(tmp_path: Path, place: str, value: Any, sentence: str) -> None:
    with pytest.raises(HashbenchError) as error:
        loaded(tmp_path, **{place: value})
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_a_space_decides_no_fit_and_no_table(tmp_path: Path) -> None:
    before, after = loaded(tmp_path), loaded(tmp_path, search__spaces__nsh={"m": [2, 5]}, search__trials=99)
    for method in before.methods:
        found = [fit_params(params, "cpu", "methods", method) for params in (before, after)]
        assert found[0] == found[1]
    assert report_params(after, "cpu", "methods") == report_params(before, "cpu", "methods")
    assert search_params(after, "cpu", "nsh") != search_params(before, "cpu", "nsh")


def test_official_settings_lie_over_a_profile_and_its_overrides(tmp_path: Path) -> None:
    official = {"m": {"value": 1, "source": "paper"}, "epochs": {"value": 200, "source": "paper"}}
    by_hand, searched = {"value": 0.9, "source": "ours"}, {"value": 0.7, "source": "search"}
    overrides = {"nsh": {"m": {"value": 3, "source": "ours"}, "quantisation": by_hand, "temperature": searched}}
    own = {"profiles__quick__overrides": overrides, "profiles__quick__settings_of": None}
    params = loaded(tmp_path, official={"nsh": official}, **own)
    plain = params.method("nsh", "cpu").values
    assert params.method("nsh", "quick").values == {**plain, "m": 3, "quantisation": 0.9, "temperature": 0.7}
    found = params.official_method("nsh", "quick")
    assert found.values == {**plain, "m": 1, "epochs": 200, "quantisation": 0.9}, "of a search it knows nothing"
    assert found.hyperparameters["m"].source == "paper"
    before = {**plain, "m": 3, "quantisation": 0.9}
    assert params.settings("nsh", "quick") == {"present": before, "official": found.values}
    assert params.official_method("contrastive", "quick") == params.method("contrastive", "quick")


def test_a_profile_with_the_settings_of_another_has_its_overrides_below_its_own(tmp_path: Path) -> None:
    of_another = {
        "nsh": {"m": {"value": 3, "source": "search"}, "quantisation": {"value": 0.9, "source": "ours"}},
        "lsh": {},
    }
    own = {"nsh": {"m": {"value": 4, "source": "ours"}}, "itq": {"iterations": {"value": 7, "source": "ours"}}}
    of = {"profiles__cpu__overrides": of_another, "profiles__quick__settings_of": "cpu"}
    shared = loaded(tmp_path, **of)
    for method in shared.methods:
        assert shared.method(method, "quick") == shared.method(method, "cpu")
    params = loaded(tmp_path, **of, profiles__quick__overrides=own)
    found = params.method("nsh", "quick").values
    assert (found["m"], found["quantisation"]) == (4, 0.9)
    assert params.method("itq", "quick").values["iterations"] == 7
    assert params.settings("nsh", "quick")["present"]["m"] == 4
    before = shared.settings("nsh", "quick")["present"]
    assert before == {**shared.methods["nsh"].values, "quantisation": 0.9}, "the search of another is no own setting"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"m": {"value": 0, "source": "ours"}}, "key 'profiles.cpu.overrides.nsh.m.value' is 0"),
        ({"n": {"value": 1, "source": "ours"}}, "profiles.cpu.overrides.nsh: unknown name 'n'"),
    ],
)
def test_a_wrong_value_is_named_where_it_stands_and_not_where_it_is_used(
    tmp_path: Path, values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(HashbenchError, match=re.escape(sentence)):
        loaded(tmp_path, profiles__cpu__overrides={"nsh": values}, profiles__quick__settings_of="cpu")


def test_methods_with_something_to_search_have_official_settings(tmp_path: Path) -> None:
    params = loaded(tmp_path, profiles__quick__methods=["nsh", "lsh", "itq"])
    assert params.names("quick", "official") == ["nsh", "itq"]
    assert params.bits("quick", "official") == params.bits("quick", "methods")
    assert evaluate_params(params, "quick", "official").keep_codes == []
    assert fit_params(params, "quick", "official", "lsh").bits == []
    assert list(report_params(params, "quick", "official").methods) == ["nsh", "lsh", "itq"]


def test_lengths_of_official_settings_are_cut_where_the_rows_are_known(tmp_path: Path) -> None:
    params = loaded(tmp_path, search__steps={"low": 10, "high": 100})
    fit = fit_params(params, "cpu", "official", "nsh")
    assert fit.hyperparameters["epochs"] == 200
    in_search = search_params(params, "cpu", "nsh")
    assert fit.hyperparameters_for(500) == {**fit.hyperparameters, "epochs": 100 // (350 // 50)}
    assert fit.hyperparameters_for(500) == cut(in_search.official, ["epochs"], rows_of_a_search(500), 100)
    searched = fit_params(params, "cpu", "methods", "nsh")
    assert searched.hyperparameters_for(500) == searched.hyperparameters


def test_a_profile_may_have_a_limit_of_its_own(tmp_path: Path) -> None:
    steps = {"low": 10, "high": 500, "log": True}
    params = loaded(tmp_path, search__steps=steps, profiles__quick__most_steps=50)
    assert fit_params(params, "quick", "official", "nsh").hyperparameters_for(500)["epochs"] == 50 // (350 // 50)
    present = fit_params(params, "quick", "methods", "nsh")
    assert present.hyperparameters_for(500) == {**present.hyperparameters, "epochs": 50 // (350 // 64)}
    searched = {name: search_params(params, name, "nsh").budget.steps for name in ("quick", "cpu")}
    assert (searched["quick"].low, searched["quick"].high, searched["quick"].log) == (10, 50, True)
    assert searched["cpu"].high == 500


@given(
    batch=st.integers(1, 600),
    first=st.integers(1, 500),
    second=st.integers(1, 500),
    n=st.integers(1, 5000),
    most=st.integers(1, 3000),
)
def test_lengths_are_cut_in_proportion(batch: int, first: int, second: int, n: int, most: int) -> None:
    values = {"batch_size": batch, "a": first, "b": second, "c": 7}
    found = cut(values, ["a", "b"], n, most)
    steps, an_epoch = steps_of(found, ["a", "b"], n), steps_an_epoch(values, n)
    assert steps <= max(most, 2 * an_epoch), "more only where each has one epoch left"
    assert {name: found[name] for name in ("batch_size", "c")} == {"batch_size": batch, "c": 7}
    a, b = int(found["a"] or 0), int(found["b"] or 0)
    assert 1 <= a <= first
    assert 1 <= b <= second
    if steps_of(values, ["a", "b"], n) <= most:
        assert found == values
    elif min(a, b) > 1:
        assert abs(a / (a + b) - first / (first + second)) <= 2 / (a + b)


def test_steps_are_those_of_the_training_loop() -> None:
    """Against the loop itself: an incomplete last batch is left out, unless it is the only one."""
    import torch
    from torch import nn

    from hashbench.learning.session import Session
    from hashbench.learning.training import Recipe, Training, minimise

    for n, batch, epochs in ((10, 3, 2), (10, 10, 3), (10, 16, 1), (7, 2, 4)):
        taken: list[int] = []
        network = nn.Linear(1, 1)
        training = Training(
            network,
            lambda rows: (rows.float()[:, None],),
            lambda rows, network=network: {"loss": network(rows).square().mean()},  # type: ignore[misc]
            n,
            Recipe("sgd", 1e-9, batch, epochs),
            torch.Generator().manual_seed(0),
            "counted",
        )
        minimise([training], Session(stopping=lambda taken=taken: bool(taken.append(1))))  # type: ignore[misc]
        assert len(taken) == steps_of({"batch_size": batch, "epochs": epochs}, ["epochs"], n)
