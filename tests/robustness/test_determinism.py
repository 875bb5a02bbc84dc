"""The same seed gives the same bits, whatever the threads, the workers, the order, the blocks and the interruptions."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import ROOT, differing, make_checkout, read_params, run, small_params, stage, write_params

SMALL = {"bits": [16], "seeds": [0], "epochs": 1}
LARGE = {"bits": [16, 64], "seeds": [0, 1], "epochs": 2}

# Fit every method of params.yaml, so many rows encoded at once.
FIT_ALL = """
import sys, yaml
from hashbench import fitting
from hashbench.stages import fit
fitting.ROWS_AT_ONCE = int(sys.argv[1])
for method in yaml.safe_load(open("params.yaml"))["methods"]:
    fit.main("quick", "methods", method)
"""

# The same, each fit ended again and again after a few steps, and taken up from its checkpoint.
FIT_ALL_INTERRUPTED = """
import contextlib, itertools, yaml
from hashbench import fitter
from hashbench.stages import fit
asked = itertools.count(1)
stops = 0
fitter.stopping_on_signals = lambda: contextlib.nullcontext(lambda: next(asked) % 7 == 0)
fit.spread = lambda work, items: (work.do(item) or item for item in items)
for method in yaml.safe_load(open("params.yaml"))["methods"]:
    while True:
        try:
            fit.main("quick", "methods", method)
            break
        except KeyboardInterrupt:
            stops += 1
print(stops)
"""


def digests(folder: Path) -> dict[str, str]:
    """The sha256 of every code, model, feature and weight, by file."""
    files = [*folder.glob("artefacts/quick/**/*.safetensors"), *folder.glob("artefacts/quick/**/*.npy")]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}


def reverse_params(folder: Path) -> None:
    """Turn round the order of methods, data sets, code lengths and repetitions."""
    params = read_params(folder)
    for name in ("datasets", "bits", "seeds"):
        params["profiles"]["quick"][name].reverse()
    for name in ("methods", "datasets"):
        params[name] = dict(reversed(params[name].items()))
    write_params(folder, params)
    stage(folder, "params")


def prepare(folder: Path, **threads: str) -> Path:
    """Make all that a fit needs."""
    for name in ("params", "fetch", "split", "backbones", "features"):
        run(folder, sys.executable, "-m", f"hashbench.stages.{name}", "quick", **threads)
    return folder


def with_methods(folder: Path, methods: list[str], size: dict[str, object]) -> Path:
    """Give a checkout whose features are there other methods to fit."""
    profile = {"datasets": ["digits"], "bits": size["bits"], "seeds": size["seeds"], "views": 2, "overrides": {}}
    write_params(folder, small_params(methods, profile, epochs=1))
    for name in ("fits", "evaluations"):
        shutil.rmtree(folder / "artefacts" / "quick" / name)
    stage(folder, "params")
    return folder


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bits(
    tmp_path: Path, long: bool, finished: Callable[[Path], Path], figures: Callable[..., None]
) -> None:
    methods = list(read_params(ROOT)["methods"]) if long else ["nsh", "lsh", "itq"]
    size = {**(LARGE if long else SMALL), "methods": methods, "datasets": ["digits", "digits_mosaic"][: 1 + long]}

    def copy_of(folder: Path, name: str) -> Path:
        return Path(shutil.copytree(folder, tmp_path / name, symlinks=True))

    one = {"OMP_NUM_THREADS": "1", "HASHBENCH_CORES": "1"}
    two = {"OMP_NUM_THREADS": "2", "HASHBENCH_CORES": "2"}
    if long:
        start = prepare(make_checkout(tmp_path / "start", **size), **one)
    else:
        start = with_methods(finished(tmp_path / "start"), methods, size)
    first = copy_of(start, "first")
    run(first, sys.executable, "-c", FIT_ALL, "8192", **one)
    expected = digests(first)

    assert sum(name.endswith(".codes.safetensors") for name in expected) >= len(methods)

    reordered = copy_of(start, "reordered")
    reverse_params(reordered)
    run(reordered, sys.executable, "-c", FIT_ALL, "7", **two)
    assert differing(expected, digests(reordered)) == set()
    stopped = copy_of(start, "stopped")
    stops = int(run(stopped, sys.executable, "-c", FIT_ALL_INTERRUPTED, **one).stdout)
    assert stops
    assert differing(expected, digests(stopped)) == set()
    if not long:
        return
    with_two = prepare(make_checkout(tmp_path / "with_two", **size), **two)
    run(with_two, sys.executable, "-c", FIT_ALL, "100", **{**two, "HASHBENCH_CORES": "3"})
    assert differing(expected, digests(with_two)) == set()

    codes = sum(name.endswith(".codes.safetensors") for name in expected)
    figures(
        "determinism",
        title="Determinism (CPU)",
        says=(
            f"All {len(methods)} methods, {len(size['datasets'])} data sets, {size['bits'][0]} and {size['bits'][1]} "
            f"bits, {len(size['seeds'])} seeds, {size['epochs']} epochs: {codes} cells, fitted four times from the "
            "same seeds. The sha256 of every file of codes, fitted methods, features and backbone weights was compared "
            "with that of the first run: 1 thread, 1 worker, 8192 rows encoded at once, never interrupted."
        ),
        figures={
            "files compared in each run": len(expected),
            "files that differ: 2 threads, 2 workers, all orders of params.yaml reversed, 7 rows at once": 0,
            "files that differ: data, weights and features made anew by 2 threads, 3 workers, 100 rows at once": 0,
            "files that differ: fits interrupted every 7 steps and resumed from their checkpoints": 0,
            "interruptions in that run": stops,
        },
        remarks=["On one machine and with locked versions. CUDA was not measured on the machine of this page."],
    )
