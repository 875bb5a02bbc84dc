"""Fit one method: every (data set, backbone, code length, repetition) of a profile, and keep the codes.

A cell whose codes are whole and were made from the same code, hyperparameters, split and features is kept, so a
rerun goes on where the last one stopped.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from hashbench import store
from hashbench.errors import HashbenchError
from hashbench.layout import Cell, Layout, cells_of
from hashbench.methods.base import Method
from hashbench.methods.registry import code_files, load_method
from hashbench.params import MethodParams, did_you_mean, load_params
from hashbench.progress import track
from hashbench.stages.command import log, run_stage
from hashbench.stages.machine import device_name, versions
from hashbench.stages.provide import Features, open_features
from hashbench.types import Codes

ROWS_AT_ONCE = 8192


def main(profile: str, method: str) -> None:
    """Fit every cell of `method` in `profile` that is not up to date."""
    params, layout = load_params(), Layout(profile)
    block = params.method(method, profile)
    method_class = load_method(block.code)
    new_method = constructor(method, method_class, block)
    features = lru_cache(maxsize=1)(
        lambda dataset, backbone: open_features(profile, dataset, backbone, method_class.needs)
    )
    code_digest = store.digest_of_files(code_files(method_class))
    cells = list(cells_of(params, profile, method))
    fitted = 0
    for cell in track(cells, f"fit {method}"):
        made_from = {
            "code": code_digest,
            "hyperparameters": {name: entry.value for name, entry in block.hyperparameters.items()},
            "split": store.about(layout.split(cell.dataset))["digest"],
            "features": store.read_json(layout.features_record(cell.dataset, cell.backbone))["digest"],
            "seed": cell.derived_seed(params.base_seed),
        }
        fingerprint = store.digest_of(made_from)
        if store.is_whole(layout.codes(cell), fingerprint=fingerprint):
            continue
        fit_cell(cell, new_method(), features(cell.dataset, cell.backbone), layout, block, made_from, fingerprint)
        fitted += 1
    log.info("fit %s: %d cells fitted, %d kept", method, fitted, len(cells) - fitted)


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
    return lambda: method_class(**given)


def fit_cell(
    cell: Cell,
    method: Method,
    features: Features,
    layout: Layout,
    block: MethodParams,
    made_from: dict[str, Any],
    fingerprint: str,
) -> None:
    """Fit one cell, encode queries and database, and write model and codes."""
    lacking = sorted(method.needs - features.train.provides)
    if lacking:
        raise HashbenchError(
            f"{cell.method} needs {', '.join(lacking)}, which {cell.backbone} on {cell.dataset} does not provide"
        )
    start = time.perf_counter()
    fit_log = method.fit(features.train, cell.bits, made_from["seed"])
    fitted = time.perf_counter()
    codes = {"query": encode(method, features, features.split.query)}
    codes["database"] = encode(method, features, features.split.database)
    encoded = time.perf_counter()
    store.write_tensors(layout.model(cell), method.state_dict(), {"fingerprint": fingerprint})
    store.write_tensors(
        layout.codes(cell),
        {part: value.packed for part, value in codes.items()},
        {
            "fingerprint": fingerprint,
            "made_from": made_from,
            "n_bits": cell.bits,
            "hyperparameters": {name: entry.model_dump() for name, entry in block.hyperparameters.items()},
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


def encode(method: Method, features: Features, rows: np.ndarray[Any, Any]) -> Codes:
    """The codes of `rows`, a block at a time, so that the features of a large data set are never held whole."""
    blocks = [rows[start : start + ROWS_AT_ONCE] for start in range(0, len(rows), ROWS_AT_ONCE)]
    return Codes.pack(np.concatenate([method.encode(features.items(block)) for block in blocks]), rows)


if __name__ == "__main__":
    run_stage(main, "profile", "method")
