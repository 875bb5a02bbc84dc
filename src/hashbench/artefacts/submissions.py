"""`submissions/<method>/`: codes that others made, one record a cell, and what is said of them.

The codes carry parities of their rows and columns, so that a flipped bit can be named, not only noticed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import yaml
from pydantic import Field, ValidationError

from hashbench.artefacts import store
from hashbench.artefacts.records import read_records_of, write_records
from hashbench.cells import Frozen
from hashbench.config.messages import first_error, one_line
from hashbench.errors import HashbenchError
from hashbench.records import Cell, SubmittedRecord
from hashbench.types import Array, Codes, Split

SUBMISSIONS = "submissions"
_MOST_BYTES = 1 << 14
_PARTS = ("query", "database")
_CODES, _RECORDS, _NOTES = "codes.safetensors", "records.jsonl", "metadata.yaml"
Line = Annotated[str, Field(max_length=500, pattern=r"^[^\n\r]*$")]


class SubmissionNotes(Frozen):
    """What is said of a submitted method: its name in print, where it was published, its code, and remarks."""

    title: Annotated[Line, Field(min_length=1)]
    paper: Annotated[Line, Field(min_length=1)]
    code: Line
    note: Line


def submission_folders(root: Path) -> list[Path]:
    """The folder of each submitted method below the project's root, sorted."""
    return sorted(path for path in (root / SUBMISSIONS).glob("*") if path.is_dir())


def write_submission(
    folder: Path, notes: SubmissionNotes, records: Sequence[SubmittedRecord], codes: Mapping[Cell, tuple[Codes, Codes]]
) -> None:
    """Write what a submission consists of."""
    arrays: dict[str, Array] = {}
    for cell, pair in codes.items():
        for part, value in zip(_PARTS, pair, strict=True):
            arrays[_key(cell, part)] = value.packed
            arrays |= {_key(cell, f"{part}_{name}"): parity for name, parity in _parities(value.packed).items()}
    store.write_plain_tensors(folder / _CODES, arrays, {})
    write_records(folder / _RECORDS, records)
    text = yaml.safe_dump(notes.model_dump(), sort_keys=False, allow_unicode=True, width=110)
    store.write_text(folder / _NOTES, text)


def read_notes(folder: Path) -> SubmissionNotes:
    """What is said of a submission. Raises HashbenchError where that is missing or not valid."""
    path = folder / _NOTES
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise HashbenchError(f"{path} is larger than {_MOST_BYTES:,} bytes; four short lines do")
        text = path.read_text(encoding="utf-8")
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise HashbenchError(f"{path} has YAML aliases: write the values out")
        return SubmissionNotes.model_validate(yaml.safe_load(text))
    except FileNotFoundError:
        raise HashbenchError(f"{path} is missing; `hashbench submit` writes it") from None
    except ValidationError as error:
        reason = first_error(error, SubmissionNotes.model_json_schema())
        raise HashbenchError(one_line(f"{path}: {reason}")) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise HashbenchError(one_line(f"{path}: not valid YAML: {error}")) from None


def read_submitted(folder: Path) -> list[SubmittedRecord]:
    """The records of a submission. Raises HashbenchError where they are missing, damaged or another method's."""
    path = folder / _RECORDS
    try:
        records = read_records_of(SubmittedRecord, path)
    except store.DamagedError as error:
        raise HashbenchError(f"{path} is damaged ({error.why}); restore it from git") from None
    for record in records:
        if record.method != folder.name:
            raise HashbenchError(f"{path}: a record of the method {record.method}; the folder is {folder.name}'s")
    return records


def read_submitted_codes(folder: Path, splits: Mapping[str, Split]) -> dict[Cell, tuple[Codes, Codes]]:
    """The query and database codes of each cell; `splits` by data set.

    Raises HashbenchError where they are missing or damaged; a damaged bit is named where the parities tell which.
    """
    path = folder / _CODES
    try:
        arrays, _ = store.read_plain_tensors(path)
    except store.DamagedError as error:
        raise HashbenchError(f"{path} is damaged ({_flipped(path) or error.why}); restore it from git") from None
    try:
        cells = sorted({cell for cell, _ in map(_parsed, arrays)})
        return {cell: _pair(arrays, cell, splits[cell.dataset]) for cell in cells}
    except (KeyError, ValueError) as error:
        raise HashbenchError(
            f"{path} does not hold query and database codes of splits that are here ({error})"
        ) from None


def _pair(arrays: Mapping[str, Array], cell: Cell, split: Split) -> tuple[Codes, Codes]:
    query, database = (Codes(arrays[_key(cell, part)], cell.bits, getattr(split, part)) for part in _PARTS)
    return query, database


def _key(cell: Cell, part: str) -> str:
    return "/".join([*map(str, cell), part])


def _parsed(key: str) -> tuple[Cell, str]:
    dataset, backbone, method, bits, seed, part = key.split("/")
    return Cell(dataset, backbone, method, int(bits), int(seed)), part


def _parities(packed: Array) -> dict[str, Array]:
    """Whether each row of packed codes (m, bytes), and each column of their bits, holds an odd number of ones."""
    rows = np.bitwise_count(packed).sum(axis=1) & 1
    return {"row_parity": np.packbits(rows.astype(np.bool_)), "bit_parity": np.bitwise_xor.reduce(packed, axis=0)}


def _flipped(path: Path) -> str:
    """The place of a flipped bit of a damaged file of codes, in words; empty where it cannot be told."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(path.read_bytes())
        return "; ".join(_odd_bits(arrays))
    except (SafetensorError, ValueError, KeyError, TypeError):
        return ""


def _odd_bits(arrays: Mapping[str, Array]) -> Iterator[str]:
    for key in sorted(arrays):
        cell, part = _parsed(key)
        if part not in _PARTS:
            continue
        now = _parities(arrays[key])
        rows, bits = (
            np.flatnonzero(np.unpackbits(np.bitwise_xor(now[name], arrays[_key(cell, f"{part}_{name}")])))
            for name in ("row_parity", "bit_parity")
        )
        if len(rows) == len(bits) == 1:
            yield f"{cell.name}: bit {bits[0]} of {part} item {rows[0]} is flipped"
