"""A search's trials as Optuna keeps them: in an SQLite file, each finished and with all that came of its fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashbench.cells import Value
from hashbench.errors import HashbenchError
from hashbench.search.proposals import check_number, new_study
from hashbench.search.trials import Outcome

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial


def open_study(path: Path, name: str) -> Study:
    """The study called `name` of an SQLite file; studies of other names, of what was changed since, stay beside it.

    Raises HashbenchError where the file is no database of Optuna's, or where Optuna is not installed.
    """
    new_study()
    from optuna.exceptions import StorageInternalError
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # No connection is left open, which the processes of the fits would inherit.
        storage = RDBStorage(f"sqlite:///{path}", engine_kwargs={"poolclass": NullPool})
        return new_study(storage=storage, study_name=name, load_if_exists=True)
    except (StorageInternalError, SQLAlchemyError, RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise HashbenchError(f"{path} is no database of a search ({reason}); delete it and run again") from None


def frozen(
    draw: Mapping[str, Any],
    possible: Mapping[str, BaseDistribution],
    setting: Mapping[str, Value],
    outcomes: Sequence[Outcome],
) -> FrozenTrial:
    """A finished trial. Its value is the mean over its places; where one was not finished it counts as pruned."""
    from optuna.trial import TrialState, create_trial

    maps = [outcome.map for outcome in outcomes if outcome.map is not None]
    is_complete = len(maps) == len(outcomes)
    return create_trial(
        state=TrialState.COMPLETE if is_complete else TrialState.PRUNED,
        value=sum(maps) / len(maps) if is_complete else None,
        params=dict(draw),
        distributions=dict(possible),
        intermediate_values={
            check_number(place, steps): found
            for place, outcome in enumerate(outcomes)
            for steps, found in outcome.checks.items()
        },
        user_attrs={
            "setting": dict(setting),
            "outcomes": [outcome.model_dump(mode="json") for outcome in outcomes],
        },
    )


def setting_of(trial: FrozenTrial) -> dict[str, Value]:
    """The hyperparameters of a trial of `frozen`."""
    return dict(trial.user_attrs["setting"])


def outcomes_of(trial: FrozenTrial) -> list[Outcome]:
    """What came of the fits of a trial of `frozen`, by place."""
    return [Outcome.model_validate(outcome) for outcome in trial.user_attrs["outcomes"]]
