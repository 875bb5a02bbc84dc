"""What is proposed next: within the space, the same every time, and by what the finished trials reached."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from hashbench.config.lengths import steps_an_epoch, steps_of
from hashbench.config.params import load_params
from hashbench.config.searching import Budget, Range, Space, lengths_of
from hashbench.search import proposals
from hashbench.search.studies import frozen, outcomes_of, setting_of
from hashbench.search.trials import Outcome

PARAMS = load_params(ROOT / "params.yaml")
BUDGET = PARAMS.search.budget_of(None)
SPACES = sorted(PARAMS.search.spaces)


def outcome(value: float | None, checks: dict[int, float] | None = None) -> Outcome:
    state: Any = "complete" if value is not None else "failed"
    return Outcome(state=state, map=value, checks=checks or {}, steps=10, seconds=1.0)


def finished(space: dict[str, Space], maps: list[float | None], budget: Budget = BUDGET, seed: int = 1) -> list[Any]:
    """Trials of some draws that reached `maps`."""
    possible = proposals.distributions(space, budget)
    draws = proposals.proposed([], len(maps), [], possible, seed)
    study = proposals.new_study()
    study.add_trials([frozen(draw, possible, {}, [outcome(value)]) for draw, value in zip(draws, maps, strict=True)])
    return list(study.trials)


@pytest.mark.parametrize("method", SPACES)
def test_a_draw_is_a_setting_that_the_method_accepts(method: str) -> None:
    from hashbench.fitting import new_method
    from hashbench.methods.registry import load_method

    space, block = PARAMS.search.spaces[method], PARAMS.methods[method]
    method_class = load_method(block.code)
    for draw in proposals.proposed([], 8, [], proposals.distributions(space, BUDGET), seed=3):
        setting = proposals.hyperparameters_of(draw, block.values, space, 4500)
        new_method(method, method_class, setting)
        for name, allowed in space.items():
            if isinstance(allowed, Range):
                value: Any = setting[name]
                assert allowed.low <= value <= allowed.high
                assert isinstance(value, int) == (isinstance(allowed.low, int) and isinstance(allowed.high, int))
            elif isinstance(allowed, list):
                assert setting[name] in allowed


@pytest.mark.parametrize("method", SPACES)
def test_the_present_and_the_official_setting_have_a_draw(method: str) -> None:
    space, possible = PARAMS.search.spaces[method], proposals.distributions(PARAMS.search.spaces[method], BUDGET)
    for values in PARAMS.settings(method, "quick").values():
        draw = proposals.draw_of(values, space, BUDGET, 4500)
        assert proposals.proposed([], 1, [draw], possible, 0) == [draw]
        setting = proposals.hyperparameters_of(draw, values, space, 4500)
        unchanged = set(setting) - set(lengths_of(space))
        assert {name: setting[name] for name in unchanged} == {name: values[name] for name in unchanged}


@given(
    value=st.integers(-50, 50) | st.floats(-50, 50),
    low=st.integers(-20, 20),
    width=st.integers(1, 20),
    choices=st.lists(st.integers(-20, 20), min_size=2, unique=True),
)
def test_the_closest_draw_is_in_the_space_and_none_is_nearer(
    value: float, low: int, width: int, choices: list[Any]
) -> None:
    space: dict[str, Space] = {"a": Range(low=low, high=low + width), "b": choices}
    draw = proposals.draw_of({"a": value, "b": value}, space, BUDGET, 100)
    assert low <= draw["a"] <= low + width
    assert abs(draw["a"] - value) == min(
        abs(end - value) for end in (low, low + width, max(low, min(value, low + width)))
    )
    assert abs(draw["b"] - value) == min(abs(each - value) for each in choices)


@settings(deadline=None)
@given(steps=st.integers(1, 5000), batch=st.sampled_from([24, 32, 100, 400, 6000]), n=st.integers(30, 5000))
def test_equal_steps_are_equal_whatever_the_batch(steps: int, batch: int, n: int) -> None:
    space: dict[str, Space] = {"epochs": "steps"}
    setting = proposals.hyperparameters_of({"epochs": steps}, {"batch_size": batch, "epochs": 3}, space, n)
    an_epoch = steps_an_epoch(setting, n)
    assert abs(steps_of(setting, ["epochs"], n) - steps) <= max(an_epoch / 2, an_epoch - steps)


def test_a_proposal_does_not_depend_on_when_it_is_asked_for() -> None:
    space = PARAMS.search.spaces["nsh"]
    possible = proposals.distributions(space, BUDGET)
    before = finished(space, [0.1, 0.4, None, 0.2, 0.3, 0.25, 0.5, 0.45, 0.33, 0.41, 0.2, 0.1])
    four = proposals.proposed(before, 4, [], possible, seed=1)
    assert proposals.proposed(before, 4, [], possible, seed=1) == four
    assert proposals.proposed(before, 2, [], possible, seed=1) == four[:2]
    assert proposals.proposed(before, 4, [], possible, seed=2) != four
    assert len({str(draw) for draw in four}) == 4, "a generation does not propose one thing twice"


def test_what_was_found_has_a_say_in_what_comes_next() -> None:
    space: dict[str, Space] = {"a": Range(low=0.0, high=1.0)}
    possible = proposals.distributions(space, BUDGET)
    start = finished(space, [0.0] * 20)

    def after(value_of: Any) -> float:
        study = proposals.new_study()
        study.add_trials(
            [frozen(trial.params, possible, {}, [outcome(value_of(trial.params["a"]))]) for trial in start]
        )
        draws = proposals.proposed(list(study.trials), 8, [], possible, seed=4)
        return sum(float(draw["a"]) for draw in draws) / len(draws)

    assert after(lambda a: 1 - a) < 0.3 < 0.7 < after(lambda a: a)


def test_a_fit_is_ended_where_it_lags_behind_the_median() -> None:
    space: dict[str, Space] = {"a": Range(low=0.0, high=1.0)}
    possible = proposals.distributions(space, BUDGET)
    study = proposals.new_study()
    assert not proposals.median_of([], 0)(5, 0.0), "the first has no rivals"
    for check in (0.1, 0.2, 0.4):
        study.add_trial(frozen({"a": 0.5}, possible, {}, [outcome(check + 0.2, {5: check, 10: check + 0.1})]))
    study.add_trial(frozen({"a": 0.5}, possible, {}, [outcome(None, {5: 0.9})]))
    trials = list(study.trials)
    assert proposals.median_of(trials, 0)(5, 0.19), "the median of the finished ones is 0.2"
    assert not proposals.median_of(trials, 0)(5, 0.2)
    lags = proposals.median_of(trials, 0)
    assert [lags(5, 0.35), lags(10, 0.1)] == [False, False], "its best so far counts"
    assert not proposals.median_of(trials, 1)(5, 0.0), "nobody was looked at in that place"


def test_a_trial_is_kept_whole() -> None:
    possible = proposals.distributions({"a": Range(low=0.0, high=1.0)}, BUDGET)
    found = [outcome(0.25, {5: 0.125}), outcome(0.75)]
    trial = frozen({"a": 0.5}, possible, {"a": 0.5, "b": True, "c": None}, found)
    assert trial.value == 0.5
    assert setting_of(trial) == {"a": 0.5, "b": True, "c": None}
    assert outcomes_of(trial) == found
    assert frozen({"a": 0.5}, possible, {}, [outcome(0.25), outcome(None)]).value is None


def test_importance_is_of_what_moves_the_result() -> None:
    space: dict[str, Space] = {"a": Range(low=0.0, high=1.0), "b": Range(low=0.0, high=1.0)}
    possible = proposals.distributions(space, BUDGET)
    draws = proposals.proposed([], 30, [], possible, seed=5)
    study = proposals.new_study()
    study.add_trials([frozen(draw, possible, {}, [outcome(draw["a"] ** 2)]) for draw in draws])
    found = proposals.importances(list(study.trials), seed=1)
    assert found["a"] > 0.9
    assert sum(found.values()) == pytest.approx(1)
    assert proposals.importances(list(study.trials), seed=1) == found
    assert proposals.importances(finished(space, [0.5, 0.5, None]), seed=1) == {}
