"""The codes of a cell are found wherever they lie."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import flip_a_byte

from hashbench.artefacts import fits, records, store
from hashbench.artefacts.codes import MissingCodesError, StoredCodes
from hashbench.artefacts.layout import Layout
from hashbench.cells import Cell, FitRecord
from hashbench.types import Codes, Split

Pair = tuple[Codes, Codes]


@pytest.fixture
def stored(layout: Layout, split: Split) -> StoredCodes:
    return StoredCodes(layout, {"digits": split})


def as_fitted(layout: Layout, cell: Cell, codes: Pair, fit_record: FitRecord) -> None:
    fits.write_fit(layout, cell, {}, dict(zip(("query", "database"), codes, strict=True)), "f", fit_record)


def same(one: Pair, other: Pair) -> bool:
    return all(np.array_equal(a.packed, b.packed) for a, b in zip(one, other, strict=True))


def test_codes_are_read_as_their_fit_left_them(
    layout: Layout, stored: StoredCodes, cell: Cell, codes: Pair, fit_record: FitRecord
) -> None:
    as_fitted(layout, cell, codes, fit_record)
    assert same(stored.read(cell), codes)
    assert stored.kept(cell) is None


def test_codes_that_are_kept_with_the_results_come_first(
    layout: Layout, stored: StoredCodes, cell: Cell, codes: Pair, fit_record: FitRecord, split: Split
) -> None:
    others = tuple(Codes.pack(~each.unpack(), each.rows) for each in codes)
    as_fitted(layout, cell, (others[0], others[1]), fit_record)
    records.write_kept_codes(layout.kept_codes(cell.method), {cell: codes})
    assert same(stored.read(cell), codes)
    kept = stored.kept(cell)
    assert kept is not None
    assert same(kept, codes)


def test_codes_that_are_nowhere_are_told_with_both_places(layout: Layout, stored: StoredCodes, cell: Cell) -> None:
    with pytest.raises(MissingCodesError) as caught:
        stored.read(cell)
    for words in (cell.name, str(layout.kept_codes("lsh")), str(layout.codes(cell)), "`dvc pull` or `dvc repro`"):
        assert words in str(caught.value)


def test_damage_is_not_hidden_by_another_place(
    layout: Layout, stored: StoredCodes, cell: Cell, codes: Pair, fit_record: FitRecord
) -> None:
    as_fitted(layout, cell, codes, fit_record)
    records.write_kept_codes(layout.kept_codes(cell.method), {cell: codes})
    flip_a_byte(layout.kept_codes(cell.method))
    with pytest.raises(store.DamagedError, match=r"lsh\.safetensors is damaged"):
        stored.read(cell)
