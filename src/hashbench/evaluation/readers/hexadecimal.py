"""Codes as texts: hex digits, four bits each, first bit highest; or the digits 0 and 1, a bit each."""

from __future__ import annotations

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.evaluation.packing import MAX_BITS
from hashbench.evaluation.readers.bits import Bits
from hashbench.evaluation.readers.found import Found, rows_where, shown, some
from hashbench.evaluation.readers.request import Reading
from hashbench.types import Array, Codes

HEX = "hex digits"
DIGITS = "texts of 0 and 1"
_HEX_DIGITS = frozenset("0123456789abcdef")


def read(found: Found, how: Reading) -> Bits:
    """The bits of texts (n,). Raises HashbenchError where they are no hex digits of one length, or could be bits."""
    texts = _texts(found)
    digits = _one_length(found, texts)
    is_bits = set("".join(texts)) <= {"0", "1"}
    if is_bits and how.packed is None:
        raise found.refuse(
            f"holds texts of 0 and 1 alone, {digits} an item, the first '{shown(texts[0])}': bits, or hex digits? Say "
            f"--packed {digits} for {digits} bits or --packed {4 * digits} for hex"
        )
    n_bits = 4 * digits if how.packed is None else how.packed
    if not 1 <= n_bits <= MAX_BITS:
        raise found.refuse(f"has {n_bits} bits: 1 to {MAX_BITS} are allowed")
    if is_bits and n_bits == digits:
        return Bits(Codes.pack(np.array([[digit == "1" for digit in text] for text in texts])), DIGITS)
    if digits != -(-n_bits // 4):
        raise found.refuse(
            f"has {digits} hex digits an item, which is not --packed {n_bits}: that takes {-(-n_bits // 4)}; say "
            f"another number of bits, {4 * digits - 3} to {4 * digits}"
        )
    return Bits(_bits(found, texts, n_bits), HEX)


def _texts(found: Found) -> list[str]:
    array: Array = found.value
    if array.ndim != 1:
        raise found.refuse(f"holds texts of shape {array.shape}: give one hex string an item, or numbers")
    texts = [text.strip().lower().removeprefix("0x") for text in array.astype(str).tolist()]
    wrong = np.array([not text or not set(text) <= _HEX_DIGITS for text in texts])
    if wrong.any():
        raise found.refuse(
            f"holds texts that are no hex digits in {rows_where(wrong)}, the first "
            f"'{shown(texts[int(wrong.argmax())])}': give codes as hex strings or as numbers"
        )
    return texts


def _one_length(found: Found, texts: list[str]) -> int:
    lengths = np.array([len(text) for text in texts])
    if (lengths != lengths[0]).any():
        raise found.refuse(
            f"holds hex strings of {some(np.unique(lengths).tolist())} digits, another length than the first in "
            f"{rows_where(lengths != lengths[0])}: write leading zeros, so that every code has the same digits"
        )
    return int(lengths[0])


def _bits(found: Found, texts: list[str], n_bits: int) -> Codes:
    padded = [text.ljust(-(-len(text) // 2) * 2, "0") for text in texts]
    bits = np.unpackbits(np.array([list(bytes.fromhex(text)) for text in padded], np.uint8), axis=1)
    beyond = bits[:, n_bits:].any(axis=1)
    if beyond.any():
        raise HashbenchError(
            f"{found} has ones after the last of {n_bits} bits in {rows_where(beyond)}: say the true number by --packed"
        )
    return Codes.pack(bits[:, :n_bits].astype(np.bool_))
