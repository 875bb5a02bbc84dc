"""The fused pass: how many database items, relevant and not, lie at each Hamming distance from each query.

Everything that this package reports follows from these counts. The database is held word by word, so that XOR,
population count and the label test run on whole vectors and leave one key a pair, 2 * distance + relevant. What no
vector instruction does is to count keys. Below 128 bits a key is a byte: two neighbouring keys are read as one number
and counted by one increment of a table, whose rows and columns are added up afterwards.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
from numba.extending import intrinsic

from hashbench.evaluation.packing import PackedItems
from hashbench.progress import tell
from hashbench.types import Array

_CHUNK = 8192  # items whose keys are held at a time: they stay in the first-level cache
_BLOCK = 65536  # items that the table counts before it is emptied: no cell of 16 bits overflows
_QUERIES_A_TASK = 64


def count(query: PackedItems, database: PackedItems, n_bits: int) -> Array:
    """Pairs at each distance: int64 (n_q, b + 1, 2), last axis (not relevant, relevant); relevant = shares a label.

    Runs on `numba.config.NUMBA_NUM_THREADS` threads. Memory beyond inputs and result: one copy of the packed database
    where codes or labels take several words, and some 150 kilobytes a thread.
    """
    counts = np.zeros((len(query), 2 * (n_bits + 1)), np.int64)
    codes, labels = np.ascontiguousarray(database.codes.T), np.ascontiguousarray(database.labels.T)
    count_part = _count_by_twos if counts.shape[1] <= 256 else _count_one_by_one

    def run(start: int) -> None:
        part = slice(start, start + _QUERIES_A_TASK)
        count_part(query.codes[part], query.labels[part], codes, labels, counts[part])

    n_threads: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    tasks = range(0, len(query), _QUERIES_A_TASK)
    with ThreadPoolExecutor(n_threads) as threads:
        for _ in tell(threads.map(run, tasks), f"ranking, {_QUERIES_A_TASK} queries at a time", len(tasks)):
            pass
    return counts.reshape(len(query), n_bits + 1, 2)


@intrinsic
def _popcount(_context: Any, _word: Any) -> Any:
    """Number of ones of a 64-bit word: LLVM's ctpop, which becomes VPOPCNTQ where the processor has it."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return numba.types.uint64(numba.types.uint64), generate


# Only these two are kept on disk: they have one specialisation each. Of a function with several, processes that compile
# at the same time may take each other's file for their own.
@numba.njit(nogil=True, cache=True)
def _count_by_twos(query_codes: Array, query_labels: Array, codes: Array, labels: Array, counts: Array) -> None:
    n = codes.shape[1]
    keys, table = np.empty(_CHUNK, np.uint8), np.zeros((256, 256), np.uint16)
    for block in range(0, n, _BLOCK):
        for q in range(len(counts)):
            for start in range(block, min(block + _BLOCK, n), _CHUNK):
                part = keys[: min(_CHUNK, n - start)]
                _find_keys(query_codes[q], query_labels[q], codes, labels, start, part)
                _tally(part[: len(part) // 2 * 2].view(np.uint16), table.reshape(-1))
                if len(part) % 2:
                    counts[q, part[-1]] += 1
            _empty_into(counts[q], table)


@numba.njit(nogil=True, cache=True)
def _count_one_by_one(query_codes: Array, query_labels: Array, codes: Array, labels: Array, counts: Array) -> None:
    n = codes.shape[1]
    keys = np.empty(_CHUNK, np.uint16)
    for start in range(0, n, _CHUNK):
        part = keys[: min(_CHUNK, n - start)]
        for q in range(len(counts)):
            _find_keys(query_codes[q], query_labels[q], codes, labels, start, part)
            _tally(part, counts[q])


@numba.njit(nogil=True)
def _find_keys(code: Array, label: Array, codes: Array, labels: Array, start: int, keys: Array) -> None:
    """Write the keys of one query with the `len(keys)` database items from `start` on."""
    stop = start + len(keys)
    keys[:] = 0
    for word in range(len(labels)):
        if label[word]:  # of many classes a query has few
            _mark_shared(labels[word, start:stop], label[word], keys)
    for word in range(len(codes)):
        _add_distance(codes[word, start:stop], code[word], keys)


@numba.njit(nogil=True)
def _mark_shared(row: Array, wanted: Any, keys: Array) -> None:
    for i in range(len(keys)):
        keys[i] |= (row[i] & wanted) != 0


@numba.njit(nogil=True)
def _add_distance(row: Array, code: Any, keys: Array) -> None:
    for i in range(len(keys)):
        keys[i] += _popcount(row[i] ^ code) << np.uint64(1)  # type: ignore[call-arg]


@numba.njit(nogil=True)
def _tally(keys: Array, counts: Array) -> None:
    for i in range(len(keys)):
        counts[keys[i]] += 1


@numba.njit(nogil=True)
def _empty_into(counts: Array, table: Array) -> None:
    """Add to each key's count how often it stands first and how often second among two keys, and clear the table."""
    n = len(counts)
    second = np.zeros(n, np.uint32)
    for key in range(n):
        first = np.uint32(0)
        for other in range(n):
            first += table[key, other]
            second[other] += table[key, other]
            table[key, other] = 0
        counts[key] += first
    for key in range(n):
        counts[key] += second[key]
