"""Tables as data: what they hold and which cells are marked. `rendering` turns them into text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Literal

from hashbench.report.results import Results, Setting, digest_of, mean, spread
from hashbench.types import Array, RunRecord

Mark = Literal["best", "second", "insignificant"]
SIGNIFICANCE_LEVEL = 0.05


@dataclass(frozen=True)
class Column:
    """`group` is the heading it shares with its neighbours; values are printed with `decimals` digits, and with their
    spread where `show_spread`. `prefer` says which values are the better ones, if any."""

    group: str
    label: str
    decimals: int = 3
    show_spread: bool = True
    prefer: Literal["higher", "lower", "none"] = "higher"


@dataclass(frozen=True)
class Cell:
    """A number and what it is the number of. `value`: mean over `seeds` runs, None where there is none; `spread`: their
    sample standard deviation."""

    dataset: str
    backbone: str
    method: str
    bits: int
    metric: str
    value: float | None
    spread: float | None
    seeds: int
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class Row:
    """A line of a table; rows of one `section` follow each other, and marks compare the rows of a section."""

    section: str
    label: str
    cells: tuple[Cell, ...]
    remark: str = ""


@dataclass(frozen=True)
class Table:
    """`name`: file name without its ending; `notes` explain the marks; `provenance` says what made the numbers."""

    name: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    provenance: tuple[str, ...]

    @cached_property
    def digest(self) -> str:
        """First 12 hex digits of the sha256 over everything the table says, numbers in full precision."""
        return digest_of(asdict(self))

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods in the table, in the order of their rows."""
        return tuple(dict.fromkeys(cell.method for row in self.rows for cell in row.cells))

    def sections(self) -> list[tuple[str, list[Row]]]:
        """The rows by section, in order."""
        names = dict.fromkeys(row.section for row in self.rows)
        return [(name, [row for row in self.rows if row.section == name]) for name in names]


@dataclass(frozen=True)
class Metric:
    """One number of a run and how a column shows it."""

    name: str
    of: Callable[[RunRecord], float]
    column: Column


def cell_of(
    results: Results, setting: Setting, method: str, bits: int, metric: str, of: Callable[[RunRecord], float]
) -> Cell:
    """Mean and spread over seeds of one number of a cell's runs."""
    values = results.values(setting, method, bits, of)
    finite = bool(values) and all(map(math.isfinite, values))
    value = mean(values) if finite else None
    return Cell(
        setting.dataset, setting.backbone, method, bits, metric, value, spread(values) if finite else None, len(values)
    )


def printed(cell: Cell, column: Column) -> str:
    """A cell's value as the table prints it, without spread."""
    return "–" if cell.value is None else f"{cell.value:,.{column.decimals}f}"


def marked(rows: Sequence[Row], columns: Sequence[Column]) -> list[Row]:
    """Mark the best and the second best value of each column of these rows, compared as printed, so that equal print
    bears equal marks. Columns without a preference, and columns of a single value, are left alone."""
    grid = [list(row.cells) for row in rows]
    for number, column in enumerate(columns):
        shown = [printed(row.cells[number], column) for row in rows]
        order = sorted(
            {float(text.replace(",", "")) for text in shown if text != "–"}, reverse=column.prefer == "higher"
        )
        if column.prefer == "none" or len(order) < 2:
            continue
        for line, text in zip(grid, shown, strict=True):
            value = math.nan if text == "–" else float(text.replace(",", ""))
            if value == order[0]:
                line[number] = replace(line[number], marks=("best",))
            elif value == order[1]:
                line[number] = replace(line[number], marks=("second",))
    return [replace(row, cells=tuple(line)) for row, line in zip(rows, grid, strict=True)]


def with_significance(
    rows: Sequence[Row], number: int, ap: Callable[[Cell], Array], pvalue: Callable[[Array, Array], float]
) -> list[Row]:
    """Mark the best value of column `number` where its lead over the runner-up may be chance: where it shares the
    first place, or where the paired test gives p >= 0.05."""
    cells = [row.cells[number] for row in rows]
    best = [cell for cell in cells if "best" in cell.marks]
    second = [cell for cell in cells if "second" in cell.marks]
    if not best or (len(best) == 1 and not second):
        return list(rows)
    if len(best) == 1:
        runner_up = max(second, key=lambda cell: cell.value or 0.0)
        if pvalue(ap(best[0]), ap(runner_up)) < SIGNIFICANCE_LEVEL:
            return list(rows)
    unsure = {cell.method for cell in best}
    return [
        replace(row, cells=_replaced(row.cells, number, replace(cell, marks=(*cell.marks, "insignificant"))))
        if (cell := row.cells[number]).method in unsure
        else row
        for row in rows
    ]


def _replaced(cells: tuple[Cell, ...], number: int, cell: Cell) -> tuple[Cell, ...]:
    return (*cells[:number], cell, *cells[number + 1 :])
