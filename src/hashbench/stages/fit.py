"""Fit one method: every (data set, backbone, code length, repetition) of a profile, and keep the codes.

A cell whose codes are whole and were made from the same code, hyperparameters, split and features is kept, so a
rerun goes on where the last one stopped. On a CPU cells run side by side, one core each, which is faster than many
cores for one cell, and makes the bits independent of how many cores there are. On a GPU the heads of a method are
trained together.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from hashbench import store
from hashbench.errors import HashbenchError
from hashbench.layout import Cell, Layout, cells_of
from hashbench.methods.base import Method
from hashbench.methods.registry import code_files, load_method
from hashbench.methods.session import in_session
from hashbench.params import MethodParams, Params, ProfileParams, did_you_mean, load_params, params_path
from hashbench.progress import track
from hashbench.stages.command import log, run_stage
from hashbench.stages.executors import Work, spread
from hashbench.stages.machine import device_name, versions
from hashbench.stages.provide import Features, files_of_features, open_features
from hashbench.stages.sessions import CheckpointFiles, session_of, stopping_on_signals
from hashbench.types import Array, Codes, FitLog, TrainView

Batch = tuple[Cell, ...]

ROWS_AT_ONCE = 8192


def main(profile: str, method: str) -> None:
    """Fit every cell of `method` in `profile` that is not up to date."""
    params = load_params()
    fitter = fitter_of(params, profile, method)
    constructor(method, fitter.method_class, fitter.block)
    cells = list(cells_of(params, profile, method))
    stale = [cell for cell in cells if not fitter.is_up_to_date(cell)]
    batches = fitter.batches(stale)
    gpus = 1.0 if fitter.on_gpu else 0.0
    work = Work(replace(fitter).fit, fitter.reads, fitter.writes, gpus)  # a copy: without what cannot leave this host
    for _ in track(spread(work, batches), f"fit {method}", total=len(batches)):
        pass
    log.info("fit %s: %d cells fitted, %d kept", method, len(stale), len(cells) - len(stale))


def fitter_of(params: Params, profile: str, method: str) -> Fitter:
    """What fits the cells of `method`, or of an ablation of that name, in `profile`."""
    group: Literal["methods", "ablations"] = "ablations" if method in params.ablations else "methods"
    return Fitter(profile, group, method, params.method(method, profile), params.base_seed, params.profile(profile))


@dataclass(frozen=True)
class Fitter:
    """Fits the cells of one method of one profile."""

    profile: str
    group: Literal["methods", "ablations"]
    method: str
    block: MethodParams
    base_seed: int
    run: ProfileParams

    @cached_property
    def layout(self) -> Layout:
        """Where the profile's files lie."""
        return Layout(self.profile, self.group)

    @cached_property
    def method_class(self) -> type[Method]:
        """The class that params.yaml names."""
        return load_method(self.block.code)

    @cached_property
    def new_method(self) -> Callable[[], Method]:
        """Makes the method with its hyperparameters."""
        return constructor(self.method, self.method_class, self.block)

    @cached_property
    def code_digest(self) -> str:
        """What the method's code is, with all that it imports of hashbench's methods."""
        return store.digest_of_files(code_files(self.method_class))

    def made_from(self, cell: Cell) -> dict[str, Any]:
        """Everything that decides a cell's codes."""
        layout = self.layout
        return {
            "code": self.code_digest,
            "hyperparameters": {name: entry.value for name, entry in self.block.hyperparameters.items()},
            "split": store.about(layout.split(cell.dataset))["digest"],
            "features": store.read_sealed(layout.features_record(cell.dataset, cell.backbone))["digest"],
            "bits": cell.bits,
            "seed": cell.derived_seed(self.base_seed),
            "device": self.run.device,
            "precision": self.run.precision,
        }

    def is_up_to_date(self, cell: Cell) -> bool:
        """Whether an undamaged model and undamaged codes are there that were made from the same."""
        fingerprint = store.digest_of(self.made_from(cell))
        files = (self.layout.model(cell), self.layout.codes(cell))
        return all(store.is_whole(path, fingerprint=fingerprint) for path in files)

    @property
    def on_gpu(self) -> bool:
        """Whether cells are trained on a GPU."""
        if self.run.device == "cpu":
            return False
        from hashbench.methods.networks import HeadMethod

        return issubclass(self.method_class, HeadMethod)

    def batches(self, cells: Sequence[Cell]) -> list[Batch]:
        """Which cells are fitted together: on a GPU all heads on the same features, for one would not fill it."""
        if not self.on_gpu or "backbone" in self.new_method().needs:
            return [(cell,) for cell in cells]
        return [tuple(batch) for _, batch in groupby(cells, key=lambda cell: (cell.dataset, cell.backbone))]

    def reads(self, batch: Batch) -> dict[Path, Path]:
        """Every file that `fit` opens: its place below the working directory, and where it lies."""
        params, needs = load_params(), self.new_method().needs
        files = files_of_features(params, self.profile, batch[0].dataset, batch[0].backbone, needs)
        # params.yaml is refused where the file of any method is missing.
        codes = [Path(block.code) for block in (*params.methods.values(), *params.ablations.values())]
        own = {code: code for code in codes if code.is_file() and not code.is_absolute()}
        return {Path("params.yaml"): params_path(), **files, **own}

    def writes(self, batch: Batch) -> list[Path]:
        """Every file that `fit` leaves."""
        artefacts = [path for cell in batch for path in (self.layout.model(cell), self.layout.codes(cell))]
        return [path for artefact in artefacts for path in (artefact, store.sidecar(artefact))]

    def fit(self, batch: Batch) -> None:
        """Fit cells on the same features, encode queries and database, and write models and codes.

        A fit that was ended early goes on from its checkpoint.
        """
        methods = [self.new_method() for _ in batch]
        features = _features(self.profile, batch[0].dataset, batch[0].backbone, methods[0].needs)
        lacking = sorted(methods[0].needs - features.train.provides)
        if lacking:
            raise HashbenchError(
                f"{self.method} needs {', '.join(lacking)}, which {batch[0].backbone} on {batch[0].dataset} does not "
                "provide"
            )
        start = time.perf_counter()
        fingerprint = store.digest_of([self.made_from(cell) for cell in batch])
        checkpoint = CheckpointFiles(self.layout.checkpoint(batch[0]), fingerprint)
        with (
            stopping_on_signals() as stopping,
            in_session(session_of(self.run, batch[0].name, checkpoint, stopping)),
        ):
            logs = self._fit_all(methods, batch, features.train)
        seconds = (time.perf_counter() - start) / len(batch)
        for cell, method, fit_log in zip(batch, methods, logs, strict=True):
            self._keep(cell, method, fit_log, features, seconds)
        checkpoint.remove()

    def _fit_all(self, methods: list[Method], batch: Batch, train: TrainView) -> list[FitLog]:
        bits, seeds = zip(*[(cell.bits, cell.derived_seed(self.base_seed)) for cell in batch], strict=True)
        if len(batch) == 1:
            return [methods[0].fit(train, bits[0], seeds[0])]
        from hashbench.methods.networks import HeadMethod, fit_side_by_side

        return fit_side_by_side(cast(list[HeadMethod], methods), train, bits, seeds)

    def _keep(self, cell: Cell, method: Method, fit_log: FitLog, features: Features, seconds: float) -> None:
        """Encode queries and database by a fitted method, and write its model and its codes."""
        start = time.perf_counter()
        codes = {part: encode(method, features, getattr(features.split, part)) for part in ("query", "database")}
        encoded = time.perf_counter() - start
        made_from = self.made_from(cell)
        fingerprint = store.digest_of(made_from)
        store.write_tensors(self.layout.model(cell), method.state_dict(), {"fingerprint": fingerprint})
        store.write_tensors(
            self.layout.codes(cell),
            {part: value.packed for part, value in codes.items()},
            {
                "fingerprint": fingerprint,
                "made_from": made_from,
                "hyperparameters": {name: entry.model_dump() for name, entry in self.block.hyperparameters.items()},
                "method_title": method.title,
                "deviations": list(method.deviations),
                "curves": {name: list(values) for name, values in fit_log.curves.items()},
                "remarks": list(fit_log.remarks),
                "seconds": {"fit": seconds, "encode": encoded},
                "versions": versions(),
                "device": device_name(self.run.device if self.on_gpu else "cpu"),
            },
        )
        log.debug("%s: fitted in %.2f s", cell.name, seconds)


