"""`hashbench verify --refit METHOD`: train a method again and compare its codes with the stored ones."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from tempfile import TemporaryDirectory

import numpy as np

from hashbench import store
from hashbench.layout import Cell, Layout, cells_of
from hashbench.methods.registry import load_method
from hashbench.params import load_params
from hashbench.progress import track
from hashbench.stages.evaluate import evaluate_codes, read_codes, read_record
from hashbench.stages.fit import constructor, encode
from hashbench.stages.machine import device_name, versions
from hashbench.stages.provide import open_features
from hashbench.stages.side_by_side import run_side_by_side
from hashbench.types import Codes

SPREADS, LEAST = 3.0, 0.01  # how far from the mean over seeds a mAP may be, in standard deviations and at least


def faults_of_refit(method: str, layout: Layout) -> Iterator[str]:
    """Each cell of `method` whose codes are others when it is trained again.

    On the machine kind and versions of the record the codes must be the same bits; elsewhere the mAP must lie within
    the spread of the seeds.
    """
    cells = list(cells_of(load_params(), layout.profile, method))
    with TemporaryDirectory() as folder:
        again = partial(fit_again, Path(folder), layout.profile)
        for cell in track(run_side_by_side(again, cells), f"refit {method}", total=len(cells)):
            split = store.read_split(layout.split(cell.dataset))
            arrays = store.read_tensors(Path(folder) / f"{cell.name}.safetensors")
            codes = Codes(arrays["query"], cell.bits, split.query), Codes(arrays["database"], cell.bits, split.database)
            yield from differences(cell, codes, layout)


def fit_again(folder: Path, profile: str, cell: Cell) -> None:
    """Fit one cell as the fit stage does, and leave its codes in `folder`."""
    params = load_params()
    block = params.method(cell.method, profile)
    method = constructor(cell.method, load_method(block.code), block)()
    features = open_features(params, profile, cell.dataset, cell.backbone, method.needs)
    method.fit(features.train, cell.bits, cell.derived_seed(params.base_seed))
    rows = {"query": features.split.query, "database": features.split.database}
    codes = {part: encode(method, features, chosen).packed for part, chosen in rows.items()}
    store.write_tensors(folder / f"{cell.name}.safetensors", codes, {})


def differences(cell: Cell, codes: tuple[Codes, Codes], layout: Layout) -> Iterator[str]:
    """What is wrong with a cell that gave these query and database codes when it was fitted again, if anything."""
    record, split = read_record(layout.record(cell)), store.read_split(layout.split(cell.dataset))
    stored = read_codes(layout, cell, split)
    differing = sum(int(np.bitwise_count(a.packed ^ b.packed).sum()) for a, b in zip(codes, stored, strict=True))
    if not differing:
        return
    if (record.device, record.versions) == (device_name(), versions()):
        yield f"{cell.name}: trained again, {differing} bits of the codes differ"
        return
    value = evaluate_codes(codes, split, record.k, record.denominator, record.empty, record.ranks).map
    seeds = load_params().profile(layout.profile).seeds
    recorded = [read_record(layout.record(cell._replace(seed=seed))).map for seed in seeds]
    allowed = max(SPREADS * stdev(recorded) if len(recorded) > 1 else 0.0, LEAST)
    if abs(value - fmean(recorded)) > allowed:
        yield (
            f"{cell.name}: trained again on another machine, mAP is {value:.4f}, not within {allowed:.4f} of the mean "
            f"{fmean(recorded):.4f} of the recorded seeds"
        )
