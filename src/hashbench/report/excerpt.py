"""A part of a table, as a paper needs it: some methods, some code lengths, without spreads, or turned round."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace

from hashbench.errors import HashbenchError
from hashbench.report.build import tables_of
from hashbench.report.bundle import ReportBundle
from hashbench.report.tables.model import Cell, Heading, Row, Table


def excerpt(
    bundle: ReportBundle,
    name: str,
    methods: Sequence[str] = (),
    bits: Sequence[int] = (),
    *,
    with_spread: bool = True,
    transpose: bool = False,
) -> Table:
    """The table `name` of these methods, in this order, and code lengths; all of them where none is named.

    Marks and tests of significance compare what is left. The excerpt states the digest of the whole table. Raises
    HashbenchError where the table, a method or a code length is none of the bundle's.
    """
    whole = _table(bundle, name)
    submitted = {each.method for each in bundle.submissions}
    _require("method", methods, [*bundle.methods, *submitted])
    _require("code length", bits, sorted({record.bits for record in bundle.records}))
    kept = [method for method in methods or bundle.methods if method not in submitted]
    if not kept:
        raise HashbenchError(f"{', '.join(methods)} were submitted: name a method beside them that was reproduced here")
    part = replace(
        bundle,
        methods={method: bundle.methods[method] for method in kept},
        submissions=tuple(each for each in bundle.submissions if not methods or each.method in methods),
        records=tuple(r for r in bundle.records if r.method in kept and (not bits or r.bits in bits)),
    )
    if not part.records:
        raise HashbenchError(f"no run is of these methods and code lengths ({', '.join(kept)}); name others")
    is_whole = (part.records, part.submissions) == (bundle.records, bundle.submissions) and kept == [*bundle.methods]
    table = whole if is_whole else _table(part, name)
    table = table if with_spread else _without_spread(table)
    table = _transposed(table) if transpose else table
    return table if table is whole else replace(table, excerpt_of=whole.digest)


def _table(bundle: ReportBundle, name: str) -> Table:
    tables = {table.name: table for table in tables_of(bundle)}
    _require("table", [name], tables)
    return tables[name]


def _require(what: str, named: Iterable[Hashable], allowed: Iterable[Hashable]) -> None:
    known = list(allowed)
    for name in named:
        if name not in known:
            raise HashbenchError(f"the report has no {what} '{name}' (allowed: {', '.join(map(str, known))})")


def _without_spread(table: Table) -> Table:
    def plain(cell: Cell) -> Cell:
        return replace(cell, format=replace(cell.format, show_spread=False))

    caption = table.caption.replace("mean ± standard deviation over seeds", "mean over seeds")
    rows = tuple(replace(row, cells=tuple(map(plain, row.cells))) for row in table.rows)
    return replace(table, caption=caption, rows=rows)


def _transposed(table: Table) -> Table:
    """The table with a column for each row and a row for each column."""
    cells = zip(*(row.cells for row in table.rows), strict=True)
    rows = tuple(Row(heading, column) for heading, column in zip(table.columns, cells, strict=True))
    columns: tuple[Heading, ...] = tuple(row.heading for row in table.rows)
    return replace(table, rows=rows, columns=columns, corner="Measure")
