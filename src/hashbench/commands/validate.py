"""`hashbench validate METHOD`: try hyperparameters on the train rows alone.

One train row in ten is held out as a query and searched for among the other nine, on which the method was fitted. The
queries and the database of the benchmark are never looked at, so what is chosen this way is chosen fairly.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from rich.console import Console
from rich.table import Table

from hashbench.commands.fit import block_with
from hashbench.evaluation import evaluate
from hashbench.layout import Cell, cells_of
from hashbench.methods.registry import load_method
from hashbench.params import load_params
from hashbench.progress import track
from hashbench.seeding import numpy_generator, run_seed
from hashbench.stages.fit import constructor
from hashbench.stages.provide import Features, open_features
from hashbench.stages.side_by_side import use_one_core
from hashbench.types import Array, Split, TrainView

HELD_OUT = 10


def validate(method: str, profile: str, settings: list[str], bits: list[int] | None) -> None:
    """Print the validation mAP of `method` with `settings` for every data set, backbone and code length."""
    params = load_params()
    block = block_with(method, params, profile, settings)
    method_class = load_method(block.code)
    new_method = constructor(method, method_class, block)
    lengths = bits or params.profile(profile).bits
    table = Table(title=f"{method_class.title}, held-out train rows", title_justify="left", box=None)
    for column in ("data set", "backbone", "bits", "mAP@k", "k", "seconds to fit"):
        table.add_column(column, justify="left" if column in ("data set", "backbone") else "right")
    use_one_core()
    for dataset, backbone in dict.fromkeys((c.dataset, c.backbone) for c in cells_of(params, profile, method)):
        features = open_features(params, profile, dataset, backbone, new_method().needs)
        split, train = validation_part(features, run_seed(params.base_seed, "validation", dataset))
        k = min(params.datasets[dataset].k or len(split.database), len(split.database) // 20)
        for n_bits in track(lengths, f"validate {method} on {dataset}"):
            seed = Cell(dataset, backbone, method, n_bits, 0).derived_seed(params.base_seed)
            fitted = new_method()
            start = time.perf_counter()
            fitted.fit(train, n_bits, seed)
            seconds = time.perf_counter() - start
            codes = [fitted.encode(features.items(rows)) for rows in (split.query, split.database)]
            labels = [split.labels[rows] for rows in (split.query, split.database)]
            found = evaluate(codes[0], codes[1], labels[0], labels[1], k=k)
            table.add_row(dataset, backbone, str(n_bits), f"{found.map:.4f}", str(k), f"{seconds:.1f}")
    Console().print(table)


def validation_part(features: Features, seed: int) -> tuple[Split, TrainView]:
    """A split of the train rows alone, held-out ones as queries, and the view of the others to fit on."""
    train, n = features.train, len(features.train)
    order = numpy_generator(seed).permutation(n)
    held, kept = order[: n // HELD_OUT], np.sort(order[n // HELD_OUT :])

    def of(array: Array | None) -> Array | None:
        return None if array is None else array[kept]

    def of_views(array: Array | None) -> Array | None:
        return None if array is None else array[:, kept]

    part = replace(
        train,
        rows=train.rows[kept],
        pooled=of(train.pooled),
        token_mean=of(train.token_mean),
        images=of(train.images),
        views=of_views(train.views),
        view_tokens=of_views(train.view_tokens),
    )
    rows = train.rows
    return Split("validation", rows[held], rows[kept], rows[kept], features.split.labels), part
