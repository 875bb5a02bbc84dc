"""Measure the evaluation of a million queries against a million items, in one run on one machine.

    python benchmarks/scale.py [QUERIES]

Codes and labels lie in .npy files and are memory-mapped. 64 bits and 10 classes: all pairs, of QUERIES queries
(default: the million), block by block with finished blocks kept, in a process of its own whose peak of memory is read.
Longer codes and 1,000 classes: on a part of the queries, as times are linear in them. Beside them what XOR and
population count alone take of the same codes, as the processor's limit. Writes results/bench/scale.md. Takes some five
minutes.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np

from hashbench.evaluation.blocks import evaluate_in_blocks
from hashbench.evaluation.hamming import _popcount
from hashbench.execution.command import set_up_log
from hashbench.types import Codes

PAGE = Path("results/bench/scale.md")
ITEMS, PART, MEMORY_GOAL = 1_000_000, 5_000, 1024
CASES = ((64, 10), (128, 10), (256, 10), (1024, 10), (64, 1000), (1024, 1000))


class Taken(NamedTuple):
    """Seconds of a pass over `pairs` pairs, and its peak of memory beyond the inputs in MiB."""

    seconds: float
    pairs: int
    memory: float = 0.0

    @property
    def ns(self) -> float:
        """Nanoseconds a pair."""
        return 1e9 * self.seconds / self.pairs


def write_inputs(folder: Path, n_bits: int, n_classes: int) -> None:
    """Codes that scatter around one random code a class, packed, and class numbers."""
    rng = np.random.default_rng(0)
    centres = rng.integers(0, 256, (n_classes, n_bits // 8), dtype=np.uint8)
    for role in ("query", "database"):
        labels = rng.integers(0, n_classes, ITEMS)
        noise = rng.integers(0, 256, (2, ITEMS, n_bits // 8), dtype=np.uint8)
        np.save(folder / f"{role}_codes.npy", centres[labels] ^ (noise[0] & noise[1]))
        np.save(folder / f"{role}_labels.npy", labels)


def read_inputs(folder: Path, n_bits: int, n_query: int) -> tuple[Any, ...]:
    """Memory-mapped codes and labels."""
    arrays = {path.stem: np.load(path, mmap_mode="r") for path in folder.glob("*.npy")}
    query = Codes(arrays["query_codes"][:n_query], n_bits, np.arange(n_query))
    database = Codes(arrays["database_codes"], n_bits, np.arange(ITEMS))
    return query, database, arrays["query_labels"][:n_query], arrays["database_labels"]


def evaluated(folder: Path, n_bits: int, n_query: int) -> Taken:
    """An evaluation by blocks, at k = 1,000, with finished blocks kept."""
    given = read_inputs(folder, n_bits, n_query)
    warm = read_inputs(folder, n_bits, 64)
    evaluate_in_blocks(*warm, k=1000)  # compiles what is not compiled yet
    inputs = sum(part.nbytes for part in (given[0].packed, given[1].packed, *given[2:]))
    start = time.perf_counter()
    evaluate_in_blocks(*given, k=1000, folder=folder / "blocks")
    taken = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - inputs / 2**20
    return Taken(taken, n_query * ITEMS, peak)


@numba.njit(nogil=True)
def _distances(query: Any, database: Any) -> int:
    total = np.uint64(0)
    for q in range(len(query)):
        for word in range(database.shape[0]):
            wanted, row = query[q, word], database[word]
            for i in range(len(row)):
                total += _popcount(row[i] ^ wanted)
    return total


def bare(folder: Path, n_bits: int, n_query: int) -> Taken:
    """XOR and population count of the same pairs on as many threads, summed, of blocks that stay in the cache."""
    query, database, *_ = read_inputs(folder, n_bits, n_query)
    queries = np.ascontiguousarray(query.packed).view(np.uint64)
    words = np.ascontiguousarray(np.ascontiguousarray(database.packed).view(np.uint64).T)
    blocks = [np.ascontiguousarray(words[:, start : start + 4096]) for start in range(0, ITEMS, 4096)]
    _distances(queries[:1], blocks[0])
    start = time.perf_counter()
    with ThreadPoolExecutor(numba.config.NUMBA_NUM_THREADS) as threads:
        list(threads.map(lambda block: _distances(queries, block), blocks))
    return Taken(time.perf_counter() - start, n_query * ITEMS)


def in_a_process_of_its_own(function: Any, *arguments: Any) -> Taken:
    """What a function returns in a new process."""
    with multiprocessing.get_context("spawn").Pool(1, set_up_log) as pool:
        return pool.apply(function, arguments)


def measure(n_query: int) -> Iterator[tuple[int, int, Taken, Taken]]:
    """For each case its bits, classes, time by blocks, and time of the bare loop."""
    for number, (n_bits, n_classes) in enumerate(CASES):
        with tempfile.TemporaryDirectory() as folder:
            write_inputs(Path(folder), n_bits, n_classes)
            part = PART if number else n_query
            limit = in_a_process_of_its_own(bare, Path(folder), n_bits, PART)
            yield n_bits, n_classes, in_a_process_of_its_own(evaluated, Path(folder), n_bits, part), limit


def report(found: list[tuple[int, int, Taken, Taken]]) -> Iterator[str]:
    """The lines of the page."""
    whole = found[0][2]
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba"))
    yield "# Evaluation at scale\n"
    yield (
        f"{os.cpu_count()} cores, {platform.machine()}; Python {platform.python_version()}, {packages}; load average "
        f"{os.getloadavg()[0]:.2f} at the end. Made by `python benchmarks/scale.py`.\n"
    )
    yield (
        f"{ITEMS:,} items of 64 bits in 10 classes, {whole.pairs // ITEMS:,} queries, every metric at k = 1,000: "
        f"{whole.seconds:.0f} s, {whole.memory:,.0f} MiB beyond the inputs.\n"
    )
    yield f"- {'met' if whole.memory <= MEMORY_GOAL else 'NOT met'}: at most {MEMORY_GOAL:,} MiB beyond the inputs\n"
    yield "| bits | classes | queries | ns a pair | XOR and population count alone | share of that limit |"
    yield "|---:|---:|---:|---:|---:|---:|"
    for n_bits, n_classes, taken, limit in found:
        queries = taken.pairs // ITEMS
        share = limit.ns / taken.ns
        yield f"| {n_bits:,} | {n_classes:,} | {queries:,} | {taken.ns:.3f} | {limit.ns:.3f} | {share:.0%} |"
    yield (
        "\nBeyond the distance, a pair needs its label test and one count; both are part of the time and not of the "
        "limit."
    )


def main() -> None:
    """Measure and write the page."""
    set_up_log()
    found = list(measure(int(sys.argv[1]) if len(sys.argv) > 1 else ITEMS))
    PAGE.write_text("\n".join(report(found)) + "\n")
    print(PAGE.read_text())


if __name__ == "__main__":
    main()
