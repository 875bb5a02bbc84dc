"""How long cells took. No two runs take the same time, so seconds lie beside what DVC keeps and hashes, never in it.

A fit and an evaluation each leave a small file a cell below artefacts/; `report` gathers them in `cost/seconds.csv`,
which is in git. Cells that were fitted elsewhere and brought by DVC have no such file: theirs stay as gathered before.
"""

from __future__ import annotations

import csv
import io
import logging
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from hashbench.artefacts import store
from hashbench.artefacts.layout import Layout
from hashbench.cells import Cell, Frozen
from hashbench.records import CellSeconds

log = logging.getLogger("hashbench")

_COLUMNS = ("dataset", "backbone", "method", "bits", "seed", "fit", "encode", "evaluate")
_Part = Literal["fit", "encode", "evaluate"]
_UNKNOWN = CellSeconds(fit=math.nan, encode=math.nan, evaluate=math.nan)


class _Measured(Frozen):
    """Seconds by the name of what took them; `fingerprint`: of the fit that they belong to."""

    fingerprint: str
    seconds: dict[_Part, float]


def write_fit_seconds(layout: Layout, cell: Cell, fingerprint: str, fit: float, encode: float) -> None:
    """Keep how long a fit, and encoding queries and database by it, took."""
    _write(layout.fit_seconds(cell), fingerprint, {"fit": fit, "encode": encode})


def write_evaluation_seconds(layout: Layout, cell: Cell, fingerprint: str, evaluate: float) -> None:
    """Keep how long the evaluation of the codes of a fit took."""
    _write(layout.evaluation_seconds(cell), fingerprint, {"evaluate": evaluate})


def _write(path: Path, fingerprint: str, seconds: dict[_Part, float]) -> None:
    store.write_sealed(path, _Measured(fingerprint=fingerprint, seconds=seconds).model_dump(mode="json"))


def gather_seconds(layout: Layout, fingerprints: Mapping[Cell, str]) -> None:
    """Bring `cost/seconds.csv` up to date: a row for each cell of `fingerprints`, which are those of the fits.

    What was not measured here, or for another fit, stays as it is there; a cell that nobody measured has no row.
    """
    before = _read_if_whole(layout.seconds)
    found = {}
    for cell, fingerprint in fingerprints.items():
        places = (layout.fit_seconds(cell), layout.evaluation_seconds(cell))
        measured: dict[str, float] = {
            part: value for path in places for part, value in _measured(path, fingerprint).items()
        }
        if measured or cell in before:
            found[cell] = before.get(cell, _UNKNOWN).model_copy(update=measured)
    write_seconds(layout.seconds, found)


def _measured(path: Path, fingerprint: str) -> dict[str, float]:
    if not path.is_file():
        return {}
    try:
        measured = store.read_sealed_as(path, _Measured)
    except store.DamagedError as error:
        log.warning("%s is damaged (%s); the seconds that were gathered before are kept", error.path, error.why)
        return {}
    return {str(part): value for part, value in measured.seconds.items() if measured.fingerprint == fingerprint}


def _read_if_whole(path: Path) -> dict[Cell, CellSeconds]:
    try:
        return read_seconds(path)
    except store.DamagedError as error:
        error.warn()
        return {}


def write_seconds(path: Path, seconds: Mapping[Cell, CellSeconds]) -> None:
    """Write how long each cell took, as CSV."""
    lines: Iterable[Iterable[object]] = [[*cell, *seconds[cell].model_dump().values()] for cell in sorted(seconds)]
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([_COLUMNS, *lines])
    store.write_text_if_other(path, buffer.getvalue())


def read_seconds(path: Path) -> dict[Cell, CellSeconds]:
    """How long each cell took, NaN for what nobody measured; nothing where no such file is.

    Raises HashbenchError where the file is damaged.
    """
    if not path.is_file():
        return {}
    found = {}
    try:
        for row in csv.DictReader(path.read_bytes().decode("utf-8").splitlines()):
            cell = Cell(row["dataset"], row["backbone"], row["method"], int(row["bits"]), int(row["seed"]))
            fit, encode, evaluate = (float(row[name]) for name in _COLUMNS[5:])
            found[cell] = CellSeconds(fit=fit, encode=encode, evaluate=evaluate)
    except (KeyError, TypeError, ValueError, csv.Error):
        raise store.DamagedError(path, f"it must have the columns {', '.join(_COLUMNS)}") from None
    return found
