"""Evaluated cells: a file each while a run is under way, and all of them gathered in the results."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import ValidationError

from hashbench.artefacts import fits, store
from hashbench.artefacts.layout import Layout
from hashbench.cells import Frozen
from hashbench.config.messages import first_error
from hashbench.errors import HashbenchError
from hashbench.fingerprint import digest_of
from hashbench.records import Cell, EvaluatedCell, EvaluationSummary, RunRecord
from hashbench.types import Array, Codes, Split

Record = TypeVar("Record", bound=EvaluatedCell)
AP = ("ap", "ap_optimistic", "ap_pessimistic")
ASYMMETRIC_AP = "ap_asymmetric"  # beside these where the method gives logits


class StoredEvaluation(Frozen):
    """An evaluated cell: its numbers, and the digest of the program that computed them.

    `fingerprint`: of all that decides the numbers.
    """

    fingerprint: str
    summary: EvaluationSummary
    evaluator: str


def is_evaluated(layout: Layout, cell: Cell, fingerprint: str) -> bool:
    """Whether an undamaged evaluation lies there that was made from the same codes, labels, rules and program."""
    return store.is_whole(layout.evaluation(cell), fingerprint=fingerprint)


def write_evaluation(layout: Layout, cell: Cell, ap: Mapping[str, Array], evaluation: StoredEvaluation) -> None:
    """Keep an evaluated cell; `ap` are its per-query arrays, named as in `AP` and `ASYMMETRIC_AP`."""
    store.write_tensors(layout.evaluation(cell), ap, evaluation.model_dump(mode="json"))


def read_evaluation(layout: Layout, cell: Cell) -> StoredEvaluation:
    """The numbers of an evaluated cell. Raises HashbenchError where they are missing or damaged."""
    return store.about_as(layout.evaluation(cell), StoredEvaluation)


def remove_other_evaluations(layout: Layout, cells: Iterable[Cell]) -> int:
    """Remove the evaluations of cells that are not among `cells`; return how many cells that were."""
    names = {layout.evaluation(cell).name for cell in cells}
    others = [path for path in layout.evaluations.glob("*.safetensors") if path.name not in names]
    for path in others:
        path.unlink()
        store.sidecar(path).unlink(missing_ok=True)
    return len(others)


def write_records(path: Path, records: Iterable[EvaluatedCell]) -> None:
    """Write records, one sealed JSON line a cell, sorted by cell."""
    values = [record.model_dump(mode="json") for record in sorted(records, key=lambda record: record.cell)]
    store.write_text_if_other(path, "".join(f"{_sealed(value)}\n" for value in values))


def _sealed(value: dict[str, Any]) -> str:
    return json.dumps({**value, "seal": digest_of(value)})


def read_records(path: Path) -> list[RunRecord]:
    """The run records of a file. Raises HashbenchError that names the line where one is not valid."""
    return read_records_of(RunRecord, path)


def read_records_of(kind: type[Record], path: Path) -> list[Record]:
    """The records of a file, all of one kind. Raises HashbenchError that names the line where one is not valid."""
    records = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise HashbenchError(f"{path} is missing; run `dvc repro` to make it") from None
    except UnicodeDecodeError as error:
        raise store.DamagedError(path, f"not UTF-8: {error}") from None
    for number, line in enumerate(lines, start=1):
        try:
            value = json.loads(line)
            if isinstance(value, dict):
                value.pop("seal", None)
            if not isinstance(value, dict) or _sealed(value) != line:
                raise store.DamagedError(path, f"line {number}: its seal is not that of its content")
            records.append(kind.model_validate(value))
        except ValidationError as error:
            reason = first_error(error, kind.model_json_schema())
            raise HashbenchError(f"{path}, line {number}: {reason}; delete the file and run `dvc repro`") from None
        except (ValueError, RecursionError) as error:
            raise store.DamagedError(path, f"line {number} is no JSON: {error}") from None
    return records


def write_queries(path: Path, ap: Mapping[Cell, Mapping[str, Array]]) -> None:
    """Write the per-query arrays of all cells, named as in `AP`, float64 (n_q,), as one file."""
    arrays = {f"{_key(cell)}/{name}": array for cell, each in ap.items() for name, array in each.items()}
    store.write_plain_tensors(path, arrays, {})


def read_queries(path: Path) -> dict[Cell, dict[str, Array]]:
    """The per-query arrays of each cell, named as in `AP`. Raises HashbenchError where the file is damaged."""
    found: dict[Cell, dict[str, Array]] = {}
    for key, array in store.read_plain_tensors(path)[0].items():
        cell, name = _cell_of(path, key)
        found.setdefault(cell, {})[name] = array
    for cell, arrays in found.items():
        if set(arrays) - {ASYMMETRIC_AP} != set(AP):
            raise store.DamagedError(path, f"it must hold {', '.join(AP)} of {cell.name}")
    return found


def write_kept_codes(path: Path, codes: Mapping[Cell, tuple[Codes, Codes]]) -> None:
    """Write the packed query and database codes of all cells of a method, with the queries' logits, as one file."""
    arrays = {
        f"{_key(cell)}/{part}": array
        for cell, pair in codes.items()
        for part, array in fits.arrays_of_codes(*pair).items()
    }
    store.write_plain_tensors(path, arrays, {})


def read_kept_codes(path: Path, splits: Mapping[str, Split]) -> dict[Cell, tuple[Codes, Codes]]:
    """The query and database codes of each cell of a method; `splits` by data set. Raises HashbenchError if damaged."""
    arrays: dict[Cell, dict[str, Array]] = {}
    for key, array in store.read_plain_tensors(path)[0].items():
        cell, part = _cell_of(path, key)
        arrays.setdefault(cell, {})[part] = array
    found = {}
    for cell, parts in arrays.items():
        if set(parts) - {fits.LOGITS} != {"query", "database"} or cell.dataset not in splits:
            raise store.DamagedError(path, f"{cell.name} is not a pair of query and database codes of this profile")
        found[cell] = fits.codes_of_arrays(path, parts, cell.bits, splits[cell.dataset])
    return found


def read_ap(layout: Layout, cells: Sequence[Cell]) -> dict[Cell, dict[str, Array]]:
    """The per-query arrays of evaluated cells."""
    return {cell: _only_ap(layout.evaluation(cell)) for cell in cells}


def _only_ap(path: Path) -> dict[str, Array]:
    arrays = store.read_tensors(path, AP)
    return {name: arrays[name].astype(np.float64) for name in (*AP, ASYMMETRIC_AP) if name in arrays}


def _key(cell: Cell) -> str:
    return "/".join(map(str, cell))


def _cell_of(path: Path, key: str) -> tuple[Cell, str]:
    try:
        dataset, backbone, method, bits, seed, name = key.split("/")
        return Cell(dataset, backbone, method, int(bits), int(seed)), name
    except ValueError:
        raise store.DamagedError(path, f"'{key}' names no cell") from None
