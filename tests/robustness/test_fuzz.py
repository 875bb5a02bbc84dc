"""Parsers of files that others write: a fuzzer finds no input that is neither taken nor refused with one sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from . import fuzz

FOUND = [(path.parent.name, path) for path in sorted(fuzz.FOUND.glob("*/*"))]
SAYS = {
    "params": "params.yaml, half as raw bytes, half as edits of a valid file",
    "record": "a run record, half as raw bytes, half as edits of a valid record",
    "codes": "a codes file for `hashbench evaluate`, half as raw bytes, half zipped after mutation",
    "published": "published.csv, as raw bytes",
}


@pytest.mark.parametrize(("target", "path"), FOUND, ids=lambda value: getattr(value, "name", value))
def test_what_the_fuzzer_found_stays_mended(tmp_path: Path, target: str, path: Path) -> None:
    assert fuzz.complaint(target, path.read_bytes(), tmp_path) is None


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_the_inputs_that_fuzzing_starts_from_are_taken_or_refused(tmp_path: Path, target: str) -> None:
    for mutated in fuzz.seeds(target):
        content = fuzz.as_file(target, mutated)
        assert fuzz.complaint(target, content, tmp_path) is None, content[:200]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_coverage_guided_fuzzing_finds_nothing(long: bool, figures: Callable[..., None], target: str) -> None:
    if not long:
        pytest.skip("fuzzing is for `nox -s robustness`; what it found before is tried above")
    pytest.importorskip("atheris")
    minutes = 10
    command = [sys.executable, fuzz.__file__, target, "--minutes", str(minutes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    figures(
        f"fuzzing_{target}",
        title=f"Fuzzing: {target}",
        says=f"atheris (libFuzzer) wrote {SAYS[target]}. A finding is an input that ends in anything but a result or "
        "a `HashbenchError` of one printable line within 3 seconds.",
        figures={
            "minutes": minutes,
            "inputs": said["inputs"],
            "branches reached in Python code": said["edges"],
            "findings": len(said["findings"]),
            "inputs found before, kept as tests": sum(name == target for name, _ in FOUND),
        },
    )
    assert not said["findings"]
