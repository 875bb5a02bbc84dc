"""Measure the evaluation of a million queries against a million items, in one run on one machine.

    python benchmarks/scale.py [QUERIES]

Codes and labels lie in .npy files and are memory-mapped. 64 bits and 10 classes: all pairs, of QUERIES queries
(default: the million), block by block with finished blocks kept, in a process of its own whose peak of memory is read.
Longer codes and 1,000 classes: on a part of the queries, as times are linear in them. Beside them what XOR and
population count alone take of the same codes, as the processor's limit, and where the time of a pair of 64 bits goes.
Writes results/bench/scale.md. Takes some five minutes on two idle cores.
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
from hashbench.evaluation.hamming import _add_distance, _find_keys, _popcount, _tally
from hashbench.evaluation.packing import pack_labels
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

    @property
    def rate(self) -> float:
        """Billions of pairs a second."""
        return 1 / self.ns


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
    """XOR and population count of the same pairs on as many threads, summed, of blocks that stay in the first cache."""
    query, database, *_ = read_inputs(folder, n_bits, n_query)
    queries = np.ascontiguousarray(query.packed).view(np.uint64)
    words = np.ascontiguousarray(np.ascontiguousarray(database.packed).view(np.uint64).T)
    size = 4096 // len(words)
    blocks = [np.ascontiguousarray(words[:, start : start + size]) for start in range(0, ITEMS, size)]
    _distances(queries[:1], blocks[0])
    seconds = []
    with ThreadPoolExecutor(numba.config.NUMBA_NUM_THREADS) as threads:
        for _ in range(3):
            start = time.perf_counter()
            list(threads.map(lambda block: _distances(queries, block), blocks))
            seconds.append(time.perf_counter() - start)
    return Taken(min(seconds), n_query * ITEMS)


@numba.njit(nogil=True)
def _pass(step: int, query: Any, labels: Any, database: Any, database_labels: Any) -> int:
    """One thread's pass over the pairs by the engine's own loops, up to a step: 1 distances, 2 keys, 3 counts."""
    keys, table = np.zeros(8192, np.uint8), np.zeros(65536, np.uint16)
    for q in range(len(query)):
        for start in range(0, database.shape[1] - 8191, 8192):
            if step == 1:
                _add_distance(database[0, start : start + 8192], query[q, 0], keys)
            else:
                _find_keys(query[q], labels[q], database, database_labels, start, keys)
            if step == 3:
                _tally(keys.view(np.uint16), table)
    return table[0] + keys[0]


def steps(folder: Path) -> list[float]:
    """Nanoseconds a pair, on one thread, of the distance, of the label test and of the count: 64 bits, 10 classes."""
    query, database, *labels = read_inputs(folder, 64, 512)
    packed = [np.ascontiguousarray(codes.packed).view(np.uint64) for codes in (query, database)]
    query_labels, database_labels = pack_labels(*labels)
    arrays = (packed[0], query_labels, packed[1].T.copy(), database_labels.T.copy())
    until = [0.0]
    for step in (1, 2, 3):
        _pass(step, *(each[:1] for each in arrays[:2]), *arrays[2:])
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            _pass(step, *arrays)
            seconds.append(time.perf_counter() - start)
        until.append(1e9 * min(seconds) / (512 * (ITEMS // 8192 * 8192)))
    return np.diff(until).tolist()


def in_a_process_of_its_own(function: Any, *arguments: Any) -> Any:
    """What a function returns in a new process."""
    with multiprocessing.get_context("spawn").Pool(1, set_up_log) as pool:
        return pool.apply(function, arguments)


class Found(NamedTuple):
    """One case: time by blocks, and of the bare loop."""

    n_bits: int
    n_classes: int
    taken: Taken
    limit: Taken


def measure(n_query: int) -> tuple[list[Found], list[float]]:
    """Every case, and the steps of the first."""
    found, parts = [], []
    for number, (n_bits, n_classes) in enumerate(CASES):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_inputs(folder, n_bits, n_classes)
            limit = in_a_process_of_its_own(bare, folder, n_bits, PART)
            taken = in_a_process_of_its_own(evaluated, folder, n_bits, PART if number else n_query)
            parts = parts or in_a_process_of_its_own(steps, folder)
        found.append(Found(n_bits, n_classes, taken, limit))
    return found, parts


def processor() -> str:
    """The name of the processor, where the system tells it."""
    info = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()


def report(found: list[Found], parts: list[float], load: float) -> Iterator[str]:
    """The lines of the page."""
    whole = found[0].taken
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba"))
    yield "# Evaluation at scale\n"
    yield (
        f"{os.cpu_count()} cores of {processor()}, {platform.machine()}; Python {platform.python_version()}, "
        f"{packages}; load average {load:.2f} before and {os.getloadavg()[0]:.2f} after the runs. Made by "
        "`python benchmarks/scale.py`.\n"
    )
    yield (
        f"{ITEMS:,} items of 64 bits in 10 classes, {whole.pairs // ITEMS:,} queries, every metric at k = 1,000, from "
        f"memory-mapped files, finished blocks kept: {whole.seconds:.0f} s, {whole.rate:.1f} billion pairs a second, "
        f"{whole.memory:,.0f} MiB beyond the inputs, Python and its packages among them.\n"
    )
    yield f"- {'met' if whole.memory <= MEMORY_GOAL else 'NOT met'}: at most {MEMORY_GOAL:,} MiB beyond the inputs\n"
    yield (
        "Other sizes beside it, one run each, and XOR and population count alone (the bare loop) of the same codes on "
        "as many threads, the best of three runs.\n"
    )
    yield "| bits | classes | queries | billion pairs a second | ns a pair | MiB | bare loop, ns | share of its speed |"
    yield "|---:|---:|---:|---:|---:|---:|---:|---:|"
    for n_bits, n_classes, taken, limit in found:
        yield (
            f"| {n_bits:,} | {n_classes:,} | {taken.pairs // ITEMS:,} | {taken.rate:.2f} | {taken.ns:.3f} | "
            f"{taken.memory:,.0f} | {limit.ns:.3f} | {limit.ns / taken.ns:.0%} |"
        )
    distance, label, count = parts
    yield (
        "\nBeyond XOR and population count, a distance is packed into a byte, and a pair needs its label test and one "
        f"count. On one thread, 64 bits and 10 classes: {distance:.3f} ns for the distance as a byte, {label:.3f} for "
        f"the label test and {count:.3f} for the count, {distance + label + count:.3f} together."
    )


def main() -> None:
    """Measure and write the page."""
    set_up_log()
    load = os.getloadavg()[0]
    found, parts = measure(int(sys.argv[1]) if len(sys.argv) > 1 else ITEMS)
    PAGE.write_text("\n".join(report(found, parts, load)) + "\n")
    print(PAGE.read_text())


if __name__ == "__main__":
    main()
