"""A `Table` as Markdown, LaTeX, tidy CSV and an HTML fragment."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from hashbench.report.tables import latex
from hashbench.report.tables.model import Heading, Row, Table
from hashbench.report.templating import template

CSV_FIELDS = ("dataset", "backbone", "method", "bits", "metric", "value", "spread", "seeds", "marks")


def markdown(table: Table) -> str:
    """The table in GitHub's Markdown, with notes and provenance below."""
    return template("table.md.j2").render(table=table)


def html(table: Table) -> str:
    """The table as an HTML fragment: a button in each heading sorts by it once the report's script runs."""
    return template("table.html.j2").render(table=table, groups=_groups(table))


def _groups(table: Table) -> list[tuple[str, list[Heading]]]:
    """The headings above neighbouring columns, with the columns that each spans."""
    return [(group, list(members)) for group, members in groupby(table.columns, key=lambda column: column.group)]


def tidy_csv(table: Table) -> str:
    """One line for each number, in full precision; `marks` joined by spaces; an empty value where there was no run."""
    lines: list[Sequence[object]] = [CSV_FIELDS]
    for cell in (cell for row in table.rows for cell in row.cells):
        numbers = ["" if number is None else repr(number) for number in (cell.value, cell.spread)]
        where = (cell.dataset, cell.backbone, cell.method, cell.bits, cell.metric)
        lines.append((*where, *numbers, cell.seeds, " ".join(cell.marks)))
    return csv_text(lines)


def csv_text(lines: Sequence[Sequence[object]]) -> str:
    """Lines of values as CSV with Unix line ends."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(lines)
    return buffer.getvalue()


def lines_of_rows(table: Table, ending: str) -> Iterator[tuple[str, Row, tuple[Heading, ...]]]:
    """Each line of the format 'md', 'tex' or 'html' that is a row of the table, in order, with that row and its
    columns; LaTeX cuts a table that is too wide."""
    if ending == "tex":
        yield from latex.lines(table)
        return
    line = template(f"row.{ending}.j2").module.line  # type: ignore[attr-defined]
    for row in (row for _, rows in table.sections for row in rows):
        yield line(row, table.has_remarks), row, table.columns


RENDERERS: dict[str, Callable[[Table], str]] = {"md": markdown, "tex": latex.latex, "csv": tidy_csv, "html": html}
