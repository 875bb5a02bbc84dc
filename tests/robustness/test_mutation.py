"""The tests notice when a line of the evaluation, the losses or the sorters is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from . import mutation

SOURCE = mutation.ROOT / "src" / "hashbench"
LOSSES, SORTING = SOURCE / "learning" / "losses.py", SOURCE / "learning" / "sorting.py"
EVALUATION = [path for path in sorted((SOURCE / "evaluation").glob("*.py")) if path.stem != "__init__"]
SAMPLE = 40

JUDGED = yaml.safe_load((Path(__file__).parent / "judged.yaml").read_text(encoding="utf-8"))


def judgement(file: str, mutant: str) -> str | None:
    """Why a mutant that survives does no harm, where somebody has said so."""
    return next((why for why, mutants in JUDGED.get(file, {}).items() if mutant in mutants), None)


@pytest.mark.timeout(7200)
def test_the_tests_kill_mutants(
    long: bool, results_of: Callable[..., list[dict[str, Any]]], figures: Callable[..., None]
) -> None:
    pytest.importorskip("cosmic_ray")
    some = ["--sample", str(SAMPLE)]
    samples = {LOSSES: [], SORTING: [], **dict.fromkeys(EVALUATION, some)} if long else {LOSSES: ["--sample", "4"]}
    results = results_of(mutation.__file__, [[str(file), *size] for file, size in samples.items()])
    n_tried = sum(result["tried"] for result in results)
    survivors = [(result["file"], each) for result in results for each in result["survivors"]]
    share = 1 - len(survivors) / n_tried
    judged = [judgement(file, each["mutant"]) for file, each in survivors]
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
            "survivors judged to do no harm": sum(why is not None for why in judged),
        },
        remarks=[
            f"`{file}` line {each['line']}: `{each['is']}` -> `{each['mutant']}`: {why or 'a gap in the tests'}"
            for (file, each), why in zip(survivors, judged, strict=True)
        ],
    )
    assert share >= 0.85, survivors
