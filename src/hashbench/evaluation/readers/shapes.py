"""Do the four arrays fit together? Where they do not, the likely reason: exchanged, or items as columns."""

from __future__ import annotations

from hashbench.errors import HashbenchError
from hashbench.evaluation.readers.found import Found
from hashbench.evaluation.readers.request import Role

PARTS = ("query", "database")


def transposed(found: dict[Role, Found], roles: frozenset[Role]) -> dict[Role, Found]:
    """The arrays with those of `roles` turned so that an item is a row. Raises HashbenchError where one has no axes."""
    for role in roles:
        if len(found[role].shape) != 2:
            raise found[role].refuse(f"has the shape {found[role].shape}, so --transpose cannot turn it")
    return {role: each.with_value(each.value.T) if role in roles else each for role, each in found.items()}


def check_counts(found: dict[Role, Found]) -> None:
    """Raise HashbenchError unless query and database have as many labels as codes, with the likely reason."""
    for each in found.values():
        _check_axes(each)
    pairs = [(_of(found, part, "codes"), _of(found, part, "labels")) for part in PARTS]
    if all(_fit(codes, labels) for codes, labels in pairs):
        return
    (query_codes, query_labels), (database_codes, database_labels) = pairs
    if _fit(query_codes, database_labels) and _fit(database_codes, query_labels):
        raise HashbenchError(
            f"{query_codes} has {_counts(query_codes, database_labels)}, and {database_codes} "
            f"{_counts(database_codes, query_labels)}: the two are exchanged; say which is which by {query_codes.flag} "
            f"and {database_codes.flag}, FILE:KEY"
        )
    for codes, labels in pairs:
        if not _fit(codes, labels):
            raise _mismatch(codes, labels, database_labels if labels is query_labels else query_labels)


def _of(found: dict[Role, Found], part: str, content: str) -> Found:
    return found[f"{part}_{content}"]  # type: ignore[index]


def _check_axes(each: Found) -> None:
    shape = each.shape
    if not 1 <= len(shape) <= 2:
        raise each.refuse(f"has the shape {shape}: it must have one row an item, (items, columns) or (items,)")
    if 0 in shape:
        raise each.refuse(f"is empty, of shape {shape}: give at least one item")


def counts_of_labels(labels: Found) -> set[int]:
    """How many items labels can be for: MATLAB writes a vector as (1, n) or (n, 1)."""
    shape = labels.shape
    return {shape[0], shape[1]} if len(shape) == 2 and shape[0] == 1 else {shape[0]}


def _fit(codes: Found, labels: Found) -> bool:
    return codes.shape[0] in counts_of_labels(labels)


def _counts(codes: Found, labels: Found) -> str:
    return f"{codes.shape[0]} items as {labels.role} has"


def _mismatch(codes: Found, labels: Found, other_labels: Found) -> HashbenchError:
    n, rows = codes.shape[0], max(counts_of_labels(labels))
    columns = codes.shape[1] if len(codes.shape) == 2 else None
    label_columns = labels.shape[1] if len(labels.shape) == 2 else None
    told = f"has the shape {codes.shape} and {labels.role} ({labels.place}) {labels.shape}: "
    if columns == rows:
        return codes.refuse(f"{told}its items are columns; turn it by --transpose {_option(codes)}")
    if label_columns == n:
        return codes.refuse(f"{told}the labels' items are columns; turn them by --transpose {_option(labels)}")
    if columns is not None and columns == label_columns:
        both = f"--transpose {_option(codes)} --transpose {_option(labels)}"
        return codes.refuse(f"{told}the items of both are columns; turn them by {both}")
    if _fit(codes, other_labels):
        return codes.refuse(
            f"{told}its {n} items fit {other_labels.role}; say which array is which by {codes.flag} and "
            f"{labels.flag}, FILE:KEY"
        )
    hint = "; is the first line a name? Then call it `codes` or `labels`" if abs(n - rows) == 1 else ""
    return codes.refuse(
        f"{told}{n} items and {rows} labels; give one label row an item by {labels.flag} FILE:KEY{hint}"
    )


def _option(each: Found) -> str:
    return each.role.replace("_", "-")


def check_widths(query: Found, database: Found, query_bits: int, database_bits: int) -> None:
    """Raise HashbenchError unless query and database codes have the same number of bits."""
    if query_bits == database_bits:
        return
    columns = query.shape[0] == database.shape[0] and len(query.shape) == len(database.shape) == 2
    hint = (
        "; both have as many rows, so their items may be columns: --transpose query-codes --transpose database-codes"
        if columns
        else f"; name another array by {query.flag} or {database.flag}, FILE:KEY"
    )
    raise query.refuse(f"has {query_bits} bits and {database.role} ({database.place}) {database_bits}{hint}")
