"""Results as pandas tables: `load("results/quick")` gives a row a run, `load_queries` a row a run and query."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from hashbench.artefacts.records import AP, ASYMMETRIC_AP, read_queries, read_records
from hashbench.errors import HashbenchError
from hashbench.records import Cell
from hashbench.report.frame import frame_of
from hashbench.types import Array

RECORDS, QUERIES = "records.jsonl", "queries.safetensors"


def load(folder: str | Path) -> pd.DataFrame:
    """The runs of a results folder, one row each, sorted by data set, backbone, method, bits and seed.

    Columns: profile, dataset, split, split_digest, n_query, n_database, n_train, backbone, features, method, bits,
    seed, made_by; k (<NA>: no cut-off), denominator, empty; map, map_optimistic, map_pessimistic, ndcg,
    bit_correlation, distinct_codes, largest_bucket; the measures of `evaluation.metrics`; map_low and map_high, the
    ends of the 95 % interval of map over queries; precision_at_<rank> and recall_at_<rank>, NaN where a run was
    not evaluated at the rank; derived_seed, fingerprint, evaluator. docs/evaluation.md defines the measures; all are
    shares in [0, 1] but distinct_codes and largest_bucket, which count items. asymmetric_map,
    asymmetric_map_optimistic, asymmetric_map_pessimistic and asymmetric_ndcg are of another ranking,
    `evaluate_asymmetric`; NaN for methods that give no logits.
    Raises HashbenchError where the folder holds no valid run records.
    """
    return frame_of(read_records(_file(folder, RECORDS)))


def load_queries(folder: str | Path) -> pd.DataFrame:
    """Average precision of each query of each run of a results folder, in the order of `load` and of the queries.

    Columns: dataset, backbone, method, bits, seed; query, its place in the split, from 0; ap, the expectation over
    random order inside ties, ap_optimistic and ap_pessimistic, its bounds; NaN where nothing is relevant to a query;
    ap_asymmetric, that of `evaluate_asymmetric`, NaN for methods that give no logits.
    Raises HashbenchError where the folder holds no valid per-query values.
    """
    found = read_queries(_file(folder, QUERIES))
    runs = [_queries_of(cell, found[cell]) for cell in sorted(found)]
    return pd.concat(runs, ignore_index=True)


def _queries_of(cell: Cell, arrays: Mapping[str, Array]) -> pd.DataFrame:
    nothing = np.full(len(arrays["ap"]), np.nan)
    values = pd.DataFrame({name: arrays.get(name, nothing) for name in (*AP, ASYMMETRIC_AP)})
    keys = pd.DataFrame({**cell._asdict(), "query": np.arange(len(values))})
    return pd.concat([keys, values], axis="columns")


def _file(folder: str | Path, name: str) -> Path:
    path = Path(folder) / name
    if not path.is_file():
        raise HashbenchError(f"{path} is missing; name a folder of results such as results/quick, or run `dvc repro`")
    return path
