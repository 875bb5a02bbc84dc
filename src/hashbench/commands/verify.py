"""`hashbench verify results/quick`: every number again, from the stored codes and labels alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hashbench import store
from hashbench.data.base import Dataset
from hashbench.data.splits import protocol
from hashbench.errors import HashbenchError
from hashbench.layout import Cell, Layout, cells_of
from hashbench.params import Params, load_params
from hashbench.progress import track
from hashbench.report.build import render_report, tables_of
from hashbench.report.checking import differences
from hashbench.seeding import run_seed
from hashbench.stages.evaluate import evaluate_codes, measurements, read_codes, read_record
from hashbench.stages.fetch import prepare
from hashbench.stages.provide import open_dataset
from hashbench.stages.report import bundle_of
from hashbench.types import Array, Split


def verify(folder: str, refit: str | None) -> int:
    """Print each number that is not what the codes and labels say; return 0 if there is none, else 1."""
    layout = Layout(Path(folder).resolve().name)
    params = load_params()
    params.profile(layout.profile)
    if Path(folder).resolve() != layout.results.resolve():
        raise HashbenchError(f"{folder} is not {layout.results} below params.yaml; run from the folder that holds both")
    cells = _cells(params, layout)
    _require_codes(cells, layout)
    faults: list[str] = []
    splits = {}
    for name in params.profile(layout.profile).datasets:
        splits[name], found = _split(name, params, layout)
        faults += found
    checked = 0
    for cell, group in track(cells.items(), "verify"):
        if (split := splits[cell.dataset]) is not None:
            faults += [f"{cell.name}: {fault}" for fault in _run(cell, group, split)]
            checked += 1
    # Tables are made from the records, so they can be checked only once these are known to be right.
    faults += [] if faults else _files(params, layout)
    if refit is not None:
        from hashbench.commands.refit import faults_of_refit

        faults += faults_of_refit(refit, layout)
    print(*faults, sep="\n", end="\n" if faults else "")
    count = f"{len(faults) or 'no'} difference{'s' if len(faults) != 1 else ''}"
    print(f"{folder}: {checked} of {len(cells)} runs checked, {count}")
    return 1 if faults else 0


def _cells(params: Params, layout: Layout) -> dict[Cell, Layout]:
    """Every cell of the profile, and of its ablations where these were run, with the layout that holds its files."""
    found = {cell: layout for method in params.methods for cell in cells_of(params, layout.profile, method)}
    group = replace(layout, group="ablations")
    if group.runs.is_dir():
        found |= {cell: group for name in params.ablations for cell in cells_of(params, layout.profile, name)}
    return found


def _require_codes(cells: dict[Cell, Layout], layout: Layout) -> None:
    """Raise HashbenchError where the profile has no run records, or none of their codes."""
    remedy = f"`nox -s reproduce_table1 -- --profile {layout.profile}`"
    if not any(group.record(cell).is_file() for cell, group in cells.items()):
        raise HashbenchError(f"{layout.results} holds no run records; make them with {remedy}")
    if not any(group.codes(cell).is_file() for cell, group in cells.items()):
        raise HashbenchError(
            f"{layout.results} holds no codes to recompute its numbers from: those of large profiles are not in git; "
            f"make them with {remedy}"
        )


def _split(name: str, params: Params, layout: Layout) -> tuple[Split | None, list[str]]:
    """A stored split, None where it is damaged, and where it is not what the protocol draws from the data set."""
    path, block = layout.split(name), params.datasets[name]
    if not layout.dataset(name).is_dir():
        prepare(name, block, layout)
    dataset = open_dataset(params, layout.profile, name)
    try:
        split = store.read_split(path)
    except HashbenchError as error:
        return None, [f"{error}; no run on {name} can be checked", *_labels(path, _labels_of_damaged(path), dataset)]
    drawn = protocol(block.protocol)(dataset, run_seed(params.base_seed, block.protocol))
    rows = [
        f"{path}: the {part} rows are not those that {block.protocol} draws"
        for part in ("query", "database", "train")
        if not np.array_equal(getattr(split, part), getattr(drawn, part))
    ]
    return split, [*_labels(path, split.labels, dataset), *rows]


def _labels_of_damaged(path: Path) -> Array | None:
    """The labels in a split's file though its checksum is wrong, so as to tell which of them; None where illegible."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return np.unpackbits(load_file(path)["labels"], axis=1).astype(np.bool_)
    except (OSError, SafetensorError, KeyError, ValueError):
        return None


def _labels(path: Path, labels: Array | None, dataset: Dataset) -> Iterator[str]:
    """The items whose stored labels, bool (n, at least c), are not the data set's, (n, c)."""
    if labels is None or len(labels) != len(dataset.labels):
        return
    names = np.array(dataset.class_names)
    stored = labels[:, : len(names)]
    for item in np.flatnonzero((stored != dataset.labels).any(axis=1)):
        is_, should = (", ".join(names[of[item]]) or "nothing" for of in (stored, dataset.labels))
        yield f"{path}: item {item} is labelled {is_}, the data set says {should}"


def _run(cell: Cell, layout: Layout, split: Split) -> Iterator[str]:
    """What in one run's record differs from what its codes and labels say."""
    try:
        record = read_record(layout.record(cell))
        codes = read_codes(layout, cell, split)
        per_query = store.read_tensors(layout.per_query(cell))
    except HashbenchError as error:
        yield str(error)
        return
    if split.digest != record.split_digest:
        yield f"the split's digest is {split.digest}, {record.split_digest} in the record"
    if store.sha256_of(layout.codes(cell)) != record.codes_sha256:
        yield "the codes are not those that the record was made from"
    evaluation = evaluate_codes(codes, split, record.k, record.denominator, record.empty, record.ranks)
    stored = record.model_dump()
    for name, value in measurements(codes[1], evaluation, record.derived_seed).items():
        if not same(stored[name], value):
            yield f"{name} is {_short(stored[name])} in the record, {_short(value)} from the codes and labels"
    if not same(per_query["ap"].tolist(), evaluation.ap.tolist()):
        yield "the per-query average precision differs from what the codes and labels say"


def _files(params: Params, layout: Layout) -> list[str]:
    """Where a text of the report on disk is not what the run records give."""
    bundle = bundle_of(params, layout)
    made: dict[str, str] = {}

    def keep(name: str, content: str | bytes) -> None:
        if isinstance(content, str) and not name.endswith(".svg"):
            made[name] = content

    render_report(bundle, keep)
    tables = tables_of(bundle)
    faults: list[str] = []
    for name, expected in made.items():
        path = layout.results / name
        found = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        faults += differences(name, found, expected, tables)
    return faults


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
