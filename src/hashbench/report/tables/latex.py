r"""A table as LaTeX for a two-column paper: floats of one column where it fits, of both where not, several where it
fits neither."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from hashbench.report.tables.model import Cell, Heading, Row, Table
from hashbench.report.templating import template

# Points. The narrowest of the common two-column styles (CVPR: 6.875 inches, columns of 3.25), and a float of these
# many lines leaves room for its caption and notes on their pages.
_TEXT_WIDTH, _COLUMN_WIDTH, _LINES = 496.0, 234.0, 69
_GAP = 3  # between a cell and the edge of its column
_REMARK_WIDTH = 96
_CITATION = 18.0  # ' [99]'


@dataclass(frozen=True)
class Float:
    """A float of a table: some of its columns, and of its rows those that fit on a page, cut to these columns."""

    columns: tuple[Heading, ...]
    sections: list[tuple[str, list[Row]]]
    lead: int
    width: float

    @property
    def environment(self) -> str:
        """`table`, or `table*` where it needs the width of both columns."""
        return "table" if self.width <= _COLUMN_WIDTH else "table*"

    @property
    def width_in_columns(self) -> int:
        """Columns of the tabular, those that name the rows included."""
        return self.lead + len(self.columns)

    @property
    def has_groups(self) -> bool:
        """Whether there are headings above the columns."""
        return any(column.group for column in self.columns)

    @property
    def spans(self) -> list[tuple[str, int, int]]:
        """The headings above neighbouring columns, each with the first and last column below it, counted from 1."""
        found, start = [], self.lead + 1
        for group, members in groupby(self.columns, key=lambda column: column.group):
            end = start + len(list(members)) - 1
            found.append((group, start, end))
            start = end + 1
        return found


def latex(table: Table) -> str:
    r"""The table as LaTeX to \input into a document that loads booktabs, in ASCII."""
    return template("table.tex.j2").render(
        table=table, floats=list(floats(table)), gap=_GAP, remark_width=_REMARK_WIDTH
    )


def lines(table: Table) -> Iterator[tuple[str, Row, tuple[Heading, ...]]]:
    """Every row of every float in the order of the file: its line, the cut row, and the columns that it is cut to."""
    line = template("row.tex.j2").module.line  # type: ignore[attr-defined]
    for part in floats(table):
        for row in (row for _, rows in part.sections for row in rows):
            yield line(row, table.has_remarks), row, part.columns


def floats(table: Table) -> Iterator[Float]:
    """The floats of a table: as many columns as fit side by side, for as many rows as fit on a page."""
    lead = 2 if table.has_remarks else 1
    names = max((_heading_width(row.heading) for row in table.rows), default=0.0)
    fixed = max(names, _width(table.corner)) + (2 * _GAP + _REMARK_WIDTH) * (lead - 1)
    for first, last, width in _column_ranges(table, _TEXT_WIDTH - fixed):
        for page in _pages(table):
            cut = [(name, [replace(row, cells=row.cells[first:last]) for row in rows]) for name, rows in page]
            yield Float(table.columns[first:last], cut, lead, fixed + width)


def _column_ranges(table: Table, room: float) -> Iterator[tuple[int, int, float]]:
    """Ranges of columns that fit into `room`, with their width; columns of one group are parted only where they alone
    are too wide."""
    widths = [
        2 * _GAP + max(_heading_width(column), *(_cell_width(row.cells[number]) for row in table.rows))
        for number, column in enumerate(table.columns)
    ]
    start, end, used = 0, 0, 0.0
    for group, members in groupby(range(len(widths)), key=lambda number: table.columns[number].group):
        numbers = list(members)
        wide = max(sum(widths[n] for n in numbers), _width(group) + 2 * _GAP)
        pieces = [(len(numbers), wide)] if wide <= room else [(1, widths[n]) for n in numbers]
        if end > start and len(pieces) > 1:
            yield start, end, used
            start, used = end, 0.0
        for count, width in pieces:
            if end > start and used + width > room:
                yield start, end, used
                start, used = end, 0.0
            end, used = end + count, used + width
    yield start, end, used


def _pages(table: Table) -> Iterator[list[tuple[str, list[Row]]]]:
    """Sections packed into pages, never splitting a section that fits one."""
    page: list[tuple[str, list[Row]]] = []
    used = 0
    for name, rows in table.sections:
        for chunk in _chunks(rows):
            height = 1 + sum(map(_height, chunk))
            if page and used + height > _LINES:
                yield page
                page, used = [], 0
            page.append((name, chunk))
            used += height
    yield page


def _chunks(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """The rows of a section in pieces that fit a page each."""
    chunk: list[Row] = []
    for row in rows:
        if chunk and 1 + sum(map(_height, [*chunk, row])) > _LINES:
            yield chunk
            chunk = []
        chunk.append(row)
    yield chunk


def _height(row: Row) -> int:
    """The lines that a row takes; a remark breaks only between words, so it is taken to fill four fifths of a line."""
    return max(1, math.ceil(_width(row.remark) / (0.8 * _REMARK_WIDTH)))


def _heading_width(heading: Heading) -> float:
    return _width(heading.label) + (_CITATION if heading.key else 0.0)


def _cell_width(cell: Cell) -> float:
    spread = _width(f"±{cell.printed_spread}") * 0.86 if cell.printed_spread else 0.0  # in \tiny
    bold = 1.15 if "best" in cell.marks else 1.0
    return _width(cell.printed) * bold + spread


# Points that a character takes in \scriptsize (7 pt) of Computer Modern, the widest of the usual fonts, rounded up.
_NARROW, _WIDE = set(" .,:;'!|ijlI()[]/-tfr"), set("ABCDEFGHJKLMNOPQRSTUVWXYZmw@%&±≤≥→–")


def _width(text: str) -> float:
    return sum(2.8 if character in _NARROW else 6.6 if character in _WIDE else 4.1 for character in text)
