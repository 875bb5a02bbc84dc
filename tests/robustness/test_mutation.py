"""The tests notice when a line of the evaluation, the losses or the sorters is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from . import mutation

SOURCE = mutation.ROOT / "src" / "hashbench"
LOSSES, SORTING = SOURCE / "methods" / "losses.py", SOURCE / "methods" / "sorting.py"
EVALUATION = [path for path in sorted((SOURCE / "evaluation").glob("*.py")) if path.stem != "__init__"]
SAMPLE = 40

# Survivors that were looked at, by file, line and mutant: why no test has to notice them.
JUDGED: dict[tuple[str, str], str] = {
    ("evaluation/packing.py", "words = np.zeros((len(array), -(-len(classes) - 16)), np.uint16)"): (
        "more words than needed, all zero: the same result from more memory"
    ),
    (
        "evaluation/rules.py",
        'if array.dtype.kind not in "iu" or array.size <= 0 or array[0] < 1 or array[-1] > n_database:',
    ): "a size is never negative",
    ("evaluation/ranking.py", 'kind: Literal["stable"] | None = "stable" if order is "database" else None'): (
        "texts of the source are one object in CPython"
    ),
    ("methods/sorting.py", "@lru_cache(maxsize= 3)"): "how many networks are kept changes no result",
    (
        "methods/sorting.py",
        'needs_cpu = values.is_cuda or importlib.util.find_spec("torchsort.isotonic_cuda") is None',
    ): "moves to the CPU what is there already; differs on a GPU alone",
    (
        "methods/sorting.py",
        'needs_cpu = values.is_cuda and importlib.util.find_spec("torchsort.isotonic_cuda") is not None',
    ): "differs on a GPU alone",
}


def tried(file: Path, sample: int | None) -> dict[str, Any]:
    """What came of the mutants of a file."""
    command = [sys.executable, mutation.__file__, str(file)]
    command += ["--sample", str(sample)] if sample else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.timeout(7200)
def test_the_tests_kill_mutants(long: bool, figures: Callable[..., None]) -> None:
    pytest.importorskip("cosmic_ray")
    samples = {LOSSES: None, SORTING: None, **dict.fromkeys(EVALUATION, SAMPLE)} if long else {LOSSES: 4}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(tried, samples, samples.values()))
    n_tried = sum(result["tried"] for result in results)
    survivors = [(result["file"], each) for result in results for each in result["survivors"]]
    share = 1 - len(survivors) / n_tried
    figures(
        "mutation",
        title="Mutation testing",
        says="cosmic-ray changed one operator, number or keyword at a time; a mutant is killed where a test of its "
        f"module fails. All mutants of the losses and the sorters, {SAMPLE} of each file of the evaluation, drawn with "
        "a fixed seed.",
        figures={
            "mutants there are": sum(result["mutants"] for result in results),
            "mutants tried": n_tried,
            "killed": n_tried - len(survivors),
            "killed, share": share,
            **{
                result["file"]: f"{result['tried'] - len(result['survivors'])} of {result['tried']}"
                for result in results
            },
            "survivors": len(survivors),
            "survivors judged to do no harm": sum((file, each["mutant"]) in JUDGED for file, each in survivors),
        },
        remarks=[
            f"`{file}` line {each['line']}: `{each['is']}` -> `{each['mutant']}`: "
            + JUDGED.get((file, each["mutant"]), "not judged")
            for file, each in survivors
        ],
    )
    assert share >= 0.85, survivors
