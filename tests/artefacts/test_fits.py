"""A fitted cell on disk: model, codes and record come back as they were, or are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import flip_a_byte

from hashbench.artefacts import fits, store
from hashbench.artefacts.layout import Layout
from hashbench.cells import Cell, FitRecord
from hashbench.errors import HashbenchError
from hashbench.types import Codes, Split

STATE = {"planes": np.arange(24, dtype=np.float64).reshape(2, 12)}
Pair = tuple[Codes, Codes]


@pytest.fixture
def fingerprint(fit_record: FitRecord, cell: Cell) -> str:
    return fit_record.fingerprint(cell.bits)


@pytest.fixture(autouse=True)
def written(layout: Layout, cell: Cell, codes: Pair, fit_record: FitRecord, fingerprint: str) -> None:
    parts = dict(zip(("query", "database"), codes, strict=True))
    fits.write_fit(layout, cell, STATE, parts, fingerprint, fit_record)


def test_a_fit_comes_back(
    layout: Layout, cell: Cell, codes: Pair, fit_record: FitRecord, fingerprint: str, split: Split
) -> None:
    assert fits.is_fitted(layout, cell, fingerprint)
    stored = fits.read_fit(layout, cell)
    assert (stored.record, stored.fingerprint) == (fit_record, fingerprint)
    assert stored.codes_digest == fits.codes_digest(*codes)
    for found, expected in zip(fits.read_codes(layout, cell, split), codes, strict=True):
        assert np.array_equal(found.packed, expected.packed)
        assert np.array_equal(found.rows, expected.rows)
        assert found.n_bits == expected.n_bits
    assert np.array_equal(store.read_tensors(layout.model(cell))["planes"], STATE["planes"])
    *kept, seconds = fits.files_of_fit(layout, cell)
    assert sorted(kept) == sorted(layout.codes(cell).parent.iterdir())
    assert seconds == layout.fit_seconds(cell)


def test_another_fingerprint_is_another_fit(layout: Layout, cell: Cell, fit_record: FitRecord) -> None:
    assert not fits.is_fitted(layout, cell, fit_record.fingerprint(cell.bits + 1))
    other = fit_record.model_copy(update={"seed": 8})
    assert not fits.is_fitted(layout, cell, other.fingerprint(cell.bits))


def test_what_a_fit_says_of_itself_is_no_part_of_what_it_was_made_from(fit_record: FitRecord) -> None:
    said = fit_record.model_copy(update={"processor": "another", "curves": {}, "remarks": []})
    assert said.fingerprint(16) == fit_record.fingerprint(16)


@pytest.mark.parametrize("number", range(4))
def test_damage_of_any_file_of_a_fit_makes_it_stale(
    layout: Layout, cell: Cell, fingerprint: str, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = fits.files_of_fit(layout, cell)[number]
    flip_a_byte(path)
    with caplog.at_level("WARNING", logger="hashbench"):
        assert not fits.is_fitted(layout, cell, fingerprint)
    assert f"{path} is damaged" in caplog.text
    path.unlink()
    assert not fits.is_fitted(layout, cell, fingerprint)


def test_damaged_codes_are_not_read(layout: Layout, cell: Cell, split: Split) -> None:
    flip_a_byte(layout.codes(cell))
    with pytest.raises(store.DamagedError, match=r"codes\.safetensors is damaged .its sha256 is not the recorded one"):
        fits.read_codes(layout, cell, split)


def test_a_fit_that_is_not_there_is_told_with_its_remedy(layout: Layout, cell: Cell, split: Split) -> None:
    for path in layout.codes(cell).parent.iterdir():
        path.unlink()
    for read in (lambda: fits.read_fit(layout, cell), lambda: fits.read_codes(layout, cell, split)):
        with pytest.raises(HashbenchError, match=r"is missing; run `dvc repro`"):
            read()


@pytest.mark.parametrize(
    "change",
    [
        {"record": None},
        {"record": {}},
        {"record": {"device": "tpu"}},
        {"fingerprint": 3},
        {"fingerprint": ...},
        {"codes_digest": ...},
        {"record": ...},
    ],
    ids=str,
)
def test_a_record_that_is_none_is_told(layout: Layout, cell: Cell, change: dict[str, Any]) -> None:
    path = store.sidecar(layout.codes(cell))
    said = {**store.read_sealed(path), **change}
    store.write_sealed(path, {name: value for name, value in said.items() if value is not ...})
    with pytest.raises(store.DamagedError) as caught:
        fits.read_fit(layout, cell)
    assert str(caught.value).startswith(f"{path} is damaged (")
    assert next(iter(change)) in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("part", ["query", "database"])
def test_codes_without_a_part_are_told(layout: Layout, cell: Cell, split: Split, part: str) -> None:
    path = layout.codes(cell)
    arrays = store.read_tensors(path)
    del arrays[part]
    store.write_tensors(path, arrays, {})
    with pytest.raises(store.DamagedError, match=f"it has no '{part}'"):
        fits.read_codes(layout, cell, split)


def test_codes_of_another_length_are_refused(layout: Layout, cell: Cell, split: Split, codes: Pair) -> None:
    longer = cell._replace(bits=24)
    store.write_tensors(layout.codes(longer), store.read_tensors(layout.codes(cell)), {})
    with pytest.raises(HashbenchError, match="must be uint8"):
        fits.read_codes(layout, longer, split)
    assert fits.codes_digest(*codes) != fits.codes_digest(codes[1], codes[0])


def with_logits(codes: Pair) -> Pair:
    query = codes[0]
    signs = np.where(query.unpack(), 1, -1)
    logits = (signs * np.random.default_rng(0).random(signs.shape)).astype(np.float32)
    return Codes(query.packed, query.n_bits, query.rows, logits), codes[1]


def test_logits_come_back_with_their_queries(
    layout: Layout, cell: Cell, codes: Pair, fit_record: FitRecord, fingerprint: str, split: Split
) -> None:
    assert fits.read_fit(layout, cell).logits_digest is None
    assert fits.read_codes(layout, cell, split)[0].logits is None
    query, database = with_logits(codes)
    fits.write_fit(layout, cell, STATE, {"query": query, "database": database}, fingerprint, fit_record)
    found = fits.read_codes(layout, cell, split)
    assert found[0].logits.dtype == np.float32
    assert np.array_equal(found[0].logits, query.logits)
    assert found[1].logits is None
    stored = fits.read_fit(layout, cell)
    assert stored.logits_digest == fits.logits_digest(query)
    assert len(str(stored.logits_digest)) == 64
    assert stored.codes_digest == fits.codes_digest(*codes), "which is of the bits alone"


def test_logits_that_contradict_their_bits_are_damage(layout: Layout, cell: Cell, codes: Pair, split: Split) -> None:
    query, database = with_logits(codes)
    arrays = {**fits.arrays_of_codes(query, database), fits.LOGITS: -query.logits}
    with pytest.raises(store.DamagedError, match="contradict the bits"):
        fits.codes_of_arrays(layout.codes(cell), arrays, cell.bits, split)
