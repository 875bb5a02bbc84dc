"""Where a file of the report is not what the run records give, told by the table cell where there is one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from hashbench.report.tables.model import Cell, Heading, Row, Table
from hashbench.report.tables.rendering import CSV_FIELDS, lines_of_rows

Place = Cell | tuple[Row, tuple[Heading, ...], str]  # a number, or a row with its columns and the format
_IMAGE = re.compile(r"data:image/[^\"]+")
_BETWEEN_CELLS = {"md": r"(?<!\\)\|", "tex": r"(?<!\\)&", "html": r"<td"}
_SHOWN = 60  # characters
# The pages that show a table beside the files that bear its name.
_PAGES = {"table1": ("report",), "table2": ("report",), "table3": ("cost",), "ablation": ("report",)}


def differences(name: str, found: str, expected: str, tables: Sequence[Table]) -> Iterator[str]:
    """What `found`, the text of the file `name` on disk, says otherwise than `expected`, one sentence a line of it.

    Images inside a page are left out: their bytes depend on the machine that drew them. Where lines are missing or
    added only the first difference is told.
    """
    is_, should = (_IMAGE.sub("", text).splitlines() for text in (found, expected))
    places = _places(name, should, tables)
    for number, (a, b) in enumerate(zip_longest(is_, should)):
        if a == b:
            continue
        yield f"{name}, {_difference(a, b, number, places)}"
        if len(is_) != len(should):
            return


def _difference(is_: str | None, should: str | None, number: int, places: dict[int, Place]) -> str:
    if is_ is None or should is None:
        return (
            f"line {number + 1}: {'is missing' if is_ is None else 'is there, but the run records give no such line'}"
        )
    where, a, b = f"line {number + 1}", is_, should
    if number in places:
        where, a, b = _within(places[number], is_, should)
    a, b = _around_the_difference(a, b)
    return f"{where}: is {a!r}, the run records give {b!r}"


def _places(name: str, lines: Sequence[str], tables: Sequence[Table]) -> dict[int, Place]:
    """Line number -> place, for the lines of `name` that are rows of a table, or single cells as in CSV."""
    stem, _, ending = name.rpartition("/")[2].partition(".")
    shown = [table for table in tables if stem in (table.name, *_PAGES.get(table.name, ()))]
    if ending == "csv":
        cells = (cell for table in shown for row in table.rows for cell in row.cells)
        return dict(enumerate(cells, start=1))
    if ending not in _BETWEEN_CELLS:
        return {}
    found: dict[int, Place] = {}
    start = 0
    for table in shown:
        for text, row, columns in lines_of_rows(table, ending):
            start = lines.index(text, start)
            found[start] = (row, columns, ending)
            start += 1
    return found


def _within(place: Place, is_: str, should: str) -> tuple[str, str, str]:
    """Where two lines of a table differ, in words, and what each says there; the whole row where cells do not match."""
    if isinstance(place, Cell):
        fields = [text.split(",") for text in (is_, should)]
        names = [n for n, a, b in zip(CSV_FIELDS, *fields, strict=False) if a != b]
        where = f"{place.dataset}, {place.backbone}, {place.method}, {place.bits} bits, {place.metric}"
        return f"{where}, {' and '.join(names) or 'the line'}", is_, should
    row, columns, ending = place
    where = ", ".join(filter(None, (row.heading.group, row.heading.label)))
    a, b = (re.split(_BETWEEN_CELLS[ending], line) for line in (is_, should))
    if len(a) != len(b):
        return where, is_, should
    piece = next(number for number, pair in enumerate(zip(a, b, strict=True)) if pair[0] != pair[1])
    first = len(b) - len(columns) - (ending == "md")  # a line of Markdown ends with a separator
    if piece >= first:
        column = columns[piece - first]
        where = f"{where}, {', '.join(filter(None, (column.group, column.label)))}"
    return where, a[piece].strip(), b[piece].strip()


def _around_the_difference(a: str, b: str) -> tuple[str, str]:
    """Two texts, cut to what lies around the first place in which they differ where they are long."""
    place = next((number for number, pair in enumerate(zip(a, b, strict=False)) if pair[0] != pair[1]), 0)
    start = max(place - _SHOWN // 3, 0)
    return _cut(a, start), _cut(b, start)


def _cut(text: str, start: int) -> str:
    if len(text) <= _SHOWN:
        return text
    end = start + _SHOWN
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")
