"""Fits the cells of one method of one profile: from params and features on disk to models and codes on disk."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from hashbench.artefacts import fits, store
from hashbench.artefacts.features import Features, files_of_features, open_features, read_record
from hashbench.artefacts.layout import Group, Layout
from hashbench.artefacts.params import params_path, read_params
from hashbench.artefacts.seconds import write_fit_seconds
from hashbench.artefacts.split import read_split
from hashbench.artefacts.weights import weights_path
from hashbench.cells import Cell, FitRecord, MadeFrom, Value
from hashbench.config.selection import FitParams
from hashbench.execution.machine import processor_name
from hashbench.execution.sessions import CheckpointFiles, session_of, stopping_on_signals
from hashbench.features.specs import Pretraining
from hashbench.features.views import views_seed
from hashbench.fingerprint import Program, digest_of, program_of
from hashbench.fitting import Fitted, fit_cells, new_method
from hashbench.learning.inputs import needs_of
from hashbench.methods.base import Method
from hashbench.methods.registry import load_method, module_of
from hashbench.types import TrainableBackbone

log = logging.getLogger("hashbench")

Batch = tuple[Cell, ...]


@dataclass(frozen=True)
class Fitter:
    """Fits the cells of one method, or ablation, of one profile."""

    profile: str
    params: FitParams

    @classmethod
    def read(cls, profile: str, group: Group, method: str) -> Fitter:
        """The fitter of a method by the params that the stage `params` wrote."""
        return cls(profile, read_params(Layout(profile), f"fit/{group}/{method}", FitParams))

    @cached_property
    def layout(self) -> Layout:
        """Where the profile's files lie."""
        return Layout(self.profile, self.params.group)

    @cached_property
    def method_class(self) -> type[Method]:
        """The class that params.yaml names."""
        return load_method(self.params.code)

    @cached_property
    def program(self) -> Program:
        """What computes the codes."""
        return program_of("hashbench.stages.fit", module_of(self.params.code))

    def new_method(self, dataset: str | None = None) -> Method:
        """The method with its hyperparameters, those on a data set where one is named."""
        values = self.params.hyperparameters if dataset is None else self.hyperparameters(dataset)
        return new_method(self.params.method, self.method_class, values)

    def hyperparameters(self, dataset: str) -> dict[str, Value]:
        """The hyperparameters with which the method is fitted to a data set."""
        return self.params.hyperparameters_for(_split_of(self.layout, dataset).n_train)

    def made_from(self, cell: Cell) -> MadeFrom:
        """Everything that decides a cell's codes."""
        split = _split_of(self.layout, cell.dataset)
        return MadeFrom(
            code=self.program.digest,
            versions=self.program.versions,
            hyperparameters=self.params.hyperparameters_for(split.n_train),
            split=split.digest,
            features=_features_of(self.layout, cell.dataset, cell.backbone),
            seed=cell.derived_seed(self.params.base_seed),
            device=self.params.device,
            precision=self.params.precision,
            backbone_training=self.backbone_training(cell.dataset, cell.backbone),
        )

    @property
    def trains_backbone(self) -> bool:
        """Whether the method trains its own copy of the backbone in this run."""
        return self.params.backbone_training is not None and getattr(self.method_class, "trains_backbone", False)

    def backbone_training(self, dataset: str, backbone: str) -> dict[str, Any] | None:
        """What decides the codes where a copy of the backbone is trained: how, and on which views."""
        if not self.trains_backbone:
            return None
        assert self.params.backbone_training is not None
        training = self.params.backbone_training.model_dump(mode="json")
        recipe = self.params.augmentations[dataset].model_dump(mode="json")
        return {**training, "rates": training["rates"].get(backbone, {}), "augmentation": recipe}

    def is_up_to_date(self, cell: Cell) -> bool:
        """Whether an undamaged model and undamaged codes are there that were made from the same."""
        return fits.is_fitted(self.layout, cell, self.made_from(cell).fingerprint(cell.bits))

    @property
    def on_gpu(self) -> bool:
        """Whether cells are trained on a GPU."""
        if self.params.device == "cpu":
            return False
        from hashbench.learning.networks import HeadMethod

        return issubclass(self.method_class, HeadMethod)

    def batches(self, cells: Sequence[Cell]) -> list[Batch]:
        """Which cells are fitted together: on a GPU all heads on the same features, for one would not fill it."""
        if not self.on_gpu or self.trains_backbone:
            return [(cell,) for cell in cells]
        return [tuple(batch) for _, batch in groupby(cells, key=lambda cell: (cell.dataset, cell.backbone))]

    def reads(self, batch: Batch) -> dict[Path, Path]:
        """Every file that `fit` opens: its place below the working directory, and where it lies."""
        dataset, backbone, needs = batch[0].dataset, batch[0].backbone, self.needs
        found = files_of_features(self.layout, dataset, backbone, needs)
        found.append(params_path(self.layout, f"fit/{self.params.group}/{self.params.method}"))
        own = Path(self.params.code)
        if own.is_file() and not own.is_absolute():
            found.append(own)
        places = {path: path for path in found}
        if "backbone" in needs:
            places |= self._weights_places(dataset, backbone)
        return places

    def _weights_places(self, dataset: str, backbone: str) -> dict[Path, Path]:
        weights = self.params.backbones[backbone].weights
        path = weights_path(self.layout, dataset, backbone, self.params.backbones[backbone])
        if isinstance(weights, Pretraining):
            return {file: file for file in (path, store.sidecar(path))}
        return {Path("weights") / weights.file: path}

    @property
    def needs(self) -> frozenset[str]:
        """The features that the method reads in this run."""
        return needs_of(self.new_method(), self.trains_backbone)

    def writes(self, batch: Batch) -> list[Path]:
        """Every file that `fit` leaves."""
        return [path for cell in batch for path in fits.files_of_fit(self.layout, cell)]

    def fit(self, batch: Batch) -> None:
        """Fit cells on the same features, encode queries and database, and keep models and codes.

        A fit that was ended early goes on from its checkpoint.
        """
        fingerprints = [self.made_from(cell).fingerprint(cell.bits) for cell in batch]
        checkpoint = CheckpointFiles(self.layout.checkpoint(batch[0]), digest_of(fingerprints))
        fitted = self.fitted(batch, checkpoint)
        for cell, each, fingerprint in zip(batch, fitted, fingerprints, strict=True):
            self._keep(cell, each, fingerprint)
        checkpoint.remove()

    def fitted(self, batch: Batch, checkpoint: CheckpointFiles | None = None) -> list[Fitted]:
        """Cells on the same features, fitted and encoded, and not kept."""
        methods = [self.new_method(batch[0].dataset) for _ in batch]
        features = self.features(batch[0].dataset, batch[0].backbone)
        bits, seeds = [cell.bits for cell in batch], [cell.derived_seed(self.params.base_seed) for cell in batch]
        with stopping_on_signals() as stopping:
            session = session_of(self.params, batch[0].name, checkpoint, stopping)
            return fit_cells(methods, features, bits, seeds, session)

    def features(self, dataset: str, backbone: str) -> Features:
        """The features that the method needs, opened once for all cells in a row on the same."""
        trainable = self.trainable_backbone(dataset, backbone)
        inputs = (
            _split_of(self.layout, dataset),
            _features_of(self.layout, dataset, backbone),
            digest_of(self.backbone_training(dataset, backbone)),
        )
        key = (Path.cwd(), self.layout, dataset, backbone, inputs, self.needs)
        if key not in _opened:
            _opened.clear()
            _opened[key] = open_features(self.layout, dataset, backbone, self.needs, trainable)
        return _opened[key]

    def trainable_backbone(self, dataset: str, backbone: str) -> TrainableBackbone | None:
        """The run's backbone where the method trains its own copy of it."""
        if not self.trains_backbone:
            return None
        from hashbench.features.finetune import FineTuning

        assert self.params.backbone_training is not None
        spec = self.params.backbones[backbone]
        return FineTuning(
            spec,
            weights_path(self.layout, dataset, backbone, spec),
            self.params.backbone_training,
            self.params.backbone_training.rates.get(backbone, {}),
            self.params.augmentations[dataset],
            views_seed(self.params.base_seed, dataset),
            self.params.device,
            self.params.checkpoint_layers,
        )

    def _keep(self, cell: Cell, fitted: Fitted, fingerprint: str) -> None:
        record = FitRecord(
            **self.made_from(cell).model_dump(),
            processor=processor_name(self.params.device if self.on_gpu else "cpu"),
            curves={name: list(values) for name, values in fitted.log.curves.items()},
            remarks=list(fitted.log.remarks),
        )
        # Seconds first: a cell that was killed before its codes were kept is fitted and timed again.
        write_fit_seconds(self.layout, cell, fingerprint, fitted.fit_seconds, fitted.encode_seconds)
        fits.write_fit(self.layout, cell, fitted.method.state_dict(), fitted.codes, fingerprint, record)
        log.debug("%s: fitted in %.2f s", cell.name, fitted.fit_seconds)


_opened: dict[Any, Features] = {}  # of this process: the last features that were used, by all that decides them


class _SplitNote(NamedTuple):
    """What is needed of a split."""

    digest: str
    n_train: int


def _split_of(layout: Layout, dataset: str) -> _SplitNote:
    split = read_split(layout.split(dataset))
    return _SplitNote(split.digest, len(split.train))


def _features_of(layout: Layout, dataset: str, backbone: str) -> str:
    """The digest of the features that cells are fitted on."""
    return read_record(layout, dataset, backbone).digest
