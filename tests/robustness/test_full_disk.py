"""A full disk and a read-only cache: one clear sentence, and a rerun that ends as if nothing had been."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import content_of_results, make_checkout, run, stage

STAGES = ("params", "fetch", "split", "backbones", "features", "fit", "evaluate", "report")

# Every stage of a pipeline twice in one process: with room for a kilobyte a file, then with all the room it wants.
EVERY_STAGE_TWICE = """
import resource
from hashbench.stages import backbones, evaluate, features, fetch, fit, params, report, split
from hashbench.execution.command import run_guarded

def status(stage, *arguments, room):
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    return run_guarded(lambda: stage.main("quick", *arguments))

for stage in (params, fetch, split, backbones, features, fit, evaluate, report):
    arguments = {fit: ["methods", "lsh"], evaluate: ["methods"], report: ["methods"]}.get(stage, [])
    print(stage.__name__.rpartition(".")[2], status(stage, *arguments, room=1000), flush=True)
    assert status(stage, *arguments, room=resource.RLIM_INFINITY) == 0
"""


def sentences(text: str) -> list[str]:
    """What hashbench said to the user."""
    return [line for line in text.splitlines() if line.startswith("hashbench: ")]


def test_every_stage_names_the_file_that_found_no_room_and_then_runs(tmp_path: Path) -> None:
    folder = make_checkout(tmp_path / "limited", ["lsh"])
    done = run(folder, sys.executable, "-c", EVERY_STAGE_TWICE, OMP_NUM_THREADS="1")
    assert done.stdout.split() == [word for stage in STAGES for word in (stage, "2")]
    said = sentences(done.stderr)
    assert len(said) == len(STAGES)
    # Numba, whose cache finds no room in evaluate, names no file.
    of_a_file = re.compile(r"hashbench: File too large: ((artefacts|results)/quick/\S+|disk); mend it and run again")
    assert [sentence for sentence in said if not of_a_file.fullmatch(sentence)] == [], done.stderr
    assert "Traceback" not in done.stderr
    assert not list(folder.rglob("*.tmp"))
    assert (folder / "results" / "quick" / "table1.md").is_file()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MiB of its own."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    if os.geteuid() or mount("-t", "tmpfs", "-o", "size=64m", "tmpfs", mounted):
        pytest.skip("needs the right to mount a file system")
    yield mounted
    subprocess.run(["umount", "--lazy", mounted], check=True)


def mount(*arguments: str | Path) -> int:
    """Run mount; its exit status."""
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode


def test_a_read_only_cache_is_said_and_outlived(disk: Path) -> None:
    folder = make_checkout(disk / "checkout", ["lsh"])
    assert mount("-o", "remount,ro", disk) == 0
    failed = stage(folder, "params", status=2)
    assert failed.stderr.splitlines() == ["hashbench: Read-only file system: artefacts; mend it and run again"]
    assert mount("-o", "remount,rw", disk) == 0
    stage(folder, "params")


@pytest.mark.slow
def test_a_pipeline_outlives_a_full_disk_and_a_read_only_one(
    tmp_path: Path, disk: Path, long: bool, figures: Callable[..., None]
) -> None:
    if not long:
        pytest.skip("the short form is the tests above")
    undisturbed = make_checkout(tmp_path / "undisturbed", ["lsh"])
    code = size_of(undisturbed)
    run(undisturbed, "dvc", "repro")
    expected, needed = content_of_results(undisturbed), size_of(undisturbed) - code

    ballast, said, stopped = disk / "ballast", [], 0
    rooms = [int(needed * part) for part in (0.0, 0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95)]
    for room in rooms:
        folder = make_checkout(disk / "checkout", ["lsh"])
        fill(ballast, room)
        failed = run(folder, "dvc", "repro", status=None)
        ballast.unlink()
        if failed.returncode:
            stopped += 1
            assert "Traceback" not in failed.stdout + failed.stderr
            said.append(sentences(failed.stderr) or failed.stderr.strip().splitlines()[-1:])
            assert re.search(r"No space left on device", failed.stdout + failed.stderr), failed.stderr
        run(folder, "dvc", "repro")
        assert content_of_results(folder) == expected
        shutil.rmtree(folder)

    folder = make_checkout(disk / "checkout", ["lsh"])
    run(folder, "dvc", "repro")
    assert mount("-o", "remount,ro", disk) == 0
    failed = run(folder, "dvc", "repro", "--force", status=None)
    assert failed.returncode
    assert "Read-only file system" in failed.stdout + failed.stderr
    assert mount("-o", "remount,rw", disk) == 0
    run(folder, "dvc", "repro")
    assert content_of_results(folder) == expected

    by_us = sum(bool(sentence and sentence[0].startswith("hashbench: ")) for sentence in said)
    figures(
        "full_disk",
        title="Full disk, read-only cache",
        says=(
            "Every stage of a small pipeline (one method, one data set) ran once with a kilobyte of room a file. Then "
            f"`dvc repro` ran in a checkout on a file system with 0 to 95 % of the {needed / 2**20:.1f} MiB "
            "that it needs, and on one mounted read-only; each time it was given its room back and run again."
        ),
        figures={
            "stages that end with exit status 2 and one sentence": len(STAGES),
            "pipelines that a full disk stopped": stopped,
            "of these, told by hashbench": by_us,
            "of these, told by DVC alone (its own files found no room)": stopped - by_us,
            "tracebacks": 0,
            "reruns whose results are the undisturbed ones, byte by byte": len(rooms) + 1,
            "reruns that failed": 0,
        },
        remarks=["The sentence names the file; where it is Numba's cache of compiled code, it says only `disk`."],
    )


def size_of(folder: Path) -> int:
    """The bytes of all files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def fill(ballast: Path, room: int) -> None:
    """Fill the disk of `ballast` with it but for `room` bytes."""
    free = shutil.disk_usage(ballast.parent).free - room
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(free, 1))
