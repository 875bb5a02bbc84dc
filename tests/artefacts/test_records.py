"""Evaluated cells: one by one while a run is under way, and gathered in the results."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from helpers import flip_a_byte

from hashbench.artefacts import records, store
from hashbench.artefacts.layout import Layout
from hashbench.artefacts.records import StoredEvaluation
from hashbench.cells import Cell
from hashbench.errors import HashbenchError
from hashbench.records import RunRecord
from hashbench.types import Array, Codes, Split

FINGERPRINT = "a" * 12
Evaluated = tuple[StoredEvaluation, dict[str, Array]]


@pytest.fixture
def other(cell: Cell) -> Cell:
    return cell._replace(bits=9)


# A cell's evaluation.


def test_an_evaluation_comes_back(layout: Layout, cell: Cell, evaluated: Evaluated) -> None:
    stored, ap = evaluated
    records.write_evaluation(layout, cell, ap, stored)
    assert records.read_evaluation(layout, cell) == stored
    assert records.is_evaluated(layout, cell, FINGERPRINT)
    assert not records.is_evaluated(layout, cell, "abd")
    (found,) = records.read_ap(layout, [cell]).values()
    for name in records.AP:
        assert found[name].dtype == np.float64
        assert np.array_equal(found[name], ap[name], equal_nan=True)


@pytest.mark.parametrize("of_sidecar", [False, True])
def test_damage_makes_an_evaluation_stale(
    layout: Layout, cell: Cell, evaluated: Evaluated, of_sidecar: bool, caplog: pytest.LogCaptureFixture
) -> None:
    records.write_evaluation(layout, cell, evaluated[1], evaluated[0])
    path = layout.evaluation(cell)
    damaged = store.sidecar(path) if of_sidecar else path
    flip_a_byte(damaged)
    with caplog.at_level("WARNING", logger="hashbench"):
        assert not records.is_evaluated(layout, cell, FINGERPRINT)
    assert f"{damaged} is damaged" in caplog.text
    with pytest.raises(store.DamagedError, match="is damaged"):
        records.read_ap(layout, [cell])


@pytest.mark.parametrize("change", [{"summary": {}}, {"summary": None}, {"summary": ...}, {"evaluator": ...}], ids=str)
def test_an_evaluation_that_is_none_is_told(
    layout: Layout, cell: Cell, evaluated: Evaluated, change: dict[str, Any]
) -> None:
    records.write_evaluation(layout, cell, evaluated[1], evaluated[0])
    path = store.sidecar(layout.evaluation(cell))
    said = {**store.read_sealed(path), **change}
    store.write_sealed(path, {name: value for name, value in said.items() if value is not ...})
    with pytest.raises(store.DamagedError, match=next(iter(change))) as caught:
        records.read_evaluation(layout, cell)
    assert str(path) in str(caught.value)


def test_an_evaluation_without_one_of_its_arrays_is_told(layout: Layout, cell: Cell, evaluated: Evaluated) -> None:
    stored, ap = evaluated
    records.write_evaluation(layout, cell, {"ap": ap["ap"]}, stored)
    with pytest.raises(store.DamagedError, match="it has no 'ap_optimistic'"):
        records.read_ap(layout, [cell])


def test_evaluations_of_other_cells_are_removed(layout: Layout, cell: Cell, other: Cell, evaluated: Evaluated) -> None:
    for each in (cell, other):
        records.write_evaluation(layout, each, evaluated[1], evaluated[0])
    assert records.remove_other_evaluations(layout, [cell]) == 1
    assert {path.name for path in layout.evaluations.iterdir()} == {
        f"{cell.name}.safetensors",
        f"{cell.name}.safetensors.json",
    }


# The records of all cells.


@pytest.fixture
def both(record: RunRecord) -> list[RunRecord]:
    """Two records, not in their order."""
    return [record, record.model_copy(update={"bits": 9})]


def test_records_come_back_in_order_one_line_a_cell(layout: Layout, both: list[RunRecord]) -> None:
    records.write_records(layout.records, both)
    assert records.read_records(layout.records) == both[::-1]
    assert [json.loads(line)["bits"] for line in layout.records.read_text().splitlines()] == [9, 12]
    before = layout.records.stat().st_ino
    records.write_records(layout.records, both[::-1])
    assert layout.records.stat().st_ino == before


def test_records_that_are_missing_are_told_with_their_remedy(layout: Layout) -> None:
    with pytest.raises(HashbenchError, match=r"records\.jsonl is missing; run `dvc repro` to make it"):
        records.read_records(layout.records)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "line 2 is no JSON"),
        ('{"profile": ', "line 2 is no JSON"),
        ('{"a":' * 100_000, "line 2 is no JSON"),
        ("null", "line 2: its seal is not that of its content"),
        ("{}", "line 2: its seal is not that of its content"),
        (records._sealed({}), "line 2: key 'profile' is missing"),
        (b"\xff", "not UTF-8"),
    ],
    ids=["empty", "half", "deep", "null", "nothing", "nothing, sealed", "no text"],
)
def test_a_line_that_is_no_record_is_named(layout: Layout, record: RunRecord, line: str | bytes, says: str) -> None:
    records.write_records(layout.records, [record])
    with layout.records.open("ab") as file:
        file.write((line if isinstance(line, bytes) else line.encode()) + b"\n")
    with pytest.raises(HashbenchError) as caught:
        records.read_records(layout.records)
    said = str(caught.value)
    assert said.startswith(str(layout.records))
    assert says in said
    assert said.endswith("run `dvc repro`")
    assert said.isprintable()


def test_any_flipped_byte_is_found(layout: Layout, both: list[RunRecord]) -> None:
    records.write_records(layout.records, both)
    whole = layout.records.read_bytes()
    for place in range(0, len(whole) - 1, 7):
        flip_a_byte(layout.records, place)
        with pytest.raises(HashbenchError, match=r"records\.jsonl"):
            records.read_records(layout.records)
        layout.records.write_bytes(whole)


@pytest.mark.parametrize(
    ("keys", "value", "says"),
    [
        (("bits",), "many", "key 'bits' is 'many'; it must be"),
        (("made_by",), "stolen", "key 'made_by' is 'stolen' (allowed: reproduced)"),
        (("evaluation", "map"), None, "key 'evaluation.map' is None; it must be"),
        (("fit", "device"), "tpu", "key 'fit.device' is 'tpu'; did you mean 'cpu'? (allowed: cpu, cuda)"),
        (("more",), 1, "unknown key 'more'"),
    ],
)
def test_a_wrong_value_of_a_record_is_named(
    layout: Layout, record: RunRecord, keys: tuple[str, ...], value: object, says: str
) -> None:
    changed = record.model_dump(mode="json")
    block = changed
    for key in keys[:-1]:
        block = block[key]
    block[keys[-1]] = value
    layout.records.parent.mkdir(parents=True)
    layout.records.write_text(records._sealed(changed) + "\n")
    with pytest.raises(HashbenchError) as caught:
        records.read_records(layout.records)
    assert says in str(caught.value)
    assert "line 1: " in str(caught.value)


# Values of the queries, and codes that are kept.


def test_values_of_queries_come_back(layout: Layout, cell: Cell, other: Cell, evaluated: Evaluated) -> None:
    ap = {name: values.astype(np.float64) for name, values in evaluated[1].items()}
    written = {cell: ap, other: {**ap, records.ASYMMETRIC_AP: ap["ap"] / 2}}
    records.write_queries(layout.queries, written)
    found = records.read_queries(layout.queries)
    assert set(found) == {cell, other}
    for each in (cell, other):
        assert set(found[each]) == set(written[each])
        assert all(np.array_equal(found[each][name], values, equal_nan=True) for name, values in written[each].items())


def test_codes_come_back(layout: Layout, cell: Cell, codes: tuple[Codes, Codes], split: Split) -> None:
    path = layout.kept_codes(cell.method)
    records.write_kept_codes(path, {cell: codes})
    ((found_cell, found),) = records.read_kept_codes(path, {"digits": split}).items()
    assert found_cell == cell
    for one, expected in zip(found, codes, strict=True):
        assert np.array_equal(one.packed, expected.packed)
        assert np.array_equal(one.rows, expected.rows)


@pytest.mark.parametrize(
    "key", ["ap", "digits/vit_micro/lsh/12/0", "digits/vit_micro/lsh/many/0/query", "a/b/c/1/2/3/4"]
)
def test_an_array_of_no_cell_is_named(layout: Layout, split: Split, key: str) -> None:
    for path in (layout.queries, layout.kept_codes("lsh")):
        store.write_plain_tensors(path, {key: np.zeros(3)}, {})
    for read in (
        lambda: records.read_queries(layout.queries),
        lambda: records.read_kept_codes(layout.kept_codes("lsh"), {"digits": split}),
    ):
        with pytest.raises(store.DamagedError, match=f"'{key}' names no cell"):
            read()


def test_codes_without_a_part_or_of_another_profile_are_named(
    layout: Layout, cell: Cell, codes: tuple[Codes, Codes], split: Split
) -> None:
    path = layout.kept_codes("lsh")
    records.write_kept_codes(path, {cell: codes})
    with pytest.raises(store.DamagedError, match=f"{cell.name} is not a pair of query and database codes"):
        records.read_kept_codes(path, {"cifar10": split})
    arrays, _ = store.read_plain_tensors(path)
    store.write_plain_tensors(path, dict(list(arrays.items())[:1]), {})
    with pytest.raises(store.DamagedError, match=f"{cell.name} is not a pair of query and database codes"):
        records.read_kept_codes(path, {"digits": split})


@pytest.mark.parametrize("name", ["queries", "codes"])
def test_damage_of_gathered_arrays_is_told(
    layout: Layout, cell: Cell, codes: tuple[Codes, Codes], split: Split, evaluated: Evaluated, name: str
) -> None:
    path = layout.queries if name == "queries" else layout.kept_codes("lsh")
    if name == "queries":
        records.write_queries(path, {cell: evaluated[1]})
    else:
        records.write_kept_codes(path, {cell: codes})
    flip_a_byte(path)
    with pytest.raises(store.DamagedError, match=f"{path.name} is damaged"):
        records.read_queries(path) if name == "queries" else records.read_kept_codes(path, {"digits": split})


def test_queries_without_one_of_their_arrays_are_told(layout: Layout, cell: Cell, evaluated: Evaluated) -> None:
    records.write_queries(layout.queries, {cell: {"ap": evaluated[1]["ap"]}})
    with pytest.raises(store.DamagedError, match=f"it must hold ap, ap_optimistic, ap_pessimistic of {cell.name}"):
        records.read_queries(layout.queries)
