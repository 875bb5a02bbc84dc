"""How long cells took: measured a cell, gathered in one file, and kept where they were not measured again."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from helpers import flip_a_byte

from hashbench.artefacts import seconds, store
from hashbench.artefacts.layout import Layout
from hashbench.cells import Cell
from hashbench.records import CellSeconds


@pytest.fixture
def other(cell: Cell) -> Cell:
    return cell._replace(bits=9)


def test_seconds_come_back_and_may_be_missing(layout: Layout, cell: Cell, other: Cell) -> None:
    assert seconds.read_seconds(layout.seconds) == {}
    took = {cell: CellSeconds(fit=1 / 3, encode=0.0, evaluate=1e-9), other: CellSeconds(fit=1, encode=2, evaluate=3)}
    seconds.write_seconds(layout.seconds, took)
    assert seconds.read_seconds(layout.seconds) == took
    assert layout.seconds.read_text().splitlines()[0] == "dataset,backbone,method,bits,seed,fit,encode,evaluate"


HEADER = b"dataset,backbone,method,bits,seed,fit,encode,evaluate\n"


@pytest.mark.parametrize(
    "content",
    [
        b"a,b\n1,2\n",
        HEADER + b"a,b,c,x,0,1,1,1\n",
        HEADER + b"a,b,c,1,0,1\n",
        HEADER + b"a,b,c,1,0,\xff,1,1\n",
        HEADER + b"a,b,c,1,0," + b"1" * 200_000 + b",1,1\n",
    ],
    ids=["other columns", "no number", "too few", "no text", "too long"],
)
def test_a_file_of_other_seconds_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "seconds.csv").write_bytes(content)
    with pytest.raises(store.DamagedError, match="it must have the columns dataset, backbone"):
        seconds.read_seconds(tmp_path / "seconds.csv")


def test_what_was_measured_is_gathered(layout: Layout, cell: Cell, other: Cell) -> None:
    for each, took in ((cell, 1.0), (other, 4.0)):
        seconds.write_fit_seconds(layout, each, "f", took, took + 1)
        seconds.write_evaluation_seconds(layout, each, "f", took + 2)
    seconds.gather_seconds(layout, {cell: "f", other: "f"})
    assert seconds.read_seconds(layout.seconds) == {
        cell: CellSeconds(fit=1, encode=2, evaluate=3),
        other: CellSeconds(fit=4, encode=5, evaluate=6),
    }
    seconds.gather_seconds(layout, {other: "f"})
    assert list(seconds.read_seconds(layout.seconds)) == [other], "a cell that is no more has no row"


def test_a_cell_that_came_without_seconds_keeps_those_gathered_before(layout: Layout, cell: Cell) -> None:
    seconds.write_seconds(layout.seconds, {cell: CellSeconds(fit=1, encode=2, evaluate=3)})
    before = layout.seconds.stat().st_ino
    seconds.gather_seconds(layout, {cell: "f"})
    assert layout.seconds.stat().st_ino == before
    seconds.write_evaluation_seconds(layout, cell, "f", 9.0)
    seconds.gather_seconds(layout, {cell: "f"})
    assert seconds.read_seconds(layout.seconds) == {cell: CellSeconds(fit=1, encode=2, evaluate=9)}


def test_seconds_of_another_fit_are_not_this_ones(layout: Layout, cell: Cell) -> None:
    seconds.write_seconds(layout.seconds, {cell: CellSeconds(fit=1, encode=2, evaluate=3)})
    seconds.write_fit_seconds(layout, cell, "of another", 7.0, 8.0)
    seconds.gather_seconds(layout, {cell: "f"})
    assert seconds.read_seconds(layout.seconds) == {cell: CellSeconds(fit=1, encode=2, evaluate=3)}


def test_a_cell_that_nobody_timed_has_no_row_and_one_that_was_timed_in_part_says_so(
    layout: Layout, cell: Cell, other: Cell
) -> None:
    seconds.write_evaluation_seconds(layout, other, "f", 3.0)
    seconds.gather_seconds(layout, {cell: "f", other: "f"})
    ((found, took),) = seconds.read_seconds(layout.seconds).items()
    assert (found, took.evaluate) == (other, 3)
    assert math.isnan(took.fit)
    assert math.isnan(took.encode)


@pytest.mark.parametrize("place", ["of the cell", "gathered"])
def test_damage_is_named_and_stops_nothing(
    layout: Layout, cell: Cell, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    seconds.write_seconds(layout.seconds, {cell: CellSeconds(fit=1, encode=2, evaluate=3)})
    seconds.write_fit_seconds(layout, cell, "f", 7.0, 8.0)
    if place == "gathered":
        layout.seconds.write_text("a,b\n1,2\n")
    else:
        flip_a_byte(layout.fit_seconds(cell))
    with caplog.at_level("WARNING", logger="hashbench"):
        seconds.gather_seconds(layout, {cell: "f"})
    damaged = layout.seconds if place == "gathered" else layout.fit_seconds(cell)
    assert f"{damaged} is damaged" in caplog.text
    assert seconds.read_seconds(layout.seconds)[cell].fit == (7 if place == "gathered" else 1)


@pytest.mark.parametrize(
    "change", [{"seconds": {"sleep": 1.0}}, {"seconds": 3}, {"seconds": ...}, {"fingerprint": ...}]
)
def test_a_file_that_says_something_else_is_not_used(
    layout: Layout, cell: Cell, change: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    seconds.write_fit_seconds(layout, cell, "f", 7.0, 8.0)
    path = layout.fit_seconds(cell)
    said = {**store.read_sealed(path), **change}
    store.write_sealed(path, {name: value for name, value in said.items() if value is not ...})
    with caplog.at_level("WARNING", logger="hashbench"):
        seconds.gather_seconds(layout, {cell: "f"})
    assert f"{path} is damaged" in caplog.text
    assert seconds.read_seconds(layout.seconds) == {}
