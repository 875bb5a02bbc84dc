"""Measure the evaluation engine against what people use today, in one run on one machine.

    python benchmarks/evaluation.py

Writes results/bench/evaluation.md, and evaluation-scaling.svg (time and memory against pairs). Every
time is the best of several runs of the same work in this process; memory is what a fresh process adds to its inputs at
its peak. Needs the dependency group `bench` (faiss) and a few minutes.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hashbench.evaluation import evaluate

OUT = Path("results/bench")
TOP = 1000
RANKS = (1, 10, 50, 100, 200, 500, 1000, 2000, 5000, 10000)
N_BITS = 64
PART = 100  # queries that a search by others is timed on


class Case(NamedTuple):
    """One size of the problem; the loop of published code is timed on `loop_queries` of the queries and scaled up."""

    name: str
    n_query: int
    n_database: int
    n_classes: int
    multi_label: bool
    loop_queries: int
    goal_ns: float


CASES = (
    Case("single-label", 1_000, 54_000, 10, False, 25, 1.0),
    Case("multi-label", 2_100, 193_734, 21, True, 10, 2.0),
)
SCALING = ((1_000, 10_000), (1_000, 54_000), (1_000, 200_000), (1_000, 1_000_000), (10_000, 1_000_000))


class Data(NamedTuple):
    """Codes 0 and 1 uint8 (n, 64), labels one- or multi-hot uint8 (n, c)."""

    query_codes: np.ndarray
    database_codes: np.ndarray
    query_labels: np.ndarray
    database_labels: np.ndarray


def make_data(n_query: int, n_database: int, n_classes: int, *, multi_label: bool) -> Data:
    """Codes that scatter around one random code a class, as those of a trained method do."""
    rng = np.random.default_rng(0)
    centres = rng.integers(0, 2, (n_classes, N_BITS), dtype=np.uint8)
    codes, labels = [], []
    for n in (n_query, n_database):
        main = rng.integers(0, n_classes, n)
        flips = rng.integers(0, 4, (n, N_BITS), dtype=np.uint8) == 0
        codes.append(centres[main] ^ flips)
        hot = (rng.integers(0, 12, (n, n_classes), dtype=np.uint8) < multi_label).astype(np.uint8)
        hot[np.arange(n), main] = 1
        labels.append(hot)
    return Data(*codes, *labels)


def published_loop(data: Data, n_query: int) -> Callable[[], Any]:
    """mAP@1000 and then the precision-recall curve, each by a dot product and an argsort a query, of `n_query` queries.

    Everything is float32 already, so that the time is proportional to the queries. BLAS gets one thread: with two the
    loop is slower, as each product is small.
    """
    from threadpoolctl import threadpool_limits

    query, database = (codes.astype(np.float32) * 2 - 1 for codes in data[:2])
    query_labels, database_labels = (labels.astype(np.float32) for labels in data[2:])
    queries = list(zip(query, query_labels, strict=True))[:n_query]

    def work() -> tuple[float, list[float], list[float]]:
        precisions = []
        for code, label in queries:
            relevant = (database_labels @ label > 0).astype(np.float32)
            distance = 0.5 * (N_BITS - database @ code)
            top = relevant[np.argsort(distance)][:TOP]
            hits = np.flatnonzero(top) + 1.0
            precisions.append(np.mean(np.arange(1, len(hits) + 1) / hits) if len(hits) else 0.0)
        curves = []
        for code, label in queries:
            relevant = (database_labels @ label > 0).astype(np.float32)
            order = np.argsort(0.5 * (N_BITS - database @ code))
            found = [relevant[order[:rank]].sum() for rank in RANKS]
            n_relevant = max(relevant.sum(), 1)
            curves.append([(hits / rank, hits / n_relevant) for hits, rank in zip(found, RANKS, strict=True)])
        precision, recall = np.mean(curves, axis=0).T
        return float(np.mean(precisions)), precision.tolist(), recall.tolist()

    return threadpool_limits.wrap(limits=1, user_api="blas")(work)


def faiss_search(data: Data) -> Callable[[], Any]:
    """Top-1000 of `PART` queries by an exhaustive binary index that is already built."""
    import faiss

    index = faiss.IndexBinaryFlat(N_BITS)
    index.add(np.packbits(data.database_codes, axis=1))
    query = np.packbits(data.query_codes[:PART], axis=1)
    return lambda: index.search(query, TOP)


def torch_search(data: Data) -> Callable[[], Any]:
    """Top-1000 of `PART` queries by a matrix product and topk."""
    import torch

    query, database = (torch.from_numpy(codes).float() * 2 - 1 for codes in data[:2])
    return lambda: (query[:PART] @ database.T).topk(TOP)


def best_seconds(work: Callable[[], Any], repeats: int) -> float:
    """The shortest of `repeats` runs, in seconds."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def hashbench_work(data: Data) -> Callable[[], Any]:
    """Everything that `evaluate` computes, from unpacked codes and labels."""
    ranks = [rank for rank in RANKS if rank <= len(data.database_codes)]
    return lambda: evaluate(*data, k=TOP, ranks=ranks)


