"""The runs of one profile, grouped by cell; the one place that checks that they may stand in one table."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from hashbench.errors import HashbenchError
from hashbench.records import RunRecord
from hashbench.report.bundle import ReportBundle
from hashbench.report.frame import CELL, SeedStatistics, frame_of
from hashbench.types import Array

# What all runs of one data set and backbone must share to be comparable.
_RULES = [
    *("split", "split_digest", "n_query", "n_database", "n_train", "features"),
    *("k", "denominator", "empty", "evaluator"),
]


@dataclass(frozen=True, order=True)
class Setting:
    """A data set and a backbone: what the rows of one column share."""

    dataset: str
    backbone: str


def _broken_rules(frame: pd.DataFrame) -> dict[tuple[str, str, str], list[str]]:
    """(data set, backbone, rule) -> the different values, for each rule that is not one for all runs."""
    return {
        (str(dataset), str(backbone), rule): sorted(map(str, runs[rule].unique()))
        for (dataset, backbone), runs in frame.groupby(["dataset", "backbone"])
        for rule in _RULES
        if runs[rule].nunique(dropna=False) > 1
    }


class Results:
    """The runs of a bundle, looked up by setting, method and bits.

    Raises HashbenchError where two records are the same cell, where runs of one setting follow different rules, or
    where the bundle does not say what a method or backbone is called.
    """

    def __init__(self, bundle: ReportBundle) -> None:
        if not bundle.records:
            raise HashbenchError("there are no run records to report; run `dvc repro` to make them")
        self._bundle = bundle
        self.frame = frame_of(bundle.records)
        self.over_seeds = SeedStatistics(self.frame)
        self._runs: dict[tuple[Setting, str, int], list[RunRecord]] = defaultdict(list)
        for record in sorted(bundle.records, key=lambda record: record.cell):
            self._runs[Setting(record.dataset, record.backbone), record.method, record.bits].append(record)
        self._require_unique_cells()
        self._require_titles()
        self._require_same_rules()

    def _require_unique_cells(self) -> None:
        twice = self.frame[self.frame.duplicated([*CELL, "seed"])]
        for key in twice[[*CELL, "seed"]].itertuples(index=False, name=None):
            raise HashbenchError(f"two run records are of the same cell {key}; delete the one that is out of date")

    def _require_titles(self) -> None:
        if not self.settings:
            known = ", ".join(self._bundle.dataset_titles)
            raise HashbenchError(f"no run record is of a data set of this report ({known})")
        for column, titles in (("method", self._bundle.methods), ("backbone", self._bundle.backbone_titles)):
            if unknown := sorted(set(self.frame[column]) - titles.keys()):
                raise HashbenchError(f"the report is not told what the {column} '{unknown[0]}' of the run records is")

    def _require_same_rules(self) -> None:
        for (dataset, backbone, rule), values in _broken_rules(self.frame).items():
            if Setting(dataset, backbone) in self.settings:
                raise HashbenchError(
                    f"the runs of {dataset} on {backbone} differ in {rule} ({', '.join(values)}), so they cannot stand "
                    "in one table; run `dvc repro` to make them anew"
                )

    @cached_property
    def settings(self) -> tuple[Setting, ...]:
        """The settings of the report, by backbone and then in the order of the data sets."""
        place = {dataset: number for number, dataset in enumerate(self._bundle.dataset_titles)}
        found = {setting for setting, _, _ in self._runs if setting.dataset in place}
        return tuple(sorted(found, key=lambda setting: (setting.backbone, place[setting.dataset])))

    @cached_property
    def ran(self) -> tuple[str, ...]:
        """The methods that have at least one run, in the order of the bundle."""
        found = {method for setting, method, _ in self._runs if setting in self.settings}
        return tuple(method for method in self._bundle.methods if method in found)

    @cached_property
    def under_study(self) -> tuple[str, ...]:
        """The methods under study that have a run."""
        return tuple(method for method in self.ran if self._bundle.methods[method].under_study)

    @cached_property
    def controls(self) -> tuple[str, ...]:
        """The controls that have a run."""
        return tuple(method for method in self._bundle.controls if method in self.ran)

    @cached_property
    def external_text(self) -> tuple[str, ...]:
        """The methods that have a run and are told texts, which no other method is."""
        return tuple(method for method in self.ran if self._bundle.methods[method].external_text)

    @cached_property
    def ranked(self) -> tuple[str, ...]:
        """The methods that have a run and may be ranked with each other: those that learn from images alone."""
        return tuple(method for method in self.ran if method not in self.external_text)

    @cached_property
    def left_out(self) -> tuple[str, ...]:
        """A sentence for each method that was not run on some backbone."""
        titles = self._bundle.backbone_titles
        on = {backbone: f" on {title}" if len(titles) > 1 else "" for backbone, title in titles.items()}
        found = [(backbone, why) for each in self._bundle.left_out.values() for backbone, why in each.items()]
        return tuple(f"Left out{on[backbone]}: {why}." for backbone, why in found)

    def runs(self, setting: Setting, method: str, bits: int) -> list[RunRecord]:
        """The runs of one cell, by seed; empty where it was not run."""
        return self._runs.get((setting, method, bits), [])

    def of_setting(self, setting: Setting, methods: Iterable[str] | None = None) -> list[RunRecord]:
        """All runs of a setting, of these methods only where they are given."""
        wanted = self._bundle.methods.keys() if methods is None else set(methods)
        return [
            run
            for (where, method, _), runs in sorted(self._runs.items())
            if where == setting and method in wanted
            for run in runs
        ]

    def bits(self, setting: Setting) -> list[int]:
        """The code lengths that were run in a setting, ascending."""
        return sorted({bits for where, _, bits in self._runs if where == setting})

    @cached_property
    def grid(self) -> tuple[tuple[Setting, int], ...]:
        """Every setting with each of its code lengths: the columns of most tables."""
        return tuple((setting, bits) for setting in self.settings for bits in self.bits(setting))

    def any_run(self, setting: Setting) -> RunRecord:
        """A run of the setting, for what all of them share."""
        return self.of_setting(setting)[0]

    def title(self, method: str) -> str:
        """A method's name in print."""
        return self._bundle.methods[method].title

    def citation_key(self, method: str) -> str:
        """The BibTeX key of a method's paper; empty where it has none."""
        paper = self._bundle.methods[method].paper
        return "" if paper is None else paper.key

    def dataset_title(self, setting: Setting) -> str:
        """A data set's name in print."""
        return self._bundle.dataset_titles[setting.dataset]

    def backbone_title(self, setting: Setting) -> str:
        """A backbone's name in print."""
        return self._bundle.backbone_titles[setting.backbone]

    def setting_title(self, setting: Setting) -> str:
        """A setting in print: the data set, and the backbone where the report has several."""
        several = len({s.backbone for s in self.settings}) > 1
        title = self.dataset_title(setting)
        return f"{title}, {self.backbone_title(setting)}" if several else title

    def mean(self, setting: Setting, method: str, bits: int, column: str) -> float | None:
        """One number of a cell by its column of the frame, mean over seeds; None where it was not run."""
        found = self.over_seeds.of(setting.dataset, setting.backbone, method, bits, column).mean
        return found if math.isfinite(found) else None

    def ap_by_seed(self, setting: Setting, method: str, bits: int) -> Array:
        """Average precision of each repetition and query, float64 (s, n_q); queries without relevant items follow the
        run's rule: 0, or left out. Raises HashbenchError where a run has no stored values."""
        runs = self.runs(setting, method, bits)
        for run in runs:
            if run.cell not in self._bundle.ap:
                raise HashbenchError(f"the per-query results of the run {run.cell.name} are missing; run `dvc repro`")
        ap: Array = np.stack([self._bundle.ap[run.cell] for run in runs])
        zero = self.any_run(setting).evaluation.empty == "zero"
        counted: Array = np.nan_to_num(ap) if zero else ap[:, ~np.isnan(ap).any(axis=0)]
        return counted

    def ap_of_queries(self, setting: Setting, method: str, bits: int) -> Array | None:
        """Average precision of each query, mean over seeds, float64 (n_q,), NaN where nothing is relevant; None where
        it is not stored."""
        stored = [self._bundle.ap.get(run.cell) for run in self.runs(setting, method, bits)]
        known = [values for values in stored if values is not None]
        if not stored or len(known) < len(stored):
            return None
        mean_ap: Array = np.stack(known).mean(axis=0)
        return mean_ap
