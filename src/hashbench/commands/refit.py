"""`hashbench verify --refit METHOD`: train a method again and compare its codes with the stored ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hashbench.layout import Layout, cells_of
from hashbench.methods.registry import load_method
from hashbench.params import load_params
from hashbench.progress import track
from hashbench.stages.evaluate import evaluate_codes, read_codes, read_record
from hashbench.stages.fit import constructor, encode
from hashbench.stages.machine import device_name, versions
from hashbench.stages.provide import open_features


def faults_of_refit(method: str, layout: Layout) -> Iterator[str]:
    """Each cell of `method` whose codes are others when it is trained again.

    On the machine kind and versions of the record the codes must be the same bits; elsewhere the mAP must lie within
    the spread of the seeds.
    """
    params = load_params()
    block = params.method(method, layout.profile)
    method_class = load_method(block.code)
    new_method = constructor(method, method_class, block)
    cells = list(cells_of(params, layout.profile, method))
    for cell in track(cells, f"refit {method}"):
        record = read_record(layout.record(cell))
        fitted = new_method()
        features = open_features(params, layout.profile, cell.dataset, cell.backbone, fitted.needs)
        fitted.fit(features.train, cell.bits, record.derived_seed)
        codes = tuple(encode(fitted, features, rows) for rows in (features.split.query, features.split.database))
        stored = read_codes(layout, cell, features.split)
        differing = sum(int(np.bitwise_count(a.packed ^ b.packed).sum()) for a, b in zip(codes, stored, strict=True))
        if not differing:
            continue
        if (record.device, record.versions) == (device_name(), versions()):
            yield f"{cell.name}: trained again, {differing} bits of the codes differ"
            continue
        evaluation = evaluate_codes(
            (codes[0], codes[1]), features.split, record.k, record.denominator, record.empty, record.ranks
        )
        others = [
            read_record(layout.record(cell._replace(seed=seed))).map for seed in params.profile(layout.profile).seeds
        ]
        allowed = max(3 * float(np.std(others, ddof=1)) if len(others) > 1 else 0.0, 0.01)
        if abs(evaluation.map - float(np.mean(others))) > allowed:
            yield (
                f"{cell.name}: trained again on another machine, mAP is {evaluation.map:.4f}, not within {allowed:.4f} "
                f"of the mean {np.mean(others):.4f} of the recorded seeds"
            )
