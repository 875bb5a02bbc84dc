"""Run records put in order and grouped into cells; the one place that checks that they may stand in one table."""

from __future__ import annotations

import hashlib
import json
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.types import Array, RunRecord

CellKey = tuple[str, str, str, int, int]  # dataset, backbone, method, bits, seed

# What all runs of one data set and backbone must share to be comparable.
_RULES = ("split", "split_digest", "n_query", "n_database", "n_train", "features_digest", "k", "denominator", "empty")


@dataclass(frozen=True, order=True)
class Setting:
    """A data set and a backbone: what the rows of one column share."""

    dataset: str
    backbone: str


def digest_of(value: Any) -> str:
    """First 12 hex digits of the sha256 of a JSON value, independent of the order of keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def mean(values: Iterable[float]) -> float:
    """The mean, exact before rounding, so that it depends neither on order nor on the machine."""
    return statistics.fmean(values)


def spread(values: Sequence[float]) -> float | None:
    """The sample standard deviation, or None of fewer than two values."""
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return None
    return statistics.stdev(values)


def same_rules(records: Iterable[RunRecord]) -> bool:
    """Whether all runs of each data set and backbone share what makes them comparable."""
    found: dict[Setting, set[tuple[Any, ...]]] = defaultdict(set)
    for record in records:
        found[Setting(record.dataset, record.backbone)].add(tuple(getattr(record, rule) for rule in _RULES))
    return all(len(rules) == 1 for rules in found.values())


class Results:
    """The runs of one profile, looked up by setting, method and bits.

    Raises HashbenchError where two records are the same cell, or where runs of one setting follow different rules.
    """

    def __init__(
        self, records: Sequence[RunRecord], methods: Sequence[str], datasets: Sequence[str], ap: Mapping[CellKey, Array]
    ) -> None:
        if not records:
            raise HashbenchError("there are no run records to report; run `dvc repro` to make them")
        self.methods = tuple(methods)
        self._ap = ap
        self._runs: dict[tuple[Setting, str, int], list[RunRecord]] = defaultdict(list)
        seen: set[CellKey] = set()
        for record in sorted(records, key=key_of):
            key = key_of(record)
            if key in seen:
                raise HashbenchError(f"two run records are of the same cell {key}; delete the one that is out of date")
            seen.add(key)
            self._runs[Setting(record.dataset, record.backbone), record.method, record.bits].append(record)
        place = {dataset: number for number, dataset in enumerate(datasets)}
        found = {setting for setting, _, _ in self._runs}
        self.settings = tuple(
            sorted((s for s in found if s.dataset in place), key=lambda s: (s.backbone, place[s.dataset]))
        )
        if not self.settings:
            raise HashbenchError(f"no run record is of a data set of this report ({', '.join(datasets)})")
        for setting in self.settings:
            self._check_rules(setting)

    def _check_rules(self, setting: Setting) -> None:
        runs = self.of_setting(setting)
        for rule in _RULES:
            values = sorted({str(getattr(run, rule)) for run in runs})
            if len(values) > 1:
                raise HashbenchError(
                    f"the runs of {setting.dataset} on {setting.backbone} differ in {rule} ({', '.join(values)}), so "
                    "they cannot stand in one table; run `dvc repro` to make them anew"
                )

    def runs(self, setting: Setting, method: str, bits: int) -> list[RunRecord]:
        """The runs of one cell, by seed; empty where it was not run."""
        return self._runs.get((setting, method, bits), [])

    def of_setting(self, setting: Setting, methods: Iterable[str] | None = None) -> list[RunRecord]:
        """All runs of a setting, of these methods only where they are given."""
        wanted = None if methods is None else set(methods)
        return [
            run
            for (where, method, _), runs in sorted(self._runs.items())
            if where == setting and (wanted is None or method in wanted)
            for run in runs
        ]

    def bits(self, setting: Setting) -> list[int]:
        """The code lengths that were run in a setting, ascending."""
        return sorted({bits for where, method, bits in self._runs if where == setting and method in self.methods})

    def any_run(self, setting: Setting) -> RunRecord:
        """A run of the setting, for what all of them share."""
        return self.of_setting(setting)[0]

    def title(self, method: str) -> str:
        """A method's name in print."""
        return self._titles.get(method, method)

    @cached_property
    def _titles(self) -> dict[str, str]:
        return {method: runs[0].method_title for (_, method, _), runs in sorted(self._runs.items())}

    @cached_property
    def ran(self) -> tuple[str, ...]:
        """The methods of the report that have at least one run, in the report's order."""
        found = {method for setting, method, _ in self._runs if setting in self.settings}
        return tuple(method for method in self.methods if method in found)

    def setting_title(self, setting: Setting) -> str:
        """A setting in print: the data set, and the backbone where the report has several."""
        run = self.any_run(setting)
        several = len({s.backbone for s in self.settings}) > 1
        return f"{run.dataset_title}, {run.backbone_title}" if several else run.dataset_title

    def values(self, setting: Setting, method: str, bits: int, value: Callable[[RunRecord], float]) -> list[float]:
        """One number of each run of a cell, by seed."""
        return [value(run) for run in self.runs(setting, method, bits)]

    def mean_map(self, setting: Setting, method: str, bits: int) -> float | None:
        """A cell's mAP, mean over seeds; None where it was not run."""
        maps = self.values(setting, method, bits, lambda run: run.map)
        return mean(maps) if maps else None

    def ap(self, setting: Setting, method: str, bits: int) -> Array:
        """Average precision of each query, mean over seeds, float64 (n_q,); queries without relevant items follow the
        run's rule: 0, or left out. Raises HashbenchError where a run has no stored values."""
        stacked = []
        for run in self.runs(setting, method, bits):
            values = self._ap.get(key_of(run))
            if values is None:
                raise HashbenchError(f"the per-query results of the run {key_of(run)} are missing; run `dvc repro`")
            stacked.append(values)
        ap = np.stack(stacked).mean(axis=0)
        counted: Array = np.nan_to_num(ap) if self.any_run(setting).empty == "zero" else ap[~np.isnan(ap)]
        return counted

    def ap_of_queries(self, setting: Setting, method: str, bits: int) -> Array | None:
        """As `ap`, but with one value for every query, NaN where nothing is relevant; None where not stored."""
        stacked = [self._ap.get(key_of(run)) for run in self.runs(setting, method, bits)]
        if not stacked or any(values is None for values in stacked):
            return None
        mean_ap: Array = np.stack([values for values in stacked if values is not None]).mean(axis=0)
        return mean_ap


def key_of(record: RunRecord) -> CellKey:
    """What tells a record from all others."""
    return (record.dataset, record.backbone, record.method, record.bits, record.seed)
