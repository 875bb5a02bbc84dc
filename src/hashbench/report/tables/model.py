"""Tables as data: what they hold and which of their cells are marked. `rendering` turns them into text."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

from hashbench.fingerprint import digest_of
from hashbench.report.frame import OverSeeds
from hashbench.report.results import Results, Setting
from hashbench.types import Array

Tied = Callable[[Mapping[str, Array]], Set[str]]  # of methods with their AP, (s, n_q), those that tie with the best
Mark = Literal["best", "second", "insignificant", "submitted"]


@dataclass(frozen=True)
class Heading:
    """The name of a row or a column: `group` is what it shares with its neighbours, `key` the BibTeX key of the paper
    of the method that it names."""

    group: str
    label: str
    key: str = ""


@dataclass(frozen=True)
class Format:
    """How a cell is printed: with `decimals` digits, with a sign before it where `signed`, and with its spread where
    `show_spread`. `prefer` says which values are the better ones, if any."""

    decimals: int = 3
    signed: bool = False
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
    format: Format = Format()  # frozen, so one for all is safe
    marks: tuple[Mark, ...] = ()

    @property
    def printed(self) -> str:
        """The value as the table prints it, without spread."""
        sign = "+" if self.format.signed else ""
        return "–" if self.value is None else f"{self.value:{sign},.{self.format.decimals}f}"

    @property
    def printed_spread(self) -> str:
        """The spread as the table prints it; empty where it prints none."""
        if self.spread is None or not self.format.show_spread:
            return ""
        return f"{self.spread:.{self.format.decimals}f}"

    @property
    def exact(self) -> str:
        """The value in full precision; empty where there is none."""
        return "" if self.value is None else repr(self.value)

    @property
    def compared(self) -> float:
        """The value by which cells are compared, the printed one; NaN where there is none."""
        return math.nan if self.value is None else float(self.printed.replace(",", ""))


@dataclass(frozen=True)
class Row:
    """A line of a table; rows of one group follow each other, and marks compare the rows of a group."""

    heading: Heading
    cells: tuple[Cell, ...]
    remark: str = ""


@dataclass(frozen=True)
class Table:
    """`name`: file name without its ending; `notes` explain the marks; `provenance` says what made the numbers;
    `corner`: what the names of the rows are; `excerpt_of`: the digest of the whole table where this is a part of it."""

    name: str
    title: str
    caption: str
    columns: tuple[Heading, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    provenance: tuple[str, ...]
    corner: str = "Method"
    excerpt_of: str = ""

    @cached_property
    def digest(self) -> str:
        """First 12 hex digits of the sha256 over everything the table says, numbers in full precision."""
        return digest_of(asdict(self))

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods in the table, in the order of their rows."""
        return tuple(dict.fromkeys(cell.method for row in self.rows for cell in row.cells))

    @property
    def sections(self) -> list[tuple[str, list[Row]]]:
        """The rows by group, in order."""
        names = dict.fromkeys(row.heading.group for row in self.rows)
        return [(name, [row for row in self.rows if row.heading.group == name]) for name in names]

    @property
    def has_remarks(self) -> bool:
        """Whether any row has a remark, so that the table needs a column for them."""
        return any(row.remark for row in self.rows)

    @property
    def closing(self) -> str:
        """The digest to cite, in words."""
        return f"excerpt of content digest {self.excerpt_of}" if self.excerpt_of else f"content digest {self.digest}"


class Metric(NamedTuple):
    """One number of the runs: its name in CSV files, its column of the frame, and how a table shows it."""

    name: str
    column: str
    heading: Heading
    format: Format = Format()


def cell_of(
    results: Results, setting: Setting, method: str, bits: int, name: str, column: str, shown: Format = Format()
) -> Cell:
    """Mean and spread over seeds of one number of a cell's runs, by its column of the frame."""
    found = results.over_seeds.of(setting.dataset, setting.backbone, method, bits, column)
    return cell_from(found, setting, method, bits, name, shown)


def cell_from(found: OverSeeds, setting: Setting, method: str, bits: int, name: str, shown: Format) -> Cell:
    """A cell of a number's statistics over seeds."""
    value = found.mean if math.isfinite(found.mean) else None
    spread = found.spread if math.isfinite(found.spread) else None
    return Cell(setting.dataset, setting.backbone, method, bits, name, value, spread, found.seeds, shown)


def marked(rows: Sequence[Row]) -> list[Row]:
    """Mark the best and the second best value of each column of these rows, compared as printed, so that equal print
    bears equal marks. Columns without a preference, and columns of a single value, are left alone."""
    columns = [_marked_column(cells) for cells in zip(*(row.cells for row in rows), strict=True)]
    return [replace(row, cells=cells) for row, cells in zip(rows, zip(*columns, strict=True), strict=True)]


def _marked_column(cells: Sequence[Cell]) -> list[Cell]:
    prefer = cells[0].format.prefer
    order = sorted({cell.compared for cell in cells if cell.value is not None}, reverse=prefer == "higher")
    if prefer == "none" or len(order) < 2:
        return list(cells)
    marks: dict[float, tuple[Mark, ...]] = {order[0]: ("best",), order[1]: ("second",)}
    return [replace(cell, marks=marks.get(cell.compared, ())) for cell in cells]


PLAIN_MAP = Format(prefer="none")
DIFFERENCE_NOTE = "†: the two cannot be told apart (paired bootstrap over seeds and queries, two-sided, p ≥ 0.05)."
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


def with_tie(
    rows: Sequence[Row],
    number: int,
    ap: Callable[[Cell], Array],
    tied: Tied,
) -> list[Row]:
    """Mark in column `number` every method that `tied` counts among the best, and as second the best of the others.

    `ap(cell)`: the AP of each repetition and query. A column of a single value is left alone.
    """
    cells = [row.cells[number] for row in rows if row.cells[number].value is not None]
    if len(cells) < 2:
        return list(rows)
    best = tied({cell.method: ap(cell) for cell in cells})
    second = max((cell.compared for cell in cells if cell.method not in best), default=math.nan)

    def marks(cell: Cell) -> tuple[Mark, ...]:
        if cell.value is None:
            return ()
        return ("best",) if cell.method in best else ("second",) if cell.compared == second else ()

    new = [replace(row.cells[number], marks=marks(row.cells[number])) for row in rows]
    return [replace(row, cells=_replaced(row.cells, number, cell)) for row, cell in zip(rows, new, strict=True)]


def _replaced(cells: tuple[Cell, ...], number: int, cell: Cell) -> tuple[Cell, ...]:
    return (*cells[:number], cell, *cells[number + 1 :])
