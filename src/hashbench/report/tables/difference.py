"""A difference of two mAPs as a cell of a table, marked where the test cannot tell it from none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from hashbench.report.tables.model import Cell, Format, Mark, Tied
from hashbench.types import Array

MAP = Format(prefer="none")
NOTE = "†: the two cannot be told apart (paired bootstrap over seeds and queries, two-sided, p ≥ 0.05)."
_DIFFERENCE = Format(signed=True, show_spread=False, prefer="none")


def difference(cell: Cell, other: Cell | None, ap: Callable[[], Mapping[str, Array]], tied: Tied) -> Cell:
    """How much higher the value of `cell` is than that of `other`; empty where one of them was not run.

    `ap()`: the AP by repetition and query of both. `tied(ap)`: of two, those that tie with the better one.
    """
    blank = replace(cell, metric=f"{cell.metric} difference", value=None, spread=None, format=_DIFFERENCE)
    if other is None or other.value is None or cell.value is None:
        return blank
    marks: tuple[Mark, ...] = ("insignificant",) if len(tied(ap())) == 2 else ()
    return replace(blank, value=cell.value - other.value, marks=marks)
