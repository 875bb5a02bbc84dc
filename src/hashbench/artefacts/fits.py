"""A fitted cell on disk: its model, and its codes with the record of the fit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hashbench.artefacts import store
from hashbench.artefacts.layout import Layout
from hashbench.cells import Cell, FitRecord, Frozen
from hashbench.errors import HashbenchError
from hashbench.types import Array, Codes, Split

LOGITS = "query_logits"


class StoredFit(Frozen):
    """A cell as its fit left it; `fingerprint` is the digest of all that decided the codes, `codes_digest` of these.

    `logits_digest`: of the real values behind the queries' bits, where the method gives them.
    """

    fingerprint: str
    codes_digest: str
    logits_digest: str | None
    record: FitRecord


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
) -> None:
    """Keep a fitted cell: its state, and its query and database codes with the logits behind them, if any."""
    stored = StoredFit(
        fingerprint=fingerprint,
        codes_digest=codes_digest(codes["query"], codes["database"]),
        logits_digest=logits_digest(codes["query"]),
        record=record,
    )
    store.write_tensors(layout.model(cell), state, {"fingerprint": fingerprint})
    store.write_tensors(
        layout.codes(cell), arrays_of_codes(codes["query"], codes["database"]), stored.model_dump(mode="json")
    )


def read_fit(layout: Layout, cell: Cell) -> StoredFit:
    """What a fit says of itself. Raises HashbenchError where it is missing or damaged."""
    return store.about_as(layout.codes(cell), StoredFit)


def read_codes(layout: Layout, cell: Cell, split: Split) -> tuple[Codes, Codes]:
    """The query and database codes of a cell. Raises HashbenchError where their file is damaged."""
    path = layout.codes(cell)
    return codes_of_arrays(path, store.read_tensors(path), cell.bits, split)


def arrays_of_codes(query: Codes, database: Codes) -> dict[str, Array]:
    """The arrays in which a pair of codes is kept, by name."""
    arrays = {"query": query.packed, "database": database.packed}
    return arrays if query.logits is None else {**arrays, LOGITS: query.logits}


def codes_of_arrays(path: Path, arrays: Mapping[str, Array], n_bits: int, split: Split) -> tuple[Codes, Codes]:
    """The pair of codes that was kept in these arrays of the file `path`. Raises DamagedError where they are none."""
    for part in ("query", "database"):
        if part not in arrays:
            raise store.DamagedError(path, f"it has no '{part}'")
    try:
        query = Codes(arrays["query"], n_bits, split.query, arrays.get(LOGITS))
        return query, Codes(arrays["database"], n_bits, split.database)
    except HashbenchError as error:
        raise store.DamagedError(path, str(error)) from None


def files_of_fit(layout: Layout, cell: Cell) -> list[Path]:
    """Every file that a fit leaves: those of `write_fit`, and its seconds."""
    artefacts = (layout.model(cell), layout.codes(cell))
    return [*artefacts, *map(store.sidecar, artefacts), layout.fit_seconds(cell)]


def codes_digest(query: Codes, database: Codes) -> str:
    """The sha256, in hex, of a code length and of packed query and database codes."""
    sha = hashlib.sha256(str(query.n_bits).encode())
    for codes in (query, database):
        sha.update(str(codes.packed.shape).encode())
        sha.update(codes.packed.tobytes())
    return sha.hexdigest()


def logits_digest(query: Codes) -> str | None:
    """The sha256, in hex, of the real values behind the queries' bits; None where there are none."""
    if query.logits is None:
        return None
    return hashlib.sha256(str(query.logits.shape).encode() + np.ascontiguousarray(query.logits).tobytes()).hexdigest()
