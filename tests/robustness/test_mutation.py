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

# Survivors that were looked at, by file and by what the line is or becomes: why no test has to notice them.
JUDGED: tuple[tuple[str, str, str], ...] = (
    ("methods/sorting.py", "@lru_cache(maxsize=", "how many networks are kept changes no result"),
    ("methods/sorting.py", "needs_cpu", "differs on a GPU alone"),
    ("methods/sorting.py", "abs().sum(dim= 1)", "the matrix of absolute differences is symmetric"),
    ("methods/sorting.py", "_SINKHORN_STEPS", "one step more or less moves a plan that has converged by rounding"),
    ("evaluation/command.py", "_MAX_RATIO = ", "where exactly a bomb begins is a matter of taste"),
    ("evaluation/command.py", "_RATIO_FROM", "where exactly a bomb begins is a matter of taste"),
    ("evaluation/command.py", "missing[ -1]", "names another of the arrays that are missing"),
    ("evaluation/command.py", ' is "zero"', "texts of the source are one object in CPython"),
    ("evaluation/command.py", '>= "zero"', "the two words compare like this"),
    ("evaluation/command.py", "else -1.0", "codes of one bit are refused before"),
    ("evaluation/command.py", "/, as_json", "more ways to call it"),
    ("evaluation/command.py", "type(error).__name__", "the reason in other words"),
    ("evaluation/hamming.py", "_BLOCK", "a cell would have to hold every item of a block"),
    ("evaluation/hamming.py", "nogil=False", "moves time alone"),
    (
        "evaluation/hamming.py",
        "stop = start",
        "compiled code reads on past a slice, where the same items lie",
    ),
    ("evaluation/hamming.py", "(( 257, 256)", "a row more than is used"),
    ("evaluation/hamming_torch.py", "_AT_A_TIME", "moves memory and time alone"),
    ("evaluation/hamming_torch.py", "n_bits | 1", "the same number for every even code length"),
    ("evaluation/metrics.py", "mode = ", "where a sum starts moves time and rounding alone"),
    (
        "evaluation/packing.py",
        "words = np.zeros(",
        "more words than needed, all zero: the same result from more memory",
    ),
    ("evaluation/packing.py", "array.size == 0 and", "what is left out is a short cut"),
    ("evaluation/packing.py", "reshape(- 2)", "NumPy takes every negative length for the one that is left open"),
    ("evaluation/packing.py", "if len(codes) < 0", "an empty array is refused a few lines further, in other words"),
    ("evaluation/protocol.py", 'rules.order is "random"', "texts of the source are one object in CPython"),
    ("evaluation/protocol.py", 'rules.order >= "random"', "the three words compare like this"),
    ("evaluation/ranking.py", "order is ", "texts of the source are one object in CPython"),
    ("evaluation/ranking.py", "order >= ", "the words that arrive there compare like this"),
    ("evaluation/rules.py", "array.size <= 0", "a size is never negative"),
    ("evaluation/rules.py", "frozen=False", "nobody writes to it"),
    ("evaluation/rules.py", "rank < n_database", "the last rank is added behind in any case"),
    ("evaluation/significance.py", "_DRAWS_AT_A_TIME", "the draws are the same in blocks of any size"),
    ("evaluation/statistics.py", "_ROWS_AT_A_TIME", "moves memory alone"),
)


def judgement(file: str, survivor: dict[str, Any]) -> str | None:
    """Why a survivor does no harm, where somebody has said so."""
    line = f"{survivor['is']} -> {survivor['mutant']}"
    return next((why for where, part, why in JUDGED if where == file and part in line), None)


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
            "survivors judged to do no harm": sum(judgement(file, each) is not None for file, each in survivors),
        },
        remarks=[
            f"`{file}` line {each['line']}: `{each['is']}` -> `{each['mutant']}`: "
            + (judgement(file, each) or "a gap in the tests")
            for file, each in survivors
        ],
    )
    assert share >= 0.85, survivors
