"""What to try next: Optuna's TPE sampler and median pruner, so asked that the answer is a function of what was found.

A sampler of its own, with a seed of its own, proposes each trial from the trials of finished generations and from the
proposals before it in its own. So neither the timing of parallel fits nor a kill changes what is tried.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hashbench.cells import Value
from hashbench.config.lengths import steps_an_epoch
from hashbench.config.searching import Budget, Range, Space, lengths_of
from hashbench.errors import HashbenchError
from hashbench.search.validation import LagsBehind
from hashbench.seeding import run_seed

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

RANDOM_TRIALS = 8  # official, present, and so many drawn at random before TPE has enough to go by
TREES = 64


def new_study(**options: Any) -> Study:
    """A study of Optuna's in memory, or where `options` say. Raises HashbenchError where Optuna is not installed."""
    try:
        import optuna
    except ImportError:
        raise HashbenchError("Optuna is not installed; `uv sync --extra search` brings it") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(direction="maximize", **options)


def distributions(space: Mapping[str, Space], budget: Budget) -> dict[str, BaseDistribution]:
    """What Optuna draws from; a length of training is drawn in steps."""
    return {name: _distribution(budget.steps if allowed == "steps" else allowed) for name, allowed in space.items()}


def _distribution(allowed: Range | list[Value]) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(allowed, list):
        return CategoricalDistribution(allowed)
    kind = IntDistribution if allowed.is_whole else FloatDistribution
    return kind(allowed.low, allowed.high, log=allowed.log)  # type: ignore[arg-type]


def hyperparameters_of(
    drawn: Mapping[str, Any], present: Mapping[str, Value], space: Mapping[str, Space], n_train: int
) -> dict[str, Value]:
    """The setting that a draw means: of a range numbers to three digits, lengths in whole epochs of `n_train` rows."""
    setting = {**present, **drawn}
    for name, allowed in space.items():
        if isinstance(allowed, Range) and not allowed.is_whole:
            setting[name] = float(f"{drawn[name]:.3g}")
    for name in lengths_of(space):
        setting[name] = max(1, round(drawn[name] / steps_an_epoch(setting, n_train)))
    return setting


def draw_of(setting: Mapping[str, Value], space: Mapping[str, Space], budget: Budget, n_train: int) -> dict[str, Any]:
    """The draw that comes closest to a setting, which may lie outside the space."""
    drawn = {}
    for name, allowed in space.items():
        value: Any = setting[name]
        if allowed == "steps":
            allowed, value = budget.steps, int(value or 0) * steps_an_epoch(setting, n_train)
        drawn[name] = _closest(value, allowed)
    return drawn


def _closest(value: Any, allowed: Range | list[Value]) -> Any:
    if isinstance(allowed, Range):
        return min(max(value, allowed.low), allowed.high)
    numbers = [each for each in allowed if isinstance(each, int | float)]
    if value in allowed or not numbers or not isinstance(value, int | float):
        return value if value in allowed else allowed[0]
    return min(numbers, key=lambda each: abs(each - value))


def proposed(
    finished: Sequence[FrozenTrial],
    count: int,
    first: Sequence[Mapping[str, Any]],
    possible: dict[str, BaseDistribution],
    seed: int,
) -> list[dict[str, Any]]:
    """The draws of the next `count` trials after the `finished` ones; the very first are those of `first`."""
    from optuna.samplers import TPESampler

    study = new_study()
    study.add_trials(finished)
    draws = []
    for number in range(len(finished), len(finished) + count):
        if number < len(first):
            study.enqueue_trial(dict(first[number]))
        # With the lies a proposal keeps away from those of its generation that have no result yet.
        study.sampler = TPESampler(
            n_startup_trials=len(first) + RANDOM_TRIALS, constant_liar=True, seed=run_seed(seed, number) % 2**32
        )
        draws.append(dict(study.ask(possible).params))
    return draws


def median_of(finished: Sequence[FrozenTrial], place: int) -> LagsBehind:
    """Whether a fit at a place has so far reached less than the median of the finished trials had there by then."""
    from optuna.pruners import MedianPruner

    study = new_study(pruner=MedianPruner(n_startup_trials=1))
    study.add_trials(finished)
    trial = study.ask()

    def lags(steps: int, found: float) -> bool:
        trial.report(found, check_number(place, steps))
        return trial.should_prune()

    return lags


def check_number(place: int, steps: int) -> int:
    """The number under which Optuna knows the mAP after so many steps at one of a trial's places."""
    return place * 10**9 + steps


def importances(trials: Sequence[FrozenTrial], seed: int) -> dict[str, float]:
    """How much of the spread of the finished trials each hyperparameter explains (fANOVA; Hutter, Hoos and
    Leyton-Brown, ICML 2014): shares that add up to 1, by name; none where fewer than two trials differ."""
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances
    from optuna.trial import TrialState

    study = new_study()
    study.add_trials(trials)
    values = {trial.value for trial in trials if trial.state == TrialState.COMPLETE}
    if len(values) < 2:
        return {}
    evaluator = FanovaImportanceEvaluator(n_trees=TREES, seed=seed % 2**32)
    found = get_param_importances(study, evaluator=evaluator)
    return {name: float(found[name]) for name in sorted(found)}