def _memory_child(pipe: Any, n_query: int, n_database: int, n_classes: int, multi_label: bool) -> None:
    hashbench_work(make_data(100, 10_000, n_classes, multi_label=multi_label))()  # loads all code
    work = hashbench_work(make_data(n_query, n_database, n_classes, multi_label=multi_label))
    Path("/proc/self/clear_refs").write_text("5")  # peak := now
    before = _status("VmRSS")
    work()
    pipe.send((_status("VmHWM") - before) / 1024)


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1])
    raise KeyError(key)


def peak_mib(n_query: int, n_database: int, n_classes: int, *, multi_label: bool) -> float | None:
    """Peak memory of one `evaluate` beyond its inputs, in MiB, seen in a fresh process; None off Linux."""
    if not Path("/proc/self/clear_refs").exists():
        return None
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_memory_child, args=(sender, n_query, n_database, n_classes, multi_label))
    child.start()
    sender.close()
    try:
        return float(receiver.recv())
    finally:
        child.join()


def measure(case: Case) -> dict[str, Any]:
    """One case: seconds of each way, and the peak memory of ours."""
    data = make_data(case.n_query, case.n_database, case.n_classes, multi_label=case.multi_label)
    ours = hashbench_work(data)
    ours()
    loop = published_loop(data, case.loop_queries)
    seconds = {
        "hashbench evaluate": best_seconds(ours, 40),
        "(a) dot product + argsort loop, mAP and PR curve": best_seconds(loop, 40) * case.n_query / case.loop_queries,
        "(b) faiss IndexBinaryFlat, top 1000 only": best_seconds(faiss_search(data), 20) * case.n_query / PART,
        "(c) torch matmul + topk, top 1000 only": best_seconds(torch_search(data), 20) * case.n_query / PART,
    }
    mine = seconds["hashbench evaluate"]
    pairs = case.n_query * case.n_database
    memory = peak_mib(case.n_query, case.n_database, case.n_classes, multi_label=case.multi_label)
    loop_seconds, *searches = list(seconds.values())[1:]
    return {
        **case._asdict(),
        "n_bits": N_BITS,
        "seconds": seconds,
        "ns_per_pair": mine / pairs * 1e9,
        "peak_mib_beyond_inputs": memory,
        "goals": {
            "at least 100 times (a)": loop_seconds >= 100 * mine,
            "faster than (b) and (c)": mine < min(searches),
            f"at most {case.goal_ns} ns per pair": mine / pairs * 1e9 <= case.goal_ns,
            "at most 64 MiB beyond the inputs": memory is None or memory <= 64,
        },
    }


def measure_scaling() -> list[dict[str, Any]]:
    """Seconds and peak memory of `evaluate` against the number of pairs."""
    points = []
    for n_query, n_database in SCALING:
        work = hashbench_work(make_data(n_query, n_database, 10, multi_label=False))
        seconds = best_seconds(work, 2 if n_query * n_database > 2e9 else 5)
        memory = peak_mib(n_query, n_database, 10, multi_label=False)
        print(f"{n_query} x {n_database}: {seconds:.3f} s, {memory} MiB", flush=True)
        points.append({"n_query": n_query, "n_database": n_database, "seconds": seconds, "peak_mib": memory})
    return points


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0] if names else cpu
        flags = "vector population count (AVX-512)" if "avx512_vpopcntdq" in info.read_text() else ""
        cpu = f"{cpu}, {flags}" if flags else cpu
    packages = ("numpy", "numba", "torch", "faiss-cpu")
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {package: version(package) for package in packages},
    }


