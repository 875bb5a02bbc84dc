"""Where every file of a profile lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hashbench.cells import Cell

Group = Literal["methods", "ablations", "official"]


@dataclass(frozen=True)
class Layout:
    """The paths of one profile below the project's root (the working directory, unless said otherwise).

    `group`: runs of the `methods` of the tables; or of the `ablations`, or of the methods with `official` settings,
    whose results lie in folders of their own.
    """

    profile: str
    group: Group = "methods"
    root: Path = Path()

    @property
    def artefacts(self) -> Path:
        """What can be made again and is not in git: images, splits, features, fitted methods, a file a cell."""
        return self.root / "artefacts" / self.profile

    @property
    def profile_results(self) -> Path:
        """The folder of all results of the profile."""
        return self.root / "results" / self.profile

    @property
    def results(self) -> Path:
        """What people look at, cite and check: the results of the group."""
        return self.profile_results if self.group == "methods" else self.profile_results / self.group

    def lock(self, stage: str) -> Path:
        """The file that a process holds while it runs a stage."""
        return self.artefacts / "locks" / f"{stage}.lock"

    @property
    def params(self) -> Path:
        """The folder of what each stage reads of params.yaml."""
        return self.artefacts / "params"

    @property
    def programs(self) -> Path:
        """The folder of the digests of the programs that stages run."""
        return self.artefacts / "programs"

    @property
    def sources(self) -> Path:
        """The folder of links to files that were put in place by hand."""
        return self.artefacts / "sources"

    def dataset(self, dataset: str) -> Path:
        """The folder of a prepared data set."""
        return self.artefacts / "data" / dataset

    def split(self, dataset: str) -> Path:
        """Query, database and train rows and labels: all that is needed to check a table from its codes."""
        return self.profile_results / "splits" / f"{dataset}.safetensors"

    def weights_record(self, dataset: str, backbone: str) -> Path:
        """Which weights a run's backbone has: file name and sha256."""
        return self.artefacts / "backbones" / f"{dataset}-{backbone}.json"

    def trained_weights(self, dataset: str, backbone: str) -> Path:
        """The weights of a backbone that was trained here."""
        return self.artefacts / "backbones" / f"{dataset}-{backbone}.safetensors"

    def features(self, dataset: str, backbone: str) -> Path:
        """The folder of a data set's features."""
        return self.artefacts / "features" / f"{dataset}-{backbone}"

    def fits(self, method: str) -> Path:
        """The folder of the fitted cells of a method."""
        return self.artefacts / "fits" / self.group / method

    def model(self, cell: Cell) -> Path:
        """A fitted method."""
        return self.fits(cell.method) / f"{cell.name}.model.safetensors"

    def codes(self, cell: Cell) -> Path:
        """A cell's packed query and database codes, with its `FitRecord` beside them."""
        return self.fits(cell.method) / f"{cell.name}.codes.safetensors"

    def checkpoint(self, cell: Cell) -> Path:
        """The state of an unfinished fit."""
        return self.artefacts / "checkpoints" / self.group / cell.method / f"{cell.name}.safetensors"

    def study(self, method: str) -> Path:
        """The SQLite file in which the search of a method keeps what it has tried."""
        return self.artefacts / "studies" / f"{method}.sqlite"

    def trials(self, method: str) -> Path:
        """Every fit of a method's search."""
        return self.artefacts / "trials" / method / "trials.csv"

    def importance(self, method: str) -> Path:
        """How much each hyperparameter of a method counts in its search."""
        return self.artefacts / "trials" / method / "importance.csv"

    @property
    def search(self) -> Path:
        """The folder of the results of the search."""
        return self.profile_results / "search"

    def search_seconds(self, method: str) -> Path:
        """The seconds of every fit of a method's search: beside what DVC hashes."""
        return self.artefacts / "seconds" / "search" / f"{method}.csv"

    @property
    def evaluations(self) -> Path:
        """The folder of the evaluated cells of the group."""
        return self.artefacts / "evaluations" / self.group

    def evaluation(self, cell: Cell) -> Path:
        """A cell's average precision query by query, with its `EvaluationSummary` beside it."""
        return self.evaluations / f"{cell.name}.safetensors"

    def fit_seconds(self, cell: Cell) -> Path:
        """How long a cell's fit took: beside what DVC hashes, which must be the same bytes in every run."""
        return self.artefacts / "seconds" / self.group / f"{cell.name}.fit.json"

    def evaluation_seconds(self, cell: Cell) -> Path:
        """How long a cell's evaluation took."""
        return self.artefacts / "seconds" / self.group / f"{cell.name}.evaluate.json"

    @property
    def records(self) -> Path:
        """All run records of the group, one JSON line a cell."""
        return self.results / "records.jsonl"

    @property
    def queries(self) -> Path:
        """The average precision of every query of every cell of the group."""
        return self.results / "queries.safetensors"

    @property
    def seconds(self) -> Path:
        """The seconds that each cell took: the one file of data that no two runs share."""
        return self.results / "cost" / "seconds.csv"

    def kept_codes(self, method: str) -> Path:
        """The codes of all cells of a method, kept with the results."""
        return self.results / "codes" / f"{method}.safetensors"

    @property
    def manifest(self) -> Path:
        """The digest of every file of the group's results, and what made them."""
        return self.results / "MANIFEST.json"
