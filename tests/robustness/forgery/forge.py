"""What a forger with the source at hand does: rewrite results through the project's own functions.

Everything works on the checkout in the working directory, with the profile `quick`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from hashbench.artefacts import fits, records, store
from hashbench.artefacts.layout import Layout
from hashbench.artefacts.manifest import digests_of_files, read_manifest, write_manifest
from hashbench.artefacts.split import read_split, write_split
from hashbench.cells import Cell
from hashbench.records import RunRecord
from hashbench.stages import evaluate, report
from hashbench.types import Array, Codes, Split
from hashbench.verification.dvclock import lock_path, md5_of

LAYOUT = Layout("quick")


def cell_of(method: str, bits: int = 16, seed: int = 0) -> Cell:
    """A cell of the small checkout."""
    return Cell("digits", "vit_micro", method, bits, seed)


def rewrite_fit(method: str, bits_of: Callable[[Split, Array], Array] | None = None, **claims: Any) -> None:
    """Write the fit of a method's cell anew, with the bits that `bits_of(split, rows)` gives and with other claims."""
    cell, split = cell_of(method), read_split(LAYOUT.split("digits"))
    stored, state = fits.read_fit(LAYOUT, cell), store.read_tensors(LAYOUT.model(cell))
    codes = dict(zip(("query", "database"), fits.read_codes(LAYOUT, cell, split), strict=True))
    if bits_of is not None:
        codes = {part: Codes.pack(bits_of(split, value.rows), value.rows) for part, value in codes.items()}
    record = stored.record.model_copy(update=claims)
    fits.write_fit(LAYOUT, cell, state, codes, record.fingerprint(cell.bits), record)


def labels_as_bits(split: Split, rows: Array) -> Array:
    """Codes of 16 bits that hold the label and nothing else: bool (m, 16)."""
    return np.concatenate([split.labels[rows], split.labels[rows][:, :6]], axis=1)


def swap_codes(a: str, b: str) -> None:
    """Give each of two methods the codes of the other."""
    split = read_split(LAYOUT.split("digits"))
    bits = {method: _bits_by_row(method, split) for method in (a, b)}
    for method, other in ((a, b), (b, a)):
        rewrite_fit(method, lambda _, rows, of=bits[other]: np.stack([of[row] for row in rows.tolist()]))


def _bits_by_row(method: str, split: Split) -> dict[int, Array]:
    pairs = fits.read_codes(LAYOUT, cell_of(method), split)
    return {int(row): bits for codes in pairs for row, bits in zip(codes.rows, codes.unpack(), strict=True)}


def change_params(name: str, key: str, value: Any) -> None:
    """Change what a stage is told of params.yaml, and not params.yaml."""
    path = LAYOUT.params / f"{name}.json"
    said = json.loads(path.read_text(encoding="utf-8"))
    *blocks, last = key.split(".")
    inner = said
    for block in blocks:
        inner = inner[block]
    inner[last] = value
    path.write_text(json.dumps(said), encoding="utf-8")


def change_split(**parts: Any) -> None:
    """Write the split anew with other rows, labels or another name; everything that it goes into follows."""
    path = LAYOUT.split("digits")
    old = read_split(path)
    kept = {name: getattr(old, name) for name in ("name", "query", "database", "train", "labels")}
    split = Split(**(kept | parts))
    write_split(path, split)
    for method in json.loads((LAYOUT.params / "evaluate/methods.json").read_text(encoding="utf-8"))["methods"]:
        rewrite_fit(method, split=split.digest)


def change_records(change: Callable[[list[RunRecord]], list[RunRecord]]) -> None:
    """Write the run records anew, and the report from them."""
    records.write_records(LAYOUT.records, change(records.read_records(LAYOUT.records)))
    remake_report()


def replaced(method: str | None, **values: Any) -> Callable[[list[RunRecord]], list[RunRecord]]:
    """A change of the records: other values in those of a method, or of all."""

    def change(runs: list[RunRecord]) -> list[RunRecord]:
        return [run.model_copy(update=values) if method in (run.method, None) else run for run in runs]

    return change


def raise_average_precision(method: str, factor: float) -> None:
    """Raise the average precision of a method's queries, and the report with it, but not the records."""
    ap = records.read_queries(LAYOUT.queries)
    ap[cell_of(method)] = {name: np.minimum(values * factor, 1) for name, values in ap[cell_of(method)].items()}
    records.write_queries(LAYOUT.queries, ap)
    remake_report()


def remake_results() -> None:
    """Evaluate and report anew from what the fits say."""
    evaluate.main("quick", "methods")
    remake_report()


def remake_report() -> None:
    """Tables, figures, page and manifest from what the records say."""
    report.main("quick", "methods")


def change_text(name: str, old: str, new: str) -> None:
    """Change a file of the results, and the manifest with it."""
    path = LAYOUT.results / name
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path} does not hold {old}"
    path.write_text(text.replace(old, new), encoding="utf-8")
    remake_manifest()


def flip_a_bit(path: Path) -> None:
    """Flip one bit near the end of a file, where its arrays lie, and let the manifest follow."""
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(bytes(content))
    remake_manifest()


def remake_manifest() -> None:
    """Let the manifest name what lies there."""
    manifest = read_manifest(LAYOUT)
    write_manifest(LAYOUT, manifest.model_copy(update={"files": digests_of_files(LAYOUT)}))


def remake_lock() -> None:
    """Let dvc.lock name what lies there."""
    path = lock_path(LAYOUT)
    lock = yaml.safe_load(path.read_text(encoding="utf-8"))
    for stage in lock["stages"].values():
        for out in stage.get("outs", []):
            if Path(out["path"]).exists():
                out["md5"] = md5_of(Path(out["path"]))
    path.write_text(yaml.safe_dump(lock, sort_keys=False), encoding="utf-8")