def plot_scaling(points: list[dict[str, Any]]) -> None:
    """Time and memory against pairs, each with the straight line through the largest case."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    pairs = np.array([point["n_query"] * point["n_database"] for point in points], float)
    seconds = np.array([point["seconds"] for point in points])
    left.loglog(pairs, seconds, "o-", label="measured")
    left.loglog(pairs, seconds[-1] * pairs / pairs[-1], "--", color="grey", label="linear in pairs")
    left.set(xlabel="query-database pairs", ylabel="seconds", title=f"evaluate, {N_BITS} bits")
    left.legend(frameon=False)
    if all(point["peak_mib"] is not None for point in points):
        right.semilogx(pairs, [point["peak_mib"] for point in points], "o-")
        right.set(xlabel="query-database pairs", ylabel="MiB beyond the inputs", title="peak memory")
        right.set_ylim(bottom=0)
    with mpl.rc_context({"svg.hashsalt": "hashbench"}):
        figure.savefig(OUT / "evaluation-scaling.svg", metadata={"Date": None})


def markdown(result: dict[str, Any]) -> str:
    """The numbers as a page."""
    about, (start, end) = result["machine"], result["load_average"]
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    lines = [
        "# Speed and memory of the evaluation engine",
        "",
        f"{about['cores']} cores of {about['cpu']}; {about['system']}; Python {about['python']}, {versions}; load "
        f"average {start} before and {end} after the runs. Best of several runs each; (a), (b) and (c) are timed on "
        "a part of the queries and scaled, as they are linear in them. `evaluate` starts from unpacked codes and "
        "labels and computes every metric; (b) and (c) only search. Made by `python benchmarks/evaluation.py`.",
    ]
    for case in result["cases"]:
        mine = case["seconds"]["hashbench evaluate"]
        lines += [
            "",
            f"## {case['n_query']:,} queries × {case['n_database']:,} items × {case['n_bits']} bits, {case['name']}, "
            f"{case['n_classes']} classes",
            "",
            "| what | seconds | times `evaluate` |",
            "|---|---:|---:|",
            *(f"| {name} | {seconds:.3f} | {seconds / mine:.1f} |" for name, seconds in case["seconds"].items()),
            "",
            f"{case['ns_per_pair']:.2f} ns per pair; peak memory beyond the inputs: "
            f"{_mib(case['peak_mib_beyond_inputs'])}.",
            "",
            *(f"- {'met' if met else 'NOT met'}: {goal}" for goal, met in case["goals"].items()),
        ]
    lines += [
        "",
        "## Growth",
        "",
        "| queries | items | seconds | ns per pair | peak memory beyond inputs |",
        "|---:|---:|---:|---:|---:|",
        *(
            f"| {p['n_query']:,} | {p['n_database']:,} | {p['seconds']:.3f} | "
            f"{p['seconds'] / p['n_query'] / p['n_database'] * 1e9:.2f} | {_mib(p['peak_mib'])} |"
            for p in result["scaling"]
        ),
        "",
        "![time and memory against size](evaluation-scaling.svg)",
    ]
    return "\n".join(lines) + "\n"


def _mib(memory: float | None) -> str:
    return "not measured" if memory is None else f"{memory:.0f} MiB"


def main() -> None:
    """Measure everything and write it down."""
    load = [os.getloadavg()[0]]
    result = {"machine": machine(), "cases": [measure(case) for case in CASES], "scaling": measure_scaling()}
    result["load_average"] = [round(each, 2) for each in (*load, os.getloadavg()[0])]
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "evaluation.md").write_text(markdown(result), encoding="utf-8")
    plot_scaling(result["scaling"])
    print(markdown(result))


if __name__ == "__main__":
    main()
