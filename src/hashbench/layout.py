"""Where every file of a profile lies, and which cells it has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from hashbench.params import Params
from hashbench.seeding import run_seed


class Cell(NamedTuple):
    """One run: its five coordinates. `seed` is the number of the repetition."""

    dataset: str
    backbone: str
    method: str
    bits: int
    seed: int

    @property
    def name(self) -> str:
        """The cell's file name without ending."""
        return f"{self.dataset}-{self.backbone}-{self.method}-{self.bits}-{self.seed}"

    def derived_seed(self, base: int) -> int:
        """The seed of every random draw of the cell's fit."""
        return run_seed(base, self.dataset, self.backbone, self.method, self.bits, self.seed)


@dataclass(frozen=True)
class Layout:
    """The paths of one profile below the project's root (the working directory, unless said otherwise).

    `group`: runs of the `methods` of the tables, or of the `ablations`, which lie in a folder of their own.
    """

    profile: str
    group: Literal["methods", "ablations"] = "methods"
    root: Path = Path()

    @property
    def artefacts(self) -> Path:
        """What can be made again and is not in git: images, splits, features, fitted methods."""
        return self.root / "artefacts" / self.profile

    @property
    def results(self) -> Path:
        """What people look at, cite and check."""
        return self.root / "results" / self.profile

    def lock(self, stage: str) -> Path:
        """The file that a process holds while it runs a stage."""
        return self.artefacts / "locks" / f"{stage}.lock"

    def dataset(self, dataset: str) -> Path:
        """The folder of a prepared data set."""
        return self.artefacts / "data" / dataset

    def split(self, dataset: str) -> Path:
        """Query, database and train rows and labels: all that is needed to check a table from its codes."""
        return self.results / "splits" / f"{dataset}.safetensors"

    def weights_record(self, dataset: str, backbone: str) -> Path:
        """Which weights a run's backbone has: file name and sha256."""
        return self.artefacts / "backbones" / f"{dataset}-{backbone}.json"

    def trained_weights(self, dataset: str, backbone: str) -> Path:
        """The weights of a backbone that was trained here."""
        return self.artefacts / "backbones" / f"{dataset}-{backbone}.safetensors"

    def features(self, dataset: str, backbone: str) -> Path:
        """The folder of a data set's features."""
        return self.artefacts / "features" / f"{dataset}-{backbone}"

    def features_record(self, dataset: str, backbone: str) -> Path:
        """The backbone's title and the digest of all features of a data set."""
        return self.features(dataset, backbone) / "features.json"

    def model(self, cell: Cell) -> Path:
        """A fitted method."""
        return self.artefacts / "models" / cell.method / f"{cell.name}.safetensors"

    def checkpoint(self, cell: Cell) -> Path:
        """The state of an unfinished fit."""
        return self.artefacts / "checkpoints" / cell.method / f"{cell.name}.safetensors"

    def codes(self, cell: Cell) -> Path:
        """A cell's packed query and database codes."""
        return self._of_group / "codes" / cell.method / f"{cell.name}.safetensors"

    @property
    def runs(self) -> Path:
        """The folder of the run records."""
        return self._of_group / "runs"

    @property
    def queries(self) -> Path:
        """The folder of the per-query files."""
        return self._of_group / "queries"

    @property
    def _of_group(self) -> Path:
        return self.results if self.group == "methods" else self.results / self.group

    def record(self, cell: Cell) -> Path:
        """A cell's run record."""
        return self.runs / f"{cell.name}.json"

    def per_query(self, cell: Cell) -> Path:
        """A cell's average precision query by query."""
        return self.queries / f"{cell.name}.safetensors"


def cells_of(params: Params, profile: str, method: str) -> Iterator[Cell]:
    """Every cell of one method in a profile, in the order of params.yaml."""
    chosen = params.profile(profile)
    for dataset in chosen.datasets:
        for backbone in chosen.backbones:
            for bits in chosen.bits:
                for seed in chosen.seeds:
                    yield Cell(dataset, backbone, method, bits, seed)
