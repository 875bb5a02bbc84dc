"""Which known conventions turn given codes into a given number?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import product
from typing import Any

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.evaluation.conventions import ALLOWED, OF_ONE_RANKING, Convention, maps_of
from hashbench.evaluation.given import GivenCodes, label_matrices

_CUTOFFS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 50_000)
_EQUAL = 1e-12
_MOST_LABEL_SETS = 1024  # of more, "the same labels" is hardly ever true, and takes long to try


@dataclass(frozen=True)
class Candidate:
    """A convention and the mAP that it gives."""

    convention: Convention
    value: float


@dataclass(frozen=True)
class Search:
    """`matches`: the conventions that give the number as printed, the fewest departures from the suite's own first;
    `nearest`: of all others, those that come nearest; `tried`: how many can differ."""

    matches: tuple[Candidate, ...]
    nearest: tuple[Candidate, ...]
    tried: int


def search(given: GivenCodes, number: str, stated: Mapping[str, Any], n_nearest: int = 5) -> Search:
    """Try every convention that agrees with what is `stated` (fields of `Convention` by name).

    `number` as it was printed: a value matches where it rounds to it. A convention that changes nothing on these codes
    beside a simpler one is left out. Raises HashbenchError where the number is no share.
    """
    wanted, slack = printed(number)
    values = maps_of(given, candidates(given, stated))
    kept = [
        Candidate(each, value)
        for each, value in values.items()
        if math.isfinite(value) and not _is_redundant(each, values, stated)
    ]
    kept.sort(key=lambda each: (len(each.convention.departures), abs(each.value - wanted)))
    matches = [each for each in kept if abs(each.value - wanted) <= slack]
    others = sorted((each for each in kept if each not in matches), key=lambda each: abs(each.value - wanted))
    return Search(tuple(matches), tuple(others[:n_nearest]), len(kept))


def printed(number: str) -> tuple[float, float]:
    """A printed number and how far from it a value may lie that was rounded to it."""
    try:
        value = float(number)
    except ValueError:
        raise HashbenchError(f"'{number}' is not a number such as 0.704") from None
    if not 0 <= value <= 1:
        raise HashbenchError(f"{number} is no mAP: give it as a share from 0 to 1, such as 0.704 for 70.4 %")
    decimals = len(number.partition(".")[2]) if "e" not in number.lower() else 12
    return value, 0.5 * 10.0**-decimals + _EQUAL


def candidates(given: GivenCodes, stated: Mapping[str, Any]) -> list[Convention]:
    """Every convention that agrees with what is stated and can be told apart on such codes."""
    query, database, _ = label_matrices(given)
    choices: dict[str, tuple[Any, ...]] = {**ALLOWED, "k": _cutoffs(len(given.database_codes))}
    if (query.sum(axis=1) <= 1).all() and (database.sum(axis=1) <= 1).all():
        choices["labels"] = ("any",)  # with one label an item, all three rules are the same
    elif len(np.unique(np.concatenate([query, database]), axis=0)) > _MOST_LABEL_SETS:
        choices["labels"] = ("any", "first")
    if given.query_rows is None:
        choices["self_matches"] = ("kept",)
    if given.query_outputs is None:
        choices["ranking"] = ("symmetric",)
    choices |= {name: (value,) for name, value in stated.items()}
    names = [field.name for field in fields(Convention)]
    each = (dict(zip(names, values, strict=True)) for values in product(*(choices[name] for name in names)))
    found = [Convention(**values) for values in each if _is_one(values)]
    if not found:
        raise HashbenchError("no convention is as stated: first, area and ranking go with one order, not with random")
    return found


def _cutoffs(n_database: int) -> tuple[int | None, ...]:
    return (None, *(k for k in _CUTOFFS if k < n_database))


def _is_one(values: Mapping[str, Any]) -> bool:
    """Whether the values make a convention: without a ranking there is no first of it, and no curve."""
    return values["order"] != "random" or all(values[name] == value for name, value in OF_ONE_RANKING.items())


def _is_redundant(convention: Convention, values: Mapping[Convention, float], stated: Mapping[str, Any]) -> bool:
    """Whether one departure less gives the same number, or the whole database as well as the cut-off does."""
    default = Convention()
    names = [name for name in convention.departures if name not in stated]
    for name in [*names, *(["k"] if convention.k is not None and "k" not in stated else [])]:
        simpler = {field.name: getattr(convention, field.name) for field in fields(Convention)}
        simpler[name] = getattr(default, name)
        if _is_one(simpler) and abs(values.get(Convention(**simpler), 2.0) - values[convention]) <= _EQUAL:
            return True
    return False
