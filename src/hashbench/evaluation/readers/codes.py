"""Bits from whatever alphabet a file writes codes in; what could be read in two ways is refused."""

from __future__ import annotations

from typing import Any

import numpy as np

from hashbench.evaluation.packing import MAX_BITS
from hashbench.evaluation.readers import hexadecimal, packed_bytes
from hashbench.evaluation.readers.bits import Bits
from hashbench.evaluation.readers.found import Found, rows_where, some
from hashbench.evaluation.readers.request import Reading
from hashbench.types import Array, Codes

ZERO_ONE, MINUS_PLUS, ONE = "0 and 1", "-1 and +1", "1 alone"
_NUMBERS = {ZERO_ONE, MINUS_PLUS, ONE}


def read_codes(found: Found, how: Reading) -> Bits:
    """The bits of query or database codes. Raises HashbenchError where they are no codes, or codes in two ways."""
    if how.packed is not None and how.binarize is not None:
        raise found.refuse(
            "cannot be read by --packed and --binarize at once: packed bits have no sign; give one of them"
        )
    array = _as_array(found)
    if array.dtype.kind in "US":
        return hexadecimal.read(found.with_value(array), how)
    if array.dtype.kind not in "biuf":
        raise found.refuse(f"is an array of {array.dtype}: codes must be bool, numbers or hex strings")
    if how.packed is not None:
        return packed_bytes.read(found.with_value(array), how.packed)
    return _matrix(found.with_value(array), how)


def check_alphabets(query: Found, database: Found, query_bits: Bits, database_bits: Bits) -> None:
    """Raise HashbenchError where query and database write their bits differently: one of them is likely a mix-up."""
    alphabets = {query_bits.alphabet, database_bits.alphabet}
    if len(alphabets - {ONE}) > 1 or (ONE in alphabets and not alphabets <= {ONE, ZERO_ONE, MINUS_PLUS}):
        by_sign = "--binarize sign takes what is above 0 as 1 in both" if alphabets <= _NUMBERS else "write both alike"
        raise query.refuse(
            f"holds {query_bits.alphabet}, {database.role} ({database.place}) {database_bits.alphabet}: if they are "
            f"codes of one kind, {by_sign}; else name another array by {query.flag} or {database.flag}, FILE:KEY"
        )


def _as_array(found: Found) -> Array:
    value: Any = found.value
    if hasattr(value, "toarray"):  # a scipy.sparse matrix
        value = value.toarray()
    if isinstance(value, list):
        lengths = {len(row) for row in value}
        if len(lengths) > 1:
            raise found.refuse(f"has rows of {some(sorted(lengths))} values: every code must have the same bits")
        value = np.array(value)
        if value.size == 0:
            raise found.refuse("is empty: give every code at least one bit")
    if value.ndim == 2 and value.shape[1] == 1 and value.dtype.kind in "US":
        value = value[:, 0]
    return np.asarray(value)


def _matrix(found: Found, how: Reading) -> Bits:
    array: Array = found.value
    if array.ndim != 2:
        raise found.refuse(
            f"has one number an item, shape {array.shape}: give the bits as (items, bits), or say by --packed BITS "
            "that a number is a code of BITS bits"
        )
    if array.shape[1] > MAX_BITS:
        raise found.refuse(f"has {array.shape[1]} bits: 1 to {MAX_BITS} are allowed")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise found.refuse(f"holds a NaN or an infinity in {rows_where(~np.isfinite(array))}: mend these codes")
    if how.binarize == "sign":
        return _by_sign(found)
    if array.dtype == np.bool_:
        return Bits(Codes.pack(array), ZERO_ONE)
    values = _few_values(array)
    for alphabet, its_values in ((ONE, {1}), (ZERO_ONE, {0, 1}), (MINUS_PLUS, {-1, 1})):
        if values <= its_values:
            return Bits(Codes.pack(array == 1), alphabet)
    raise found.refuse(_other_values(array, values))


def _few_values(array: Array) -> set[float]:
    """All values of an array, or a first few where there are more than three."""
    values = {array.min().item(), array.max().item()}
    between = array[~np.isin(array, list(values))]
    return values | set(between[:2].tolist())


def _by_sign(found: Found) -> Bits:
    array: Array = found.value
    if array.min() >= 0 and not _few_values(array) <= {0, 1}:
        raise found.refuse(
            f"holds nothing below 0, {array.min()} to {array.max()}, as a sigmoid gives it: its sign says nothing; "
            "subtract the threshold, 0.5 perhaps, before --binarize sign"
        )
    zero = array == 0
    remark = ""
    if array.dtype != np.bool_ and array.min() < 0 and zero.any():
        remark = f"{np.count_nonzero(zero):,} zeros taken as bit 0, in {rows_where(zero)}"
    return Bits(Codes.pack(array > 0), "values of either sign", remark)


def _other_values(array: Array, values: set[float]) -> str:
    allowed = "codes must hold 0 and 1, or -1 and +1"
    if values <= {-1, 0, 1}:
        zero = array == 0
        return (
            f"holds -1, +1 and {np.count_nonzero(zero):,} zeros, in {rows_where(zero)}: {allowed}; --binarize sign "
            "takes a zero as bit 0"
        )
    other = ~np.isin(array, [-1, 0, 1])
    example = f"{array[other][0].item()!r}"
    if array.dtype.kind in "iu" and array.min() >= 0 and array.max() < 256 and values != {0, 255}:
        most = 8 * array.shape[1]
        return (
            f"holds {example} and other values beyond 0 and 1 in {rows_where(other)}: {allowed}; if these are packed "
            f"bytes, say how many bits a code has by --packed BITS, {most - 7} to {most}"
        )
    return (
        f"holds {example} and other values in {rows_where(other)}: {allowed}; for real values, --binarize sign takes "
        "what is above 0 as 1"
    )
