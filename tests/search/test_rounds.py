"""A search as a whole: what it fits, that the train rows alone have a say, and that its table always is the same."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from search.conftest import BUDGET, N, forget, made_up, search_of, write_features

from hashbench.artefacts.layout import Layout
from hashbench.artefacts.split import read_split
from hashbench.cells import Cell
from hashbench.config.lengths import steps_of
from hashbench.errors import HashbenchError
from hashbench.search import rounds
from hashbench.search.rounds import Result
from hashbench.search.trials import Fit, best_first, csv_of, of_trial
from hashbench.types import Split

InThisProcess = Callable[..., None]


def table(results: list[Result]) -> str:
    return csv_of(fit for fit, _ in results)


def found(method: str, **budget: Any) -> list[Fit]:
    return [fit for fit, _ in search_of(method, **budget).run()[0]]


def delete_study(method: str) -> None:
    Layout("quick").study(method).unlink()


def test_both_rounds_fit_what_the_budget_says(project: Path, in_this_process: InThisProcess) -> None:
    in_this_process()
    search = search_of("contrastive")
    results, importance = search.run()
    fits = [fit for fit, _ in results]
    first, second = of_trial(fits, 1), of_trial(fits, 2)
    assert list(first) == [1, 2, 3, 4, 5, 6]
    assert all([(fit.hold_out, fit.bits, fit.seed) for fit in of_one] == [(0, 12, 0)] for of_one in first.values())
    assert list(second) == sorted({1, 2, *best_first(fits, 1)[: BUDGET["finalists"]]})
    everywhere = [(hold_out, bits, seed) for hold_out in (0, 1) for seed in (0, 1) for bits in (8, 12)]
    for trial, of_one in second.items():
        places = [(fit.hold_out, fit.bits, fit.seed) for fit in of_one]
        assert places == everywhere[: len(places)]
        assert {json.dumps(fit.hyperparameters) for fit in of_one} == {json.dumps(first[trial][0].hyperparameters)}
        (same,) = [fit for fit in of_one if (fit.hold_out, fit.bits, fit.seed) == (0, 12, 0)]
        assert same.map == first[trial][0].map, "a fit of round 1 is not done again"
        assert len({fit.map for fit in of_one}) > len(of_one) / 2, "places differ"
    assert set(importance) == set(search.params.space)
    assert sum(importance.values()) == pytest.approx(1)


def test_the_search_begins_with_the_official_and_the_present_setting(
    project: Path, in_this_process: InThisProcess
) -> None:
    in_this_process()
    search = search_of("contrastive", trials=2)
    fits = [fit for fit, _ in search.run()[0]]
    official, present = (of_trial(fits, 1)[trial][0] for trial in (1, 2))
    batch = present.hyperparameters["batch_size"]
    assert present.hyperparameters == {**search.params.fit.hyperparameters, "epochs": 24 // (140 // int(batch or 0))}
    assert search.params.official["epochs"] == 100
    assert official.hyperparameters == present.hyperparameters, "both are cut to the steps of the budget"
    assert official.map == present.map


def test_after_each_draw_the_better_half_of_the_finalists_goes_on(
    project: Path, in_this_process: InThisProcess
) -> None:
    in_this_process()
    second = of_trial([fit for fit, _ in search_of("dsh", trials=12, finalists=7).run()[0]], 2)
    running = set(second)
    assert len(running) >= 7
    for number, (hold_out, seed) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)], start=1):
        ran = {t for t, of_one in second.items() if any((f.hold_out, f.seed) == (hold_out, seed) for f in of_one)}
        assert ran == running
        so_far = {t: np.mean([fit.map for fit in second[t][: 2 * number]]) for t in running}
        running = set(sorted(so_far, key=lambda t: (-so_far[t], t))[: max(2, -(-len(running) // 2))])
    assert len(running) == 2
    fits = [fit for of_one in second.values() for fit in of_one]
    assert best_first(fits, 2)[0] in running
    assert len({len(second[trial]) for trial in running}) == 1, "what is compared at last was fitted in the same places"


@pytest.mark.parametrize("method", ["contrastive", "deepbit"])
def test_no_fit_takes_more_steps_than_the_budget(project: Path, in_this_process: InThisProcess, method: str) -> None:
    in_this_process()
    search = search_of(method, finalists=1, hold_outs=1, seeds=1)
    lengths = [name for name, allowed in search.params.space.items() if allowed == "steps"]
    fits = [fit for fit, _ in search.run()[0]]
    assert all(0 < fit.steps <= 24 for fit in fits)
    for fit in fits:
        if fit.state == "complete":
            assert fit.steps == steps_of(fit.hyperparameters, lengths, 140), "steps are counted as they are taken"


def test_the_table_is_the_same_whatever_the_order_in_which_fits_end(
    project: Path, in_this_process: InThisProcess
) -> None:
    in_this_process()
    before = table(search_of("contrastive").run()[0])
    delete_study("contrastive")
    in_this_process(backwards=True)
    assert table(search_of("contrastive").run()[0]) == before


@pytest.mark.slow
def test_the_table_is_the_same_on_one_core_and_on_two(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = set()
    for cores in ("1", "2"):
        monkeypatch.setenv("HASHBENCH_CORES", cores)
        tables.add(table(search_of("dsh", trials=3, hold_outs=1, seeds=1).run()[0]))
        delete_study("dsh")
    assert len(tables) == 1


def test_a_search_that_was_killed_goes_on_and_gives_the_same_table(
    project: Path, in_this_process: InThisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_this_process()
    before = table(search_of("dsh").run()[0])
    delete_study("dsh")
    attempts: list[rounds.Attempt] = []
    do = rounds.attempted

    def killed_at(number: int) -> None:
        def attempted(fitter: Any, params: Any, attempt: rounds.Attempt) -> Any:
            attempts.append(attempt)
            if len(attempts) == number:
                raise KeyboardInterrupt
            return do(fitter, params, attempt)

        monkeypatch.setattr(rounds, "attempted", attempted)

    for number in (2, 7, 20):  # in the first generation, in the second one, in round 2
        killed_at(number)
        with pytest.raises(KeyboardInterrupt):
            search_of("dsh").run()
    killed_at(10**6)
    assert table(search_of("dsh").run()[0]) == before
    times = [each.key for each in attempts]
    assert max(times.count(key) for key in times) <= 4
    done = len(attempts)
    assert table(search_of("dsh").run()[0]) == before
    assert len(attempts) == done, "what is finished is not fitted again"


def test_more_trials_go_on_from_fewer(project: Path, in_this_process: InThisProcess) -> None:
    in_this_process()
    fewer = of_trial(found("dsh", trials=4), 1)
    more = of_trial(found("dsh", trials=6), 1)
    assert {trial: more[trial] for trial in fewer} == fewer
    delete_study("dsh")
    assert of_trial(found("dsh", trials=6), 1) == more


def test_no_query_row_has_a_say(project: Path, in_this_process: InThisProcess) -> None:
    """With labels, features and codes of queries, and of all else that is no train row, poisoned: the same table."""
    in_this_process()
    before = table(search_of("contrastive").run()[0])
    layout = Layout("quick", root=project)
    split = read_split(layout.split("digits"))
    others = np.setdiff1d(np.arange(N), split.train)
    assert set(split.query) <= set(others)
    labels, pooled = split.labels.copy(), np.load(layout.features("digits", "vit_micro") / "pooled.npy")
    labels[others], pooled[others] = ~labels[others], np.nan
    write_features(project, Split("test", split.query, split.database, split.train, labels), pooled)
    codes = layout.codes(Cell("digits", "vit_micro", "contrastive", 12, 0))
    codes.parent.mkdir(parents=True)
    codes.write_bytes(b"poison")
    forget()
    delete_study("contrastive")
    assert table(search_of("contrastive").run()[0]) == before


def test_a_setting_with_which_a_method_fails_is_an_outcome(
    project: Path, in_this_process: InThisProcess, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    in_this_process()
    search = search_of("contrastive", trials=3)
    fit = search.params.fit
    broken = fit.model_copy(update={"hyperparameters": {**fit.hyperparameters, "learning_rate": 1e30}})
    search = type(search).of("quick", search.params.model_copy(update={"fit": broken}))
    with caplog.at_level(logging.DEBUG, logger="hashbench"):
        fits = [each for each, _ in search.run()[0]]
    states = {trial: {each.state for each in of_one} for trial, of_one in of_trial(fits, 1).items()}
    assert states[1] == {"complete"}
    assert states[2] == {"failed"}
    assert 2 not in best_first(fits, 2)


def test_a_method_without_a_space_is_refused(project: Path) -> None:
    with pytest.raises(HashbenchError, match=r"^lsh has nothing to search: params.yaml has no search.spaces.lsh$"):
        search_of("lsh").run()


def test_a_file_that_is_no_database_is_named(project: Path) -> None:
    path = Layout("quick").study("dsh")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database" * 100)
    with pytest.raises(
        HashbenchError, match=r"dsh\.sqlite is no database of a search \(.*\); delete it and run again$"
    ):
        search_of("dsh").run()


def test_another_program_or_other_features_begin_anew(project: Path) -> None:
    before = search_of("dsh").fingerprint
    assert search_of("dsh", trials=99, finalists=1, hold_outs=1, seeds=1).fingerprint == before
    assert search_of("dsh", bits=16).fingerprint != before
    forget()
    split, pooled = made_up()
    write_features(project, replace(split, labels=np.roll(split.labels, 1, axis=1)), pooled)
    assert search_of("dsh").fingerprint != before
