"""`kill -9` of the pipeline at random moments: nothing is lost, nothing done twice, nothing comes out other."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from helpers import content_of_results, differing, environment, run

from hashbench.artefacts import store

STEPS = "hashbench check quick && dvc --wait-for-lock repro"  # what nox runs in its environment


def finished_cells(folder: Path) -> dict[str, list[int]]:
    """When each finished cell's model and codes were written, by the cell's name."""
    times = {}
    for codes in folder.glob("artefacts/quick/fits/methods/*/*.codes.safetensors"):
        cell = codes.name.removesuffix(".codes.safetensors")
        files = [codes, codes.with_name(f"{cell}.model.safetensors")]
        if all(map(store.is_whole, files)):
            times[cell] = [store.sidecar(path).stat().st_mtime_ns for path in files]
    return times


def forget(folder: Path) -> None:
    """Take away all that a pipeline makes."""
    for name in ("artefacts", "results/quick", ".dvc/tmp", ".dvc/cache"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "dvc.lock").unlink()


def kill_after(folder: Path, command: list[str], seconds: float) -> bool:
    """Run the pipeline by `command` and kill its process group after `seconds`; whether it was still at work."""
    pipeline = subprocess.Popen(
        command,
        cwd=folder,
        env=environment(folder),
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
    finished: Callable[[Path], Path],
    whole_checkout: Callable[[Path], Path],
    figures: Callable[..., None],
) -> None:
    pipeline = ["nox", "-s", "reproduce_table1"] if long else ["bash", "-c", STEPS]
    kills, longest = (50, 60.0) if long else (2, 12.0)

    start = time.monotonic()
    if long:
        folder = whole_checkout(tmp_path / "checkout")
        uv = (os.environ.get("UV", "uv"), "sync", "--locked", "--quiet")
        run(folder, *uv, UV_PROJECT_ENVIRONMENT=str(folder / ".venv"), VIRTUAL_ENV="")
        start = time.monotonic()
        run(folder, *pipeline)
    else:
        folder = finished(tmp_path / "checkout")
    seconds = time.monotonic() - start
    expected, cells = content_of_results(folder), len(finished_cells(folder))
    assert "table1.md" in expected

    rng = random.Random(0)
    killed, completed, kept, left, moments = 0, 0, 0, 0, []
    while killed < kills or not completed:
        forget(folder)
        before: dict[str, list[int]] = {}
        at_work = True
        while at_work:
            if killed < kills:
                at_work = kill_after(folder, pipeline, rng.uniform(1, longest))
                killed += at_work
            else:
                run(folder, *pipeline)
                at_work = False
            now = finished_cells(folder)
            assert {name: now.get(name) for name in before} == before, "a finished cell ran again"
            kept += len(before)
            before = now
            moments.append(len(now))
            left = max(left, sum(len(list((folder / part).rglob("*.tmp"))) for part in ("artefacts", "results")))
            print(f"{killed} kills, {len(now)} cells finished", flush=True)
        assert len(now) == cells
        assert differing(expected, content_of_results(folder)) == set()
        completed += 1

    figures(
        "crash",
        title="Crash",
        says=(
            "`nox -s reproduce_table1` (profile `quick`, no results at hand) was killed with its whole process group "
            f"by `kill -9`, each time after a random while between 1 and {longest:.0f} seconds, and run again. A "
            "pipeline that reached its end was compared with one that nobody disturbed, and a new one was begun. "
            f"Undisturbed it takes {seconds:.0f} s for {cells} cells."
        ),
        figures={
            "kills": killed,
            "of these before the first, and after the last cell was finished": (
                f"{moments.count(0)}, {moments.count(cells) - completed}"
            ),
            "pipelines brought to their end": completed,
            "files compared in each": len(expected),
            "files that differ": 0,
            "finished cells seen again after a later kill or run": kept,
            "finished cells that ran a second time": 0,
            "processes that outlived a kill": 0,
            "unfinished files that a kill left behind, at most": left,
        },
        remarks=[
            "DVC writes its table of locks and `dvc.lock` in place, and refuses to start with half of one. `hashbench "
            "check`, which nox runs first, removes such a half; who uses a bare `dvc repro` runs it by hand.",
            "Compared: every file of the results but those of `cost/`, which hold measured seconds.",
        ],
    )
