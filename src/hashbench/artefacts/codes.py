"""The codes of a profile's cells, wherever they lie: as their fits left them, or kept with the results."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from hashbench.artefacts import fits
from hashbench.artefacts.layout import Layout
from hashbench.artefacts.records import read_kept_codes
from hashbench.errors import HashbenchError
from hashbench.records import Cell
from hashbench.types import Codes, Split

Pair = tuple[Codes, Codes]  # query, database


class MissingCodesError(HashbenchError):
    """The codes of a cell are nowhere here."""


class StoredCodes:
    """Reads the codes of cells; `splits` by data set."""

    def __init__(self, layout: Layout, splits: Mapping[str, Split]) -> None:
        self._layout, self._splits = layout, splits
        self._of_method = lru_cache(maxsize=1)(self._read_kept)

    def read(self, cell: Cell) -> Pair:
        """The query and database codes of a cell, kept ones first. Raises MissingCodesError where there are none."""
        kept = self.kept(cell)
        if kept is not None:
            return kept
        if self._layout.codes(cell).is_file():
            return fits.read_codes(self._layout, cell, self._splits[cell.dataset])
        raise MissingCodesError(
            f"the codes of {cell.name} are neither in {self._layout.kept_codes(cell.method)} nor in "
            f"{self._layout.codes(cell)}; `dvc pull` or `dvc repro` brings them"
        )

    def kept(self, cell: Cell) -> Pair | None:
        """The codes of a cell that are kept with the results, if any."""
        return self._of_method(cell.method).get(cell)

    def _read_kept(self, method: str) -> dict[Cell, Pair]:
        path = self._layout.kept_codes(method)
        return read_kept_codes(path, self._splits) if path.is_file() else {}
