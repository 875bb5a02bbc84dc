"""`hashbench verify results/quick`: every number again, from the stored codes and labels alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from hashbench import store
from hashbench.errors import HashbenchError
from hashbench.layout import Cell, Layout
from hashbench.params import load_params
from hashbench.progress import track
from hashbench.stages.evaluate import evaluate_codes, measurements, read_codes, read_record
from hashbench.types import RunRecord, Split


def verify(folder: str, refit: str | None) -> int:
    """Print each number that is not what the codes and labels say; return 0 if there is none, else 1."""
    results = Path(folder).resolve()
    layout = Layout(results.name, root=results.parent.parent)
    if layout.results != results or not layout.runs.is_dir():
        raise HashbenchError(f"{folder} is no results folder; name one such as results/quick")
    groups = (layout, replace(layout, group="ablations"))
    records = {path: group for group in groups for path in sorted(group.runs.glob("*.json"))}
    if not records:
        raise HashbenchError(
            f"{folder} holds no run records; run `nox -s reproduce_table1 -- --profile {results.name}`"
        )
    splits: dict[str, Split | HashbenchError] = {}
    faults = []
    for path, group in track(records.items(), "verify"):
        faults += [f"{path.stem}: {fault}" for fault in _faults_of_run(path, group, splits)]
    if not faults:
        from hashbench.stages.report import faults_of_files

        faults += faults_of_files(load_params(results.parent.parent / "params.yaml"), layout)
    if refit is not None:
        from hashbench.commands.refit import faults_of_refit

        faults += faults_of_refit(refit, layout)
    for fault in faults:
        print(fault)
    print(f"{folder}: {len(records)} runs checked, {len(faults) or 'no'} difference{'s' if len(faults) != 1 else ''}")
    return 1 if faults else 0


def _faults_of_run(path: Path, layout: Layout, splits: dict[str, Split | HashbenchError]) -> Iterator[str]:
    """What in one run's record differs from what its codes and labels say."""
    try:
        record = read_record(path)
        split = _split_of(record, layout, splits)
        cell = Cell(record.dataset, record.backbone, record.method, record.bits, record.seed)
        if not layout.codes(cell).is_file():
            raise HashbenchError(
                f"{layout.codes(cell)} is missing; the codes of large profiles are not in git, make them with "
                f"`nox -s reproduce_table1 -- --profile {layout.profile}`"
            )
        codes = read_codes(layout, cell, split)
        per_query = store.read_tensors(layout.per_query(cell))
    except HashbenchError as error:
        yield str(error)
        return
    if store.sha256_of(layout.codes(cell)) != record.codes_sha256:
        yield "the codes are not those that the record was made from"
    evaluation = evaluate_codes(codes, split, record.k, record.denominator, record.empty, record.ranks)
    numbers = measurements(codes[1], evaluation, record.derived_seed)
    stored = record.model_dump()
    for name, value in numbers.items():
        if not same(stored[name], value):
            yield f"{name} is {_short(stored[name])} in the record, {_short(value)} from the codes and labels"
    if not same(per_query["ap"].tolist(), evaluation.ap.tolist()):
        yield "the per-query average precision differs from what the codes and labels say"


def _split_of(record: RunRecord, layout: Layout, splits: dict[str, Split | HashbenchError]) -> Split:
    """The split of a record's data set, read once; it must be the one that the record names."""
    if record.dataset not in splits:
        try:
            splits[record.dataset] = store.read_split(layout.split(record.dataset))
        except HashbenchError as error:
            splits[record.dataset] = error
    split = splits[record.dataset]
    if isinstance(split, HashbenchError):
        raise split
    if split.digest != record.split_digest:
        raise HashbenchError(f"the split's digest is {split.digest}, the record's is {record.split_digest}")
    return split


def same(a: Any, b: Any) -> bool:
    """Whether two numbers, or nested lists of numbers, agree to 1e-12 (sums may round differently elsewhere)."""
    if isinstance(a, list | tuple):
        return isinstance(b, list | tuple) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12) or (math.isnan(a) and math.isnan(b))
    return bool(a == b)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."
