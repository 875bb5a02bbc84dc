"""Codes and labels of any accepted kind, packed into words: the form in which the engines compare them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.types import Array, Codes

MAX_BITS = 1024
_ROWS_AT_A_TIME = 1 << 15  # bounds the unpacked copy that packing makes


@dataclass(frozen=True)
class PackedItems:
    """Items ready to be compared: `codes` uint64 (n, words of bits), `labels` uint16 (n, words of classes).

    Bits and classes beyond the last are 0 everywhere. Which bit of a word stands for which bit or class is the same in
    everything that was packed together, and otherwise of no consequence.
    """

    codes: Array
    labels: Array

    def __len__(self) -> int:
        return len(self.codes)


def pack_codes(codes: Any, name: str) -> tuple[Array, int]:
    """Words uint64 (n, ceil(b / 64)) of codes, and b.

    `codes`: a `Codes`, or an array or tensor (n, b) of bool, of 0 and 1, or of -1 and +1; `name` is what an error
    calls it. Raises HashbenchError on anything else.
    """
    if isinstance(codes, Codes):
        # A one beyond the last bit would count as a distance that no histogram has a place for.
        if codes.n_bits % 8 and (codes.packed[:, -1] & (0xFF >> codes.n_bits % 8)).any():
            raise HashbenchError(f"{name}: bits after the last of {codes.n_bits} must be 0; build it by Codes.pack")
        if len(codes) == 0:
            raise HashbenchError(f"{name} must have at least one item")
        return _to_words(codes.packed), codes.n_bits
    array = to_numpy(codes, name)
    if array.ndim != 2 or len(array) == 0 or not 1 <= array.shape[1] <= MAX_BITS:
        raise HashbenchError(
            f"{name} must be (items, bits) with at least one item and 1 to {MAX_BITS} bits, got the shape {array.shape}"
        )
    _check_two_valued(array, name, lowest=(0, -1), remedy="take the sign first, or pass packed bytes as a Codes")
    return _pack_rows(array, np.uint64), array.shape[1]


def pack_labels(query_labels: Any, database_labels: Any) -> tuple[Array, Array]:
    """Words uint16 (n_q, ceil(c / 16)) and (n_db, ceil(c / 16)) of labels: two items share a label where a bit meets.

    Both one- or multi-hot (n, c) of bool or of 0 and 1, or both class numbers (n,), of any number of classes. Raises
    HashbenchError on anything else.
    """
    query, database = to_numpy(query_labels, "query_labels"), to_numpy(database_labels, "database_labels")
    if query.ndim == database.ndim == 1:
        return _pack_class_numbers(query, database)
    if query.ndim != 2 or database.ndim != 2 or query.shape[1] != database.shape[1]:
        raise HashbenchError(
            "query_labels and database_labels must both be (items, classes) with the same classes, or both (items,) of "
            f"class numbers, got the shapes {query.shape} and {database.shape}"
        )
    if query.shape[1] == 0:
        raise HashbenchError("labels must have at least 1 class, got 0")
    for array, name in ((query, "query_labels"), (database, "database_labels")):
        _check_two_valued(array, name, lowest=(0,), remedy="pass class numbers as a vector (items,)")
    return _pack_rows(query, np.uint16), _pack_rows(database, np.uint16)


def unpack_codes(words: Array, n_bits: int) -> Array:
    """The bits 0 and 1, uint8 (n, b), of words uint64 (n, ceil(b / 64))."""
    return np.unpackbits(words.view(np.uint8), axis=1, count=n_bits)


def to_numpy(array: Any, name: str) -> Array:
    """An array or tensor of numbers or bool as NumPy's. Raises HashbenchError, which calls it `name`, if it is none."""
    if hasattr(array, "detach"):  # a torch tensor, told apart without importing torch
        tensor = array.detach().cpu()
        array = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    try:
        result = np.asarray(array)
    except ValueError:
        raise HashbenchError(f"{name} must be an array of numbers or bool, got rows of different lengths") from None
    if result.dtype.kind not in "biuf":
        raise HashbenchError(f"{name} must be an array of numbers or bool, got one of {result.dtype}")
    return result


def _check_two_valued(array: Array, name: str, *, lowest: tuple[int, ...], remedy: str) -> None:
    if array.size == 0 or array.dtype == np.bool_:
        return
    low = array.min()
    if low == 1:
        low = lowest[0]
    valid = low in lowest and all(
        bool(((block == 1) | (block == low)).all())
        for block in np.array_split(array, -(-len(array) // _ROWS_AT_A_TIME))
    )
    if not valid:
        kinds = " or ".join(["bool", "0 and 1", *(["-1 and +1"] if -1 in lowest else [])])
        raise HashbenchError(f"{name} must hold {kinds} and holds other values; {remedy}")


def _pack_rows(array: Array, word: type[np.unsignedinteger[Any]]) -> Array:
    n, columns = array.shape
    word_bits = 8 * np.dtype(word).itemsize
    words = np.empty((n, -(-columns // word_bits)), word)
    bits = np.zeros((min(n, _ROWS_AT_A_TIME), words.shape[1] * word_bits), np.bool_)
    for start in range(0, n, _ROWS_AT_A_TIME):
        part = array[start : start + _ROWS_AT_A_TIME]
        np.greater(part, False, out=bits[: len(part), :columns])
        words[start : start + len(part)].reshape(-1)[:] = np.packbits(bits[: len(part)]).view(word)
    return words


def _to_words(packed: Array) -> Array:
    padded = np.zeros((len(packed), -(-packed.shape[1] // 8) * 8), np.uint8)
    padded[:, : packed.shape[1]] = packed
    return padded.view(np.uint64)


def _pack_class_numbers(query: Array, database: Array) -> tuple[Array, Array]:
    for array, name in ((query, "query_labels"), (database, "database_labels")):
        if array.dtype.kind not in "iu" or (array.size and array.min() < 0):
            raise HashbenchError(f"{name} of shape (items,) must be class numbers, integers from 0, got {array.dtype}")
    shared = np.intersect1d(query, database)  # a class of one side alone makes nothing relevant and needs no bit

    def one_hot(array: Array) -> Array:
        known = np.flatnonzero(np.isin(array, shared))
        place = np.searchsorted(shared, array[known])
        words = np.zeros((len(array), max(1, -(-len(shared) // 16))), np.uint16)
        words[known, place // 16] = 1 << (place % 16)
        return words

    return one_hot(query), one_hot(database)
