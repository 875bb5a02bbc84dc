"""What follows from an edit of a checkout whose pipeline was run once."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from helpers import dvc, every_stage, hashbench, make_checkout, run, stages_run
from robustness.staleness.edits import METHODS, SEEDS, Edit

_CELLS = re.compile(r"^fit (\w+): (\d+) cells fitted, (\d+) kept$", re.MULTILINE)
_CLEAN = "results/quick: {cells} of {cells} runs recomputed from their codes, no differences"
_HOUR = 3600


@dataclass(frozen=True)
class Outcome:
    """What an edit led to: stages run; cells fitted and kept by method; what was not as the edit says, in words."""

    stages: frozenset[str]
    cells: dict[str, tuple[int, int]]
    faults: tuple[str, ...]


def run_once(folder: Path) -> Path:
    """A small checkout of which DVC knows that all is up to date."""
    make_checkout(folder, METHODS, seeds=SEEDS)
    every_stage(folder)
    dvc(folder, "commit", "--force", "--quiet", timeout=_HOUR)
    return folder


def follow(edit: Edit, base: Path, folder: Path, from_scratch: bool) -> Outcome:
    """Make an edit in a copy of `base`, let verify and DVC say what they see, and DVC run what it must.

    `from_scratch`: hold the results against those of a checkout that never knew anything else.
    """
    shutil.copytree(base, folder, symlinks=True)
    edit.apply(folder)
    faults = [*_told_before(edit, folder)]
    if "up to date" in dvc(folder, "status", timeout=_HOUR):
        faults.append("dvc status is empty")
    done = run(folder, "dvc", "repro", timeout=_HOUR)
    stages = frozenset(stages_run(done.stdout))
    cells = {method: (int(fitted), int(kept)) for method, fitted, kept in _CELLS.findall(done.stdout + done.stderr)}
    if stages != edit.runs:
        faults.append(f"ran {sorted(stages - edit.runs)} needlessly, did not run {sorted(edit.runs - stages)}")
    if cells != edit.cells:
        faults.append(f"fitted {cells}, not {edit.cells}")
    said = hashbench(folder, "verify", "results/quick", status=None, timeout=_HOUR).stdout
    if not said.splitlines() or "no differences" not in said.splitlines()[-1]:
        faults.append(f"verify afterwards: {said}")
    if from_scratch:
        faults += [f"{name} is not as from scratch" for name in _differing(edit, base, folder)]
    shutil.rmtree(folder)
    return Outcome(stages, cells, tuple(f"{edit.name}: {fault}" for fault in faults))


def _told_before(edit: Edit, folder: Path) -> list[str]:
    """What is wrong with what verify says of results that are stale, or are not."""
    done = hashbench(folder, "verify", "results/quick", status=None, timeout=_HOUR)
    expected = 1 if edit.says and not edit.says.startswith("note:") else 0
    if done.returncode == expected and edit.says in done.stdout:
        return []
    return [f"verify before: status {done.returncode}, {done.stdout}{done.stderr}"]


def _differing(edit: Edit, base: Path, folder: Path) -> list[str]:
    """The results that are other bytes than a run from scratch gives, but for seconds."""
    scratch = folder.with_name(f"{folder.name}-scratch")
    shutil.copytree(base, scratch, symlinks=True)
    for made in ("artefacts", "results/quick", ".dvc/cache"):
        shutil.rmtree(scratch / made)
    edit.apply(scratch)
    every_stage(scratch)
    found, expected = results_of(folder), results_of(scratch)
    shutil.rmtree(scratch)
    return sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))


def results_of(folder: Path) -> dict[str, bytes]:
    """Every file of the results by name, but for those that hold seconds."""
    results = folder / "results" / "quick"
    paths = {path.relative_to(results).as_posix(): path for path in sorted(results.rglob("*")) if path.is_file()}
    return {name: path.read_bytes() for name, path in paths.items() if not name.startswith("cost/")}
