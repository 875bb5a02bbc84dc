"""Codes of which eight bits lie in a byte, first bit highest as numpy.packbits has it, or up to 64 in a word."""

from __future__ import annotations

import numpy as np

from hashbench.evaluation.readers.bits import Bits
from hashbench.evaluation.readers.found import Found, rows_where
from hashbench.types import Array, Codes

ALPHABET = "packed bits"


def read(found: Found, n_bits: int) -> Bits:
    """The bits of integers (n, words), or (n,) of one word each. Raises HashbenchError where they do not fit."""
    words = _words(found, n_bits)
    if found.value.ndim == 2 and n_bits > words.shape[1] and words.max() <= 1:
        raise found.refuse(
            f"holds 0 and 1 alone, {words.shape[1]} an item: unpacked bits, or bytes of --packed {n_bits}? Leave "
            f"--packed out for codes of {words.shape[1]} bits; else give the {n_bits} bits unpacked"
        )
    packed = np.ascontiguousarray(words.astype(words.dtype.newbyteorder(">"))).view(np.uint8)
    beyond = packed[:, -1] & (0xFF >> n_bits % 8) if n_bits % 8 else np.zeros(len(packed), np.uint8)
    if beyond.any():
        raise found.refuse(
            f"has ones after the last of {n_bits} bits in {rows_where(beyond != 0)}: say the true number by --packed, "
            "or pack with the first bit highest, as numpy.packbits does"
        )
    return Bits(Codes(packed, n_bits, np.arange(len(packed), dtype=np.int64)), ALPHABET)


def _words(found: Found, n_bits: int) -> Array:
    """Unsigned words (n, words) whose bits are the codes: bytes in whatever numbers they are stored, or wider words."""
    array: Array = found.value.reshape(len(found.value), -1)
    if array.dtype.kind not in "iuf" or (array % 1 != 0).any():
        raise found.refuse(f"is of {array.dtype}: packed codes must be whole numbers; leave --packed out for others")
    columns, word_bits = array.shape[1], 8 * array.dtype.itemsize
    if columns == -(-n_bits // 8) and array.min() >= (-128 if array.dtype == np.int8 else 0) and array.max() < 256:
        return array.astype(np.uint8)
    if columns * word_bits == n_bits and array.dtype.kind in "iu":
        return array.view(array.dtype.str.replace("i", "u"))
    raise found.refuse(
        f"has {columns} numbers of {array.dtype} an item, {array.min()} to {array.max()}, which cannot be --packed "
        f"{n_bits}: that takes {-(-n_bits // 8)} bytes, 0 to 255; say another number of bits, or leave --packed out"
    )
