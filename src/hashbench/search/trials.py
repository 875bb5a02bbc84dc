"""What a search keeps: where a setting was fitted, what came of it, and the table of all fits."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import ValidationError

from hashbench.artefacts.store import DamagedError
from hashbench.cells import Frozen, Value
from hashbench.errors import HashbenchError

State = Literal["complete", "pruned", "failed"]


class Place(NamedTuple):
    """Where a setting is fitted: on one hold-out of a data set's train rows, with a code length and a seed's number."""

    dataset: str
    backbone: str
    hold_out: int
    bits: int
    seed: int


class Outcome(Frozen):
    """What came of a fit.

    `map`: validation mAP@k, None where the fit was not finished; `checks`: the same along the way, by the number of
    steps; `state`: whether it was finished, `pruned` for lagging behind, or `failed`, as by a loss that is not finite;
    `steps` of training that it took; `seconds`.
    """

    state: State
    map: float | None
    checks: dict[int, float]
    steps: int
    seconds: float


class Fit(Frozen):
    """A line of the table: one fit of one setting. Trials count from 1; the first is the official setting, the second
    the present one. Both rounds name a setting by its trial."""

    method: str
    round: Literal[1, 2]
    trial: int
    dataset: str
    backbone: str
    hold_out: int
    bits: int
    seed: int
    hyperparameters: dict[str, Value]
    steps: int
    state: State
    map: float | None


def csv_of(fits: Iterable[Fit]) -> str:
    """The table as CSV, numbers in full precision, hyperparameters as a JSON object."""
    rows = [fit.model_dump() | {"hyperparameters": json.dumps(fit.hyperparameters, sort_keys=True)} for fit in fits]
    lines = [["" if value is None else value for value in row.values()] for row in rows]
    return csv_text([tuple(Fit.model_fields), *lines])


def csv_text(lines: Iterable[Sequence[object]]) -> str:
    """Lines as CSV, numbers in full precision."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()


def read_fits(path: Path) -> list[Fit]:
    """The table of a CSV file. Raises HashbenchError where it is missing or no such table."""
    try:
        return [_fit_of(row) for row in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))]
    except FileNotFoundError:
        raise HashbenchError(f"{path} is missing; `nox -s search` makes it") from None
    except (ValidationError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(path, f"no table of trials: {error}".splitlines()[0]) from None


def _fit_of(row: dict[str, str]) -> Fit:
    read = {
        "hyperparameters": json.loads(row["hyperparameters"]),
        "round": int(row["round"]),
        "map": row["map"] or None,
    }
    return Fit.model_validate({**row, **read})


def by_method(fits: Iterable[Fit]) -> dict[str, list[Fit]]:
    """The fits of each method."""
    found: dict[str, list[Fit]] = {}
    for fit in fits:
        found.setdefault(fit.method, []).append(fit)
    return found


def mean_map(fits: Sequence[Fit]) -> float | None:
    """The mean validation mAP of some fits; None where one was not finished, or there are none."""
    maps = [fit.map for fit in fits if fit.map is not None]
    return sum(maps) / len(maps) if maps and len(maps) == len(fits) else None


def of_trial(fits: Iterable[Fit], number: Literal[1, 2]) -> dict[int, list[Fit]]:
    """The fits of one round of one method, by trial."""
    found: dict[int, list[Fit]] = {}
    for fit in fits:
        if fit.round == number:
            found.setdefault(fit.trial, []).append(fit)
    return found


def best_first(fits: Iterable[Fit], number: Literal[1, 2]) -> list[int]:
    """The trials of one method that went furthest in a round and finished all of it, by their mean validation mAP; of
    equal ones the earlier first."""
    found = of_trial(fits, number)
    furthest = max(map(len, found.values()), default=0)
    means = {trial: mean_map(of_one) for trial, of_one in found.items() if len(of_one) == furthest}
    finished = {trial: mean for trial, mean in means.items() if mean is not None}
    return sorted(finished, key=lambda trial: (-finished[trial], trial))
