"""A fitted cell on disk: its model, and its codes with the record of the fit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from hashbench.artefacts import store
from hashbench.artefacts.layout import Layout
from hashbench.cells import Cell, FitRecord, Frozen
from hashbench.types import Array, Codes, Split


class StoredFit(Frozen):
    """A cell as its fit left it; `fingerprint` is the digest of all that decided the codes, `codes_digest` of these."""

    fingerprint: str
    codes_digest: str
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
    """Keep a fitted cell: its state, and its query and database codes."""
    digest = codes_digest(codes["query"], codes["database"])
    stored = StoredFit(fingerprint=fingerprint, codes_digest=digest, record=record)
    packed = {part: value.packed for part, value in codes.items()}
    store.write_tensors(layout.model(cell), state, {"fingerprint": fingerprint})
    store.write_tensors(layout.codes(cell), packed, stored.model_dump(mode="json"))


def read_fit(layout: Layout, cell: Cell) -> StoredFit:
    """What a fit says of itself. Raises HashbenchError where it is missing or damaged."""
    return store.about_as(layout.codes(cell), StoredFit)


def read_codes(layout: Layout, cell: Cell, split: Split) -> tuple[Codes, Codes]:
    """The query and database codes of a cell. Raises HashbenchError where their file is damaged."""
    arrays = store.read_tensors(layout.codes(cell), ("query", "database"))
    return Codes(arrays["query"], cell.bits, split.query), Codes(arrays["database"], cell.bits, split.database)


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
