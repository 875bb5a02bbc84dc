"""The fused pass: how many database items, relevant and not, lie at each Hamming distance from each query.

Everything that this package reports follows from these counts. The database is held word by word, so that XOR,
population count and the label test run on whole vectors; what is left per pair is one increment of a histogram.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
from numba.extending import intrinsic

from hashbench.evaluation.packing import PackedItems
from hashbench.types import Array

_BLOCK = 4096  # database items at a time: their codes, labels and keys stay in the second-level cache
_QUERIES_A_TASK = 64


def count(query: PackedItems, database: PackedItems, n_bits: int) -> Array:
    """Pairs at each distance: int64 (n_q, b + 1, 2), last axis (not relevant, relevant); relevant = shares a label.

    Runs on `numba.config.NUMBA_NUM_THREADS` threads. Memory beyond inputs and result: one copy of the packed database
    where codes or labels take several words, and some kilobytes a thread.
    """
    counts = np.zeros((len(query), 2 * (n_bits + 1)), np.int64)
    codes, labels = np.ascontiguousarray(database.codes.T), np.ascontiguousarray(database.labels.T)

    def run(start: int) -> None:
        part = slice(start, start + _QUERIES_A_TASK)
        _count(query.codes[part], query.labels[part], codes, labels, counts[part])

    n_threads: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    with ThreadPoolExecutor(n_threads) as threads:
        list(threads.map(run, range(0, len(query), _QUERIES_A_TASK)))
    return counts.reshape(len(query), n_bits + 1, 2)


@intrinsic
def _popcount(_context: Any, _word: Any) -> Any:
    """Number of ones of a 64-bit word: LLVM's ctpop, which becomes VPOPCNTQ where the processor has it."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return numba.types.uint64(numba.types.uint64), generate


@numba.njit(nogil=True, cache=True)
def _count(query_codes: Array, query_labels: Array, codes: Array, labels: Array, counts: Array) -> None:
    n = codes.shape[1]
    keys = np.empty(_BLOCK, np.uint16)
    tallies = np.empty((4, counts.shape[1]), np.int32)
    for start in range(0, n, _BLOCK):
        stop = min(start + _BLOCK, n)
        block = keys[: stop - start]
        for q in range(len(counts)):
            block[:] = 0
            for word in range(len(labels)):
                _mark_shared(labels[word, start:stop], query_labels[q, word], block)
            for word in range(len(codes)):
                _add_distance(codes[word, start:stop], query_codes[q, word], block)
            tallies[:] = 0
            _tally(block, tallies)
            for key in range(counts.shape[1]):
                counts[q, key] += tallies[0, key] + tallies[1, key] + tallies[2, key] + tallies[3, key]


# A pair's key is 2 * distance + relevant. Keys are 16 bits wide because that is what the vectors and the cache
# carry fastest; the largest is 2 * 1024 + 1.
@numba.njit(nogil=True, cache=True)
def _mark_shared(row: Array, wanted: Any, keys: Array) -> None:
    for i in range(len(keys)):
        keys[i] |= np.uint16((row[i] & wanted) != 0)


@numba.njit(nogil=True, cache=True)
def _add_distance(row: Array, code: Any, keys: Array) -> None:
    for i in range(len(keys)):
        keys[i] += np.uint16(_popcount(row[i] ^ code) << np.uint64(1))  # type: ignore[call-arg]


@numba.njit(nogil=True, cache=True)
def _tally(keys: Array, tallies: Array) -> None:
    # Neighbouring keys are often equal, and an increment must wait for the last one of the same cell: four
    # histograms in turn keep four increments in flight.
    first, second, third, fourth = tallies[0], tallies[1], tallies[2], tallies[3]
    whole = len(keys) // 4 * 4
    for i in range(0, whole, 4):
        first[keys[i]] += 1
        second[keys[i + 1]] += 1
        third[keys[i + 2]] += 1
        fourth[keys[i + 3]] += 1
    for i in range(whole, len(keys)):
        first[keys[i]] += 1
