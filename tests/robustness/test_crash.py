"""`kill -9` of the pipeline at random moments: nothing is lost, nothing done twice, nothing comes out other."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from hashbench import store
from hashbench.commands.mend import remove_half_written
from hashbench.layout import Layout, cells_of
from hashbench.params import load_params

SMALL = {"methods": ["nsh", "lsh"], "datasets": ["digits"], "bits": [16, 32], "seeds": [0], "epochs": 1}
LARGE = {
    "methods": ["nsh", "contrastive", "sgh", "lsh", "itq"],
    "datasets": ["digits", "digits_mosaic"],
    "bits": [16, 32],
    "seeds": [0, 1],
    "epochs": 2,
}


def finished(folder: Path) -> dict[str, list[int]]:
    """When each finished cell's model and codes were written, by the cell's name."""
    params, layout = load_params(folder / "params.yaml"), Layout("quick", root=folder)
    times = {}
    for method in params.methods:
        for cell in cells_of(params, "quick", method):
            files = [layout.model(cell), layout.codes(cell)]
            if all(map(store.is_whole, files)):
                times[cell.name] = [store.sidecar(path).stat().st_mtime_ns for path in files]
    return times


def kill_after(folder: Path, seconds: float, environment: dict[str, str]) -> bool:
    """Run the pipeline and kill its process group after `seconds`; whether it was still at work."""
    pipeline = subprocess.Popen(
        ["dvc", "repro"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = pipeline.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(pipeline.pid, signal.SIGKILL)
        pipeline.communicate()
        assert not [process for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == str(folder)]
        return True
    assert pipeline.returncode == 0, f"a run after a kill failed:\n{output}"
    return False


@pytest.mark.slow
def test_a_killed_pipeline_goes_on(
    tmp_path: Path,
    long: bool,
    checkout: Callable[..., Path],
    dvc: Callable[..., object],
    variables: Callable[..., dict[str, str]],
    untimed: Callable[[Path], dict[str, bytes]],
    figures: Callable[..., None],
) -> None:
    size, kills = (LARGE, 50) if long else (SMALL, 2)
    longest = 30.0 if long else 12.0
    undisturbed = checkout(tmp_path / "undisturbed", **size)
    start = time.monotonic()
    dvc(undisturbed, "repro")
    seconds = time.monotonic() - start
    expected, cells = untimed(undisturbed), len(finished(undisturbed))
    assert "table1.md" in expected

    rng = random.Random(0)
    killed, completed, attempt, kept, left, halves = 0, 0, 0, 0, 0, 0
    while killed < kills or not completed:
        folder = checkout(tmp_path / f"killed-{attempt}", **size)
        attempt += 1
        before: dict[str, list[int]] = {}
        while killed < kills:
            halves += len(remove_half_written(folder))
            at_work = kill_after(folder, rng.uniform(1, longest), variables(folder))
            killed += at_work
            now = finished(folder)
            assert {name: now.get(name) for name in before} == before, "a finished cell ran again"
            kept += len(before)
            before = now
            print(f"{killed} kills, {len(now)} cells finished", flush=True)
            left = max(left, len(list(folder.rglob("*.tmp"))))
            if not at_work:
                break
        halves += len(remove_half_written(folder))  # as `hashbench check` does, which nox runs first
        dvc(folder, "repro")
        now = finished(folder)
        assert {name: now.get(name) for name in before} == before, "a finished cell ran again"
        assert len(now) == cells
        found = untimed(folder)
        assert {name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)} == set()
        completed += 1

    figures(
        "crash",
        title="Crash",
        says=(
            "`dvc repro`, which is what `nox -s reproduce_table1` runs, was killed with its whole process group by "
            f"`kill -9`, each time after a random while between 1 and {longest:.0f} seconds, and run again. A "
            "pipeline that reached its end was compared with one that nobody disturbed, and a new one was begun. The "
            f"profile is `quick` cut down to {len(size['methods'])} methods ({', '.join(size['methods'])}), "
            f"{' and '.join(map(str, size['bits']))} bits, {len(size['seeds'])} seeds and {size['epochs']} epochs of "
            f"every training: {cells} cells, {seconds:.0f} s undisturbed."
        ),
        figures={
            "kills": killed,
            "pipelines brought to their end": completed,
            "files compared in each": len(expected),
            "files that differ": 0,
            "finished cells seen again after a later kill or run": kept,
            "finished cells that ran a second time": 0,
            "processes that outlived a kill": 0,
            "unfinished files that a kill left behind, at most": left,
            "files of DVC left half written": halves,
        },
        remarks=[
            "DVC writes its table of locks and `dvc.lock` in place, and refuses to start with half of one (seen once, "
            "in an earlier series that ended at its 17th kill). `hashbench check` removes them; nox runs it first, and "
            "who uses a bare `dvc repro` runs it by hand.",
            "Compared: tables, codes, per-query files, splits, SVG figures and their data, and, without their seconds, "
            "run records and sidecars. Not compared, for they show measured seconds: `table3.*`, `report.html`, the "
            "figure of time against quality; nor PNG figures.",
        ],
    )
