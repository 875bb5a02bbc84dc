"""The same seed gives the same bits, whatever the threads, the workers, the order, the blocks and the interruptions."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

SMALL = {"methods": ["nsh", "lsh", "itq"], "bits": [16], "seeds": [0], "epochs": 1}
LARGE = {"bits": [16, 64], "seeds": [0, 1], "epochs": 2}

# Fit every method of params.yaml, so many rows encoded at once.
FIT_ALL = """
import sys, yaml
from hashbench.stages import fit
fit.ROWS_AT_ONCE = int(sys.argv[1])
for method in yaml.safe_load(open("params.yaml"))["methods"]:
    fit.main("quick", method)
"""

# The same, each fit ended again and again after a few steps, and taken up from its checkpoint.
FIT_ALL_INTERRUPTED = """
import contextlib, itertools, yaml
from hashbench.stages import fit
asked = itertools.count(1)
stops = 0
fit.stopping_on_signals = lambda: contextlib.nullcontext(lambda: next(asked) % 7 == 0)
fit.spread = lambda work, items: (work.do(item) or item for item in items)
for method in yaml.safe_load(open("params.yaml"))["methods"]:
    while True:
        try:
            fit.main("quick", method)
            break
        except KeyboardInterrupt:
            stops += 1
print(stops)
"""


def digests(folder: Path) -> dict[str, str]:
    """The sha256 of every code, model, feature and weight, by file."""
    files = [*folder.glob("results/quick/codes/**/*.safetensors"), *folder.glob("artefacts/quick/**/*.safetensors")]
    files += folder.glob("artefacts/quick/**/*.npy")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}


def reverse_params(folder: Path) -> None:
    """Turn round the order of methods, data sets, code lengths and repetitions."""
    params = yaml.safe_load((folder / "params.yaml").read_text())
    for name in ("datasets", "bits", "seeds"):
        params["profiles"]["quick"][name].reverse()
    for name in ("methods", "datasets"):
        params[name] = dict(reversed(params[name].items()))
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bits(
    tmp_path: Path,
    long: bool,
    checkout: Callable[..., Path],
    stage: Callable[..., subprocess.CompletedProcess[str]],
    command: Callable[..., subprocess.CompletedProcess[str]],
    figures: Callable[..., None],
) -> None:
    root = Path(__file__).resolve().parents[2]
    methods = list(yaml.safe_load((root / "params.yaml").read_text())["methods"]) if long else SMALL["methods"]
    size = {**(LARGE if long else SMALL), "methods": methods, "datasets": ["digits", "digits_mosaic"][: 1 + long]}

    def prepare(folder: Path, **threads: str) -> Path:
        for name in ("fetch", "split", "backbones", "features"):
            stage(folder, name, "quick", **threads)
        return folder

    def copy_of(folder: Path, name: str) -> Path:
        shutil.copytree(folder, tmp_path / name)
        return tmp_path / name

    one = {"OMP_NUM_THREADS": "1", "HASHBENCH_CORES": "1"}
    two = {"OMP_NUM_THREADS": "2", "HASHBENCH_CORES": "2"}
    start = prepare(checkout(tmp_path / "start", **size), **one)
    first = copy_of(start, "first")
    command(first, "python", "-c", FIT_ALL, "8192", **one)
    expected = digests(first)

    def differing(folder: Path) -> list[str]:
        found = digests(folder)
        return [name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)]

    reordered = copy_of(start, "reordered")
    reverse_params(reordered)
    command(reordered, "python", "-c", FIT_ALL, "7", **two)
    assert differing(reordered) == []
    stopped = copy_of(start, "stopped")
    stops = int(command(stopped, "python", "-c", FIT_ALL_INTERRUPTED, **one).stdout)
    assert stops
    assert differing(stopped) == []
    if not long:
        return
    with_two = prepare(checkout(tmp_path / "with_two", **size), **two)
    command(with_two, "python", "-c", FIT_ALL, "100", **{**two, "HASHBENCH_CORES": "3"})
    assert differing(with_two) == []

    codes = sum(name.startswith("results") for name in expected)
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
