"""What the search of each method chose, beside the official and the present setting."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

import yaml

from hashbench.cells import Value
from hashbench.config.searching import Budget
from hashbench.search.trials import Fit, best_first, by_method, mean_map, of_trial

OFFICIAL, PRESENT = 1, 2  # the trials with which every search begins


def choices(fits: Sequence[Fit]) -> list[tuple[object, ...]]:
    """A line a method: the mean validation mAP of the official, the present and the chosen setting in the first draw of
    round 2, in which all of them were fitted, and what was chosen; the first line are the names. A mean is empty where
    one of its fits was not finished."""
    lines: list[tuple[object, ...]] = [("method", "official", "present", "searched", "trial", "hyperparameters")]
    for method, of_method in by_method(fits).items():
        first = [fit for fit in of_method if (fit.hold_out, fit.seed) == (0, 0)]
        means = {trial: mean_map(of_one) for trial, of_one in of_trial(first, 2).items()}
        order = best_first(of_method, 2)
        best = means.get(order[0]) if order else None
        setting = json.dumps(chosen(of_method), sort_keys=True) if order else ""
        found = (means.get(OFFICIAL), means.get(PRESENT), best, order[0] if order else None, setting)
        lines.append((method, *("" if value is None else value for value in found)))
    return lines


def chosen(fits: Sequence[Fit]) -> dict[str, Value] | None:
    """The setting that the search of one method chose, that of the best mean over all of round 2; None where none
    finished."""
    order = best_first(fits, 2)
    return next((fit.hyperparameters for fit in fits if order and fit.trial == order[0]), None)


def adopted(fits: Sequence[Fit], present: Mapping[str, Value], searched: Iterable[str]) -> dict[str, Value]:
    """Of the chosen setting of one method what belongs into params.yaml: the values of all `searched` hyperparameters,
    and what else differs from the present setting, as where the official one won. Empty where nothing was chosen."""
    setting, names = chosen(fits) or {}, set(searched)
    return {name: value for name, value in setting.items() if name in names or present[name] != value}


def as_yaml(values: Mapping[str, Value]) -> str:
    """Values that a search chose as lines of params.yaml."""
    entries = {name: {"value": value, "source": "search"} for name, value in values.items()}
    return yaml.safe_dump(entries, default_flow_style=None, sort_keys=False)


def not_chosen(values: Mapping[str, Value], fits: Sequence[Fit]) -> dict[str, Value]:
    """Those of some hyperparameters of one method that are not as its search chose them."""
    setting = chosen(fits) or {}
    return {name: value for name, value in values.items() if name not in setting or setting[name] != value}


def over_budget(fits: Sequence[Fit], budget: Budget) -> list[str]:
    """A sentence for each method whose search had another number of trials than the budget's, or a longer fit."""
    faults = []
    for method, of_method in by_method(fits).items():
        trials, longest = len(of_trial(of_method, 1)), max(fit.steps for fit in of_method)
        if trials != budget.trials:
            faults.append(f"{method} had {trials} trials, the budget is {budget.trials}")
        if longest > budget.steps.high:
            faults.append(f"{method} had a fit of {longest} steps, the budget is {budget.steps.high}")
    return faults
