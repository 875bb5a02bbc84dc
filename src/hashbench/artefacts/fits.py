"""A fitted cell on disk: its model, and its codes with the record of the fit and the seconds it took."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hashbench.artefacts import store
from hashbench.artefacts.layout import Layout
from hashbench.cells import Cell, FitRecord
from hashbench.types import Array, Codes, Split


@dataclass(frozen=True)
class StoredFit:
    """A cell as its fit left it; `fingerprint` is the digest of all that decided the codes, `codes_digest` of these."""

    record: FitRecord
    fingerprint: str
    codes_digest: str
    fit_seconds: float
    encode_seconds: float


def is_fitted(layout: Layout, cell: Cell, fingerprint: str) -> bool:
    """Whether an undamaged model and undamaged codes lie there that were made from the same."""
    return all(store.is_whole(path, fingerprint=fingerprint) for path in (layout.model(cell), layout.codes(cell)))


def write_fit(
    layout: Layout,
    cell: Cell,
    state: Mapping[str, Array],
    codes: Mapping[str, Codes],
    fingerprint: str,
    record: FitRecord,
    seconds: tuple[float, float],
) -> None:
    """Keep a fitted cell: its state, query and database codes, and how long fitting and encoding took."""
    store.write_tensors(layout.model(cell), state, {"fingerprint": fingerprint})
    store.write_tensors(
        layout.codes(cell),
        {part: value.packed for part, value in codes.items()},
        {
            "fingerprint": fingerprint,
            "codes": codes_digest(codes["query"], codes["database"]),
            "record": record.model_dump(mode="json"),
            "seconds": list(seconds),
        },
    )


def read_fit(layout: Layout, cell: Cell) -> StoredFit:
    """What a fit says of itself. Raises HashbenchError where it is missing or damaged."""
    path = layout.codes(cell)
    said: dict[str, Any] = store.about(path)
    try:
        record = FitRecord.model_validate(said["record"])
        return StoredFit(record, said["fingerprint"], said["codes"], *said["seconds"])
    except (KeyError, TypeError, ValidationError) as error:
        raise store.DamagedError(store.sidecar(path), f"no record of a fit: {error}".splitlines()[0]) from None


def read_codes(layout: Layout, cell: Cell, split: Split) -> tuple[Codes, Codes]:
    """The query and database codes of a cell. Raises HashbenchError where their file is damaged."""
    path = layout.codes(cell)
    arrays = store.read_tensors(path)
    for part in ("query", "database"):
        if part not in arrays:
            raise store.DamagedError(path, f"it has no '{part}'")
    return Codes(arrays["query"], cell.bits, split.query), Codes(arrays["database"], cell.bits, split.database)


def files_of_fit(layout: Layout, cell: Cell) -> list[Path]:
    """Every file that `write_fit` leaves."""
    return [
        path for artefact in (layout.model(cell), layout.codes(cell)) for path in (artefact, store.sidecar(artefact))
    ]


def codes_digest(query: Codes, database: Codes) -> str:
    """The sha256, in hex, of a code length and of packed query and database codes."""
    sha = hashlib.sha256(str(query.n_bits).encode())
    for codes in (query, database):
        sha.update(str(codes.packed.shape).encode())
        sha.update(codes.packed.tobytes())
    return sha.hexdigest()
