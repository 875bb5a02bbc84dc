"""Fit one method: every (data set, backbone, code length, repetition) of a profile, and keep the codes.

A cell whose codes are whole and were made from the same code, hyperparameters, split and features is kept, so a
rerun goes on where the last one stopped. Cells run side by side, one core each, which is faster than many cores for
one cell, and makes the bits independent of how many cores there are.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hashbench import store
from hashbench.errors import HashbenchError
from hashbench.layout import Cell, Layout, cells_of
from hashbench.methods.base import Method
from hashbench.methods.registry import code_files, load_method
from hashbench.params import MethodParams, did_you_mean, load_params, params_path
from hashbench.progress import track
from hashbench.stages.command import log, run_stage
from hashbench.stages.executors import Work, spread
from hashbench.stages.machine import device_name, versions
from hashbench.stages.provide import Features, files_of_features, open_features
from hashbench.types import Array, Codes

ROWS_AT_ONCE = 8192


def main(profile: str, method: str) -> None:
    """Fit every cell of `method` in `profile` that is not up to date."""
    params = load_params()
    group: Literal["methods", "ablations"] = "ablations" if method in params.ablations else "methods"
    fitter = Fitter(profile, group, method, params.method(method, profile), params.base_seed)
    constructor(method, fitter.method_class, fitter.block)
    cells = list(cells_of(params, profile, method))
    stale = [cell for cell in cells if not fitter.is_up_to_date(cell)]
    gpus = fitter.share_of_a_gpu if params.profile(profile).device == "cuda" else 0.0
    work = Work(replace(fitter).fit, fitter.reads, fitter.writes, gpus)  # a copy: without what cannot leave this host
    for _ in track(spread(work, stale), f"fit {method}", total=len(stale)):
        pass
    log.info("fit %s: %d cells fitted, %d kept", method, len(stale), len(cells) - len(stale))


@dataclass(frozen=True)
class Fitter:
    """Fits the cells of one method of one profile."""

    profile: str
    group: Literal["methods", "ablations"]
    method: str
    block: MethodParams
    base_seed: int

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
        }

    def is_up_to_date(self, cell: Cell) -> bool:
        """Whether an undamaged model and undamaged codes are there that were made from the same."""
        fingerprint = store.digest_of(self.made_from(cell))
        files = (self.layout.model(cell), self.layout.codes(cell))
        return all(store.is_whole(path, fingerprint=fingerprint) for path in files)

    def reads(self, cell: Cell) -> dict[Path, Path]:
        """Every file that `fit` opens: its place below the working directory, and where it lies."""
        params, needs = load_params(), self.method_class.needs
        files = files_of_features(params, self.profile, cell.dataset, cell.backbone, needs)
        # params.yaml is refused where the file of any method is missing.
        codes = [Path(block.code) for block in (*params.methods.values(), *params.ablations.values())]
        own = {code: code for code in codes if code.is_file() and not code.is_absolute()}
        return {Path("params.yaml"): params_path(), **files, **own}

    def writes(self, cell: Cell) -> list[Path]:
        """Every file that `fit` leaves."""
        artefacts = (self.layout.model(cell), self.layout.codes(cell))
        return [path for artefact in artefacts for path in (artefact, store.sidecar(artefact))]

    @property
    def share_of_a_gpu(self) -> float:
        """How much of a GPU a cell takes: a backbone in training fills one, heads on stored features do not."""
        return 1.0 if "backbone" in self.method_class.needs else 0.25

    def fit(self, cell: Cell) -> None:
        """Fit one cell, encode queries and database, and write model and codes."""
        method, made_from = self.new_method(), self.made_from(cell)
        features = _features(self.profile, cell.dataset, cell.backbone, method.needs)
        lacking = sorted(method.needs - features.train.provides)
        if lacking:
            raise HashbenchError(
                f"{cell.method} needs {', '.join(lacking)}, which {cell.backbone} on {cell.dataset} does not provide"
            )
        start = time.perf_counter()
        fit_log = method.fit(features.train, cell.bits, made_from["seed"])
        fitted = time.perf_counter()
        codes = {part: encode(method, features, getattr(features.split, part)) for part in ("query", "database")}
        encoded = time.perf_counter()
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
                "seconds": {"fit": fitted - start, "encode": encoded - fitted},
                "versions": versions(),
                "device": device_name(),
            },
        )
        log.debug("%s: fitted in %.2f s", cell.name, fitted - start)


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
