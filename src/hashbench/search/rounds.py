"""The two rounds of a method's search.

Round 1 looks for good settings, each by one fit at one code length on one hold-out. Round 2 fits the best of them, the
official and the present setting at every code length, on several hold-outs and with several seeds, so that a value
which helps one length or one draw alone does not win. It goes draw by draw: after each the better half goes on, two at
least (successive halving; Jamieson and Talwalkar, AISTATS 2016).

What is finished is kept in an SQLite file and is what would be computed again: a search that was ended early goes on
where it stopped, and gives the same table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import product
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from hashbench.artefacts.features import read_record
from hashbench.artefacts.split import read_split
from hashbench.cells import Value
from hashbench.config.lengths import cut, rows_of_a_search
from hashbench.config.searching import Budget, lengths_of
from hashbench.config.selection import MethodSearchParams
from hashbench.errors import HashbenchError
from hashbench.evaluation import evaluate
from hashbench.execution.processes import map_side_by_side
from hashbench.fingerprint import digest_of, program_of
from hashbench.fitter import Fitter
from hashbench.methods.registry import module_of
from hashbench.progress import track
from hashbench.search import proposals
from hashbench.search.studies import frozen, open_study, outcomes_of, setting_of
from hashbench.search.trials import Fit, Outcome, Place, best_first
from hashbench.search.validation import opened, validated
from hashbench.seeding import run_seed

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

Setting = dict[str, Value]
Result = tuple[Fit, Outcome]


class Attempt(NamedTuple):
    """A fit to be done, at place number `number` of its trial. `rivals`: the trials whose median it must keep up with,
    None where it goes on to its end whatever it reaches."""

    setting: Setting
    place: Place
    number: int
    rivals: Sequence[FrozenTrial] | None

    @property
    def key(self) -> str:
        """What tells it from every fit that may give something else."""
        return digest_of([self.setting, self.place])


@dataclass(frozen=True)
class MethodSearch:
    """The search of one method on one profile."""

    fitter: Fitter
    params: MethodSearchParams

    @classmethod
    def of(cls, profile: str, params: MethodSearchParams) -> MethodSearch:
        """The search that `params` describe."""
        return cls(Fitter(profile, params.fit), params)

    def run(self) -> tuple[list[Result], dict[str, float]]:
        """Every fit of both rounds in order, with what came of it; and how much each hyperparameter counts in round 1.

        Raises HashbenchError where the method has nothing to search.
        """
        name = self.params.fit.method
        if not self.params.space:
            raise HashbenchError(f"{name} has nothing to search: params.yaml has no search.spaces.{name}")
        study = open_study(self.fitter.layout.study(name), self.fingerprint)
        trials = self._first_round(study)
        first = [
            self._result(1, number, setting_of(trial), place, outcome)
            for number, trial in enumerate(trials, start=1)
            for place, outcome in zip(self._places_of_round_1, outcomes_of(trial), strict=True)
        ]
        second = self._second_round(study, trials, best_first([fit for fit, _ in first], 1))
        return [*first, *second], proposals.importances(trials, self._seed)

    @property
    def fingerprint(self) -> str:
        """The digest of all that decides a proposal or a fit, but not of how many there are."""
        fit, layout = self.params.fit, self.fitter.layout
        program = program_of("hashbench.stages.search", module_of(fit.code))
        inputs = [
            [read_split(layout.split(dataset)).digest, read_record(layout, dataset, backbone).digest]
            for dataset, backbone in self._settings_of_profile
        ]
        budget = self._budget.model_dump(mode="json", exclude={"trials", "finalists", "hold_outs", "seeds"})
        said = self.params.model_dump(mode="json", exclude={"budget": True, "fit": {"bits", "seeds"}})
        return digest_of([program.digest, program.versions, inputs, budget, said])

    @property
    def begin(self) -> list[Setting]:
        """What the search begins with: the official and the present setting, their lengths cut to the budget."""
        return [self._cut(values) for values in (self.params.official, self.params.fit.hyperparameters)]

    def _first_round(self, study: Study) -> list[FrozenTrial]:
        """Generation by generation; of one that was ended early only what is missing is fitted."""
        budget = self._budget
        for start in range(0, budget.trials, budget.at_once):
            stop, done = min(start + budget.at_once, budget.trials), list(study.trials)
            if len(done) >= stop:
                continue
            missing = self._proposed(done[:start], stop - start)[len(done) - start :]
            wanted = [self._attempts(setting, self._places_of_round_1, done[:start]) for _, setting in missing]
            found = self._known(done)
            what = f"search {self.params.fit.method}, trials {start + 1} to {stop} of {budget.trials}"
            found |= {attempt.key: outcome for attempt, outcome in self._done(wanted, found, what)}
            for (draw, setting), attempts in zip(missing, wanted, strict=True):
                study.add_trial(frozen(draw, self._possible, setting, [found[each.key] for each in attempts]))
        return list(study.trials)[: budget.trials]

    def _second_round(self, study: Study, trials: Sequence[FrozenTrial], best: Sequence[int]) -> list[Result]:
        """The finalists, draw by draw; a fit that round 1 brought to its end is not done again."""
        running = sorted({1, 2, *best[: self._budget.finalists]})
        results: dict[int, list[Result]] = {number: [] for number in running}
        found = {key: outcome for key, outcome in self._known(trials).items() if outcome.state != "pruned"}
        found |= {key: Outcome.model_validate_json(text) for key, text in study.user_attrs.items()}
        for hold_out, seed in product(range(self._budget.hold_outs), range(self._budget.seeds)):
            places = self._places([hold_out], self.params.fit.bits, [seed])
            wanted = [self._attempts(setting_of(trials[number - 1]), places, None) for number in running]
            what = f"search {self.params.fit.method}, {len(running)} finalists, hold-out {hold_out}, seed {seed}"
            for attempt, outcome in self._done(wanted, found, what):
                found[attempt.key] = outcome
                study.set_user_attr(attempt.key, outcome.model_dump_json())
            for number, attempts in zip(running, wanted, strict=True):
                results[number] += [self._result(2, number, e.setting, e.place, found[e.key]) for e in attempts]
            order = best_first([fit for number in running for fit, _ in results[number]], 2)
            running = sorted(order[: max(2, -(-len(running) // 2))])
        return [result for of_one in results.values() for result in of_one]

    def _proposed(self, before: Sequence[FrozenTrial], count: int) -> list[tuple[dict[str, Any], Setting]]:
        """The draws of the next trials, and what they mean."""
        space, present = self.params.space, self.params.fit.hyperparameters
        first = [proposals.draw_of(setting, space, self._budget, self._n_train) for setting in self.begin]
        draws = proposals.proposed(before, count, first, self._possible, self._seed)
        drawn = [self._cut(proposals.hyperparameters_of(draw, present, space, self._n_train)) for draw in draws]
        # What it begins with is taken as it is, not as the nearest draw.
        exact = self.begin[len(before) :]
        return list(zip(draws, [*exact[:count], *drawn[len(exact) :]], strict=True))

    def _cut(self, setting: Setting) -> Setting:
        return cut(setting, lengths_of(self.params.space), self._n_train, int(self._budget.steps.high))

    def _known(self, trials: Sequence[FrozenTrial]) -> dict[str, Outcome]:
        """What round 1 found, by the key of the attempt."""
        return {
            attempt.key: outcome
            for trial in trials
            for attempt, outcome in zip(
                self._attempts(setting_of(trial), self._places_of_round_1, None), outcomes_of(trial), strict=True
            )
        }

    def _done(
        self, wanted: Sequence[Sequence[Attempt]], known: Mapping[str, Outcome], what: str
    ) -> Iterator[tuple[Attempt, Outcome]]:
        """Do what is not known of attempts on one hold-out, equal ones once, side by side."""
        missing = {each.key: each for attempts in wanted for each in attempts if each.key not in known}
        if not missing:
            return
        for attempt in missing.values():
            # Here, so that all processes share what is read from disk, and the compiled evaluation.
            held = opened(self.fitter, attempt.place).split
            evaluate(np.eye(2, dtype=np.bool_), np.eye(2, dtype=np.bool_), held.labels[:2], held.labels[:2])
        work = partial(attempted, replace(self.fitter), self.params)
        at_once = 1 if self.fitter.on_gpu else None
        yield from track(map_side_by_side(work, [*missing.values()], at_once), what, total=len(missing))

    def _attempts(
        self, setting: Setting, places: Sequence[Place], rivals: Sequence[FrozenTrial] | None
    ) -> list[Attempt]:
        return [Attempt(setting, place, number, rivals) for number, place in enumerate(places)]

    def _result(self, number: Literal[1, 2], trial: int, setting: Setting, place: Place, outcome: Outcome) -> Result:
        said = {"hyperparameters": setting, "steps": outcome.steps, "state": outcome.state, "map": outcome.map}
        fit = {"method": self.params.fit.method, "round": number, "trial": trial, **place._asdict(), **said}
        return Fit.model_validate(fit), outcome

    def _places(self, hold_outs: Iterable[int], bits: Iterable[int], seeds: Iterable[int]) -> list[Place]:
        return [
            Place(dataset, backbone, *rest)
            for rest in product(hold_outs, bits, seeds)
            for dataset, backbone in self._settings_of_profile
        ]

    @property
    def _places_of_round_1(self) -> list[Place]:
        return self._places([0], [self._budget.bits], [0])

    @property
    def _settings_of_profile(self) -> list[tuple[str, str]]:
        return list(product(sorted(self.params.fit.augmentations), sorted(self.params.fit.backbones)))

    @property
    def _budget(self) -> Budget:
        return self.params.budget

    @property
    def _possible(self) -> dict[str, BaseDistribution]:
        return proposals.distributions(self.params.space, self._budget)

    @property
    def _seed(self) -> int:
        return run_seed(self.params.fit.base_seed, "search", self.params.fit.method)

    @cached_property
    def _n_train(self) -> int:
        """How many rows a fit sees, in the largest data set of the profile: no fit is longer than there."""
        rows = [len(read_split(self.fitter.layout.split(name)).train) for name in self.params.fit.augmentations]
        return max(map(rows_of_a_search, rows))


def attempted(fitter: Fitter, params: MethodSearchParams, attempt: Attempt) -> Outcome:
    """Do one attempt, in whatever process."""
    lags = None if attempt.rivals is None else proposals.median_of(attempt.rivals, attempt.number)
    return validated(fitter, params, attempt.place, attempt.setting, lags)