@lru_cache(maxsize=1)
def _features(profile: str, dataset: str, backbone: str, needs: frozenset[str]) -> Features:
    return open_features(load_params(), profile, dataset, backbone, needs)


def constructor(name: str, method_class: type[Method], block: MethodParams) -> Callable[[], Method]:
    """A function that makes the method with its hyperparameters, after checking their names."""
    accepted = set(inspect.signature(method_class).parameters)
    given = {key: entry.value for key, entry in block.hyperparameters.items()}
    for key in given:
        if key not in accepted:
            raise HashbenchError(f"params.yaml: methods.{name}: unknown key '{key}'{did_you_mean(key, accepted)}")
    missing = sorted(accepted - set(given))
    if missing:
        raise HashbenchError(f"params.yaml: methods.{name}: key '{missing[0]}' is missing")
    return partial(method_class, **given)


def encode(method: Method, features: Features, rows: Array) -> Codes:
    """The codes of `rows`, a block at a time, so that the features of a large data set are never held whole."""
    blocks = [rows[start : start + ROWS_AT_ONCE] for start in range(0, len(rows), ROWS_AT_ONCE)]
    return Codes.pack(np.concatenate([method.encode(features.items(block)) for block in blocks]), rows)


if __name__ == "__main__":
    from hashbench.stages import fit  # by its name: other hosts look for what it defines there, not in __main__

    run_stage(fit.main, "profile", "method")
