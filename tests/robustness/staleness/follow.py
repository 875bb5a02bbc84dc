"""What follows from an edit of a checkout whose pipeline was run once."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from helpers import content_of_results, differing, dvc, every_stage, hashbench, make_checkout, run_warm, stages_run
from robustness.staleness.edits import METHODS, SEEDS, Edit

_CELLS = re.compile(r"^fit (\w+): (\d+) cells fitted, (\d+) kept$", re.MULTILINE)
_MADE = ("artefacts", "dvc.lock", "results/quick", ".dvc/cache", ".dvc/tmp")


@dataclass(frozen=True)
class Outcome:
    """What an edit led to: what verify said before, in a word; stages run; by method, cells fitted and kept; what was
    not as the edit says, in words."""

    told: str
    stages: list[str]
    cells: dict[str, list[int]]
    faults: list[str]

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def run_once(folder: Path) -> Path:
    """A small checkout of which DVC knows that all is up to date."""
    make_checkout(folder, METHODS, seeds=SEEDS)
    draw_one_figure_alone(folder)
    every_stage(folder)
    dvc(folder, "commit", "--force", "--quiet")
    return folder


def draw_one_figure_alone(folder: Path) -> None:
    """Let the report of a checkout have one figure: drawing all takes longer than everything else."""
    path = folder / "src" / "hashbench" / "report" / "figures" / "registry.py"
    text = path.read_text(encoding="utf-8")
    one = "_frozen(tie_spread(results, look))"
    without, count = re.subn(r"_frozen\(\n        map_by_bits.*?\n    \)", one, text, flags=re.DOTALL)
    assert count == 1
    replaced = without.replace("return _frozen(time_and_quality(results, looks(results), bundle.seconds))", "return []")
    assert replaced != without
    path.write_text(replaced, encoding="utf-8")


def follow(edit: Edit, base: Path, folder: Path, from_scratch: bool) -> Outcome:
    """Make an edit in a copy of `base`, let verify and DVC say what they see, and DVC run what it must.

    `from_scratch`: hold the results against those of a checkout that never knew anything else. An edit that decides
    nothing leaves those of `base`; `from_scratch_with` tells of all such edits at once whether these are right.
    """
    copy_checkout(base, folder)
    edit.apply(folder)
    told, faults = _told_before(edit, folder)
    if "up to date" in dvc(folder, "status"):
        faults.append("dvc status is empty")
    done = run_warm(folder, "dvc", "repro")
    stages = stages_run(done.stdout)
    cells = {method: (int(fitted), int(kept)) for method, fitted, kept in _CELLS.findall(done.stdout + done.stderr)}
    if {*stages} != edit.runs:
        faults.append(f"ran {sorted({*stages} - edit.runs)} needlessly, did not run {sorted(edit.runs - {*stages})}")
    if cells != edit.cells:
        faults.append(f"fitted {cells}, not {edit.cells}")
    said = hashbench(folder, "verify", "results/quick", status=None).stdout
    if not said.splitlines() or "no differences" not in said.splitlines()[-1]:
        faults.append(f"verify afterwards: {said}")
    if from_scratch:
        expected = content_of_results(base) if edit.decides_nothing else from_scratch_with([edit], base, folder)
        faults += [f"{name} is not as from scratch" for name in differing(content_of_results(folder), expected)]
    shutil.rmtree(folder)
    return Outcome(told, stages, {method: [*pair] for method, pair in cells.items()}, faults)


def _told_before(edit: Edit, folder: Path) -> tuple[str, list[str]]:
    """What verify says of results that are stale, or are not, in a word; and what is wrong with it."""
    done = hashbench(folder, "verify", "results/quick", status=None)
    is_note = edit.says.startswith("note:")
    told = "a note" if is_note else "named" if edit.says else "nothing"
    if done.returncode == int(told == "named") and edit.says in done.stdout:
        return told, []
    return told, [f"verify before: status {done.returncode}, {done.stdout}{done.stderr}"]


def from_scratch_with(edits: Iterable[Edit], base: Path, folder: Path) -> dict[str, bytes]:
    """The results of a checkout that was made with these edits and never knew anything else."""
    scratch = folder.with_name(f"{folder.name}-scratch")
    made = {base / place for place in _MADE}
    shutil.copytree(
        base, scratch, symlinks=True, ignore=lambda at, names: {name for name in names if Path(at, name) in made}
    )
    (scratch / ".dvc" / "tmp").mkdir()
    for edit in edits:
        edit.apply(scratch)
    every_stage(scratch)
    found = content_of_results(scratch)
    shutil.rmtree(scratch)
    return found


def copy_checkout(checkout: Path, folder: Path) -> None:
    """Copy a checkout; the files of DVC's cache, which nothing writes to, are linked."""
    cache = checkout / ".dvc" / "cache"
    shutil.copytree(
        checkout, folder, symlinks=True, ignore=lambda at, names: {name for name in names if Path(at, name) == cache}
    )
    shutil.copytree(cache, folder / ".dvc" / "cache", copy_function=os.link)


def in_short(stages: Iterable[str]) -> str:
    """Names of stages, in the pipeline's order, for a table: one name for the fits of all methods, none for `params`,
    which every change of a source file, of a value or of uv.lock runs."""
    fitted = sorted(name.removeprefix("fit@") for name in stages if name.startswith("fit@"))
    of_fits = "fit" if {*fitted} >= {*METHODS} else f"fit {' '.join(fitted)}"
    order = ("fetch", "split", "backbones", "features", "fit", "evaluate", "report")
    run = [of_fits if name == "fit" else name for name in order if name in stages or (name == "fit" and fitted)]
    return ", ".join(run) or "nothing"
