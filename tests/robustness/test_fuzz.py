"""Parsers of files that others write: a fuzzer finds no input that is neither taken nor refused with one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from . import fuzz

FOUND = [(path.parent.name, path) for path in sorted(fuzz.FOUND.glob("*/*"))]
MINUTES = 10
SAYS = {
    "params": "params.yaml, half as raw bytes, half as edits of a valid file",
    "record": "a line of records.jsonl, half as raw bytes, half as edits of a valid record",
    "queries": "a sealed file of tensors, half as raw bytes, half as edits of a valid header, sealed after mutation",
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


@pytest.mark.timeout(5000)
def test_coverage_guided_fuzzing_finds_nothing(
    long: bool, results_of: Callable[..., list[dict[str, Any]]], figures: Callable[..., None]
) -> None:
    if not long:
        pytest.skip("fuzzing is for `nox -s robustness`; what it found before is tried above")
    pytest.importorskip("atheris")
    each = results_of(fuzz.__file__, [[target, "--minutes", str(MINUTES)] for target in SAYS])
    said = dict(zip(SAYS, each, strict=True))
    rows: dict[str, int] = {}
    for target, of in said.items():
        rows[f"{target}: inputs in {MINUTES} minutes"] = of["inputs"]
        rows[f"{target}: branches reached in Python code"] = of["edges"]
        rows[f"{target}: findings"] = len(of["findings"])
        rows[f"{target}: inputs found before, kept as tests"] = sum(name == target for name, _ in FOUND)
    figures(
        "fuzzing",
        title="Fuzzing",
        says="atheris (libFuzzer) wrote files and looked for those that reach new branches. A finding is one that ends "
        "in anything but a result or a `HashbenchError` of one printable line within 3 seconds of CPU time.",
        figures=rows,
        remarks=[f"{target}: {kind}." for target, kind in SAYS.items()],
    )
    assert not [finding for of in said.values() for finding in of["findings"]]
