"""Two at once on one checkout: the second waits or says who is at work, and what comes out is what one would make."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import ROOT, content_of_results, differing, environment, make_checkout, run

from hashbench.artefacts import store
from hashbench.artefacts.layout import Layout
from hashbench.execution.locks import holding

HOLD = "from pathlib import Path; import sys, time; from hashbench.execution.locks import holding\n"
HOLD += "with holding(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"


def start(folder: Path, *command: str) -> subprocess.Popen[str]:
    """Start a command in a checkout."""
    return subprocess.Popen(
        command, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def start_stage(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a stage of the profile `quick` in a checkout."""
    name, *more = arguments
    return start(folder, sys.executable, "-m", f"hashbench.stages.{name}", "quick", *more)


def test_the_second_says_who_is_at_work_and_waits(tmp_path: Path, finished: Callable[[Path], Path]) -> None:
    folder = finished(tmp_path / "checkout")
    with holding(Layout("quick", root=folder).lock("fetch")):
        second = start_stage(folder, "fetch")
        assert second.stdout is not None
        said = second.stdout.readline()
        assert re.search(r"artefacts/quick/locks/fetch\.lock is held by process \d+ on \S+: .*; waiting", said)
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(timeout=1)
    assert second.wait(timeout=120) == 0


def test_a_lock_ends_with_its_holder(tmp_path: Path) -> None:
    holder = start(ROOT, sys.executable, "-c", HOLD, str(tmp_path / "x.lock"))
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    holder.send_signal(signal.SIGKILL)
    holder.wait(timeout=30)
    with holding(tmp_path / "x.lock"):
        pass


def fits(folder: Path) -> dict[str, bytes]:
    """The models and codes of a checkout."""
    found = folder.glob("artefacts/quick/fits/**/*.safetensors")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@pytest.mark.slow
def test_two_at_once_leave_what_one_leaves(
    tmp_path: Path, long: bool, finished: Callable[[Path], Path], figures: Callable[..., None]
) -> None:
    alone = finished(tmp_path / "alone")
    expected = content_of_results(alone)
    pairs, pipelines, waited, refused = (5, 4, 0, 0) if long else (1, 0, 0, 0)
    for number in range(pairs):
        folder = tmp_path / f"fits-{number}"
        shutil.copytree(alone, folder, symlinks=True)
        shutil.rmtree(folder / "artefacts/quick/fits/methods/nsh")
        two = [start_stage(folder, "fit", "methods", "nsh") for _ in range(2)]
        said = [process.communicate(timeout=250)[0] for process in two]
        assert [process.returncode for process in two] == [0, 0], said
        done = sorted(re.findall(r"(\d) cells fitted, (\d) kept", "".join(said)))
        assert done == [("0", "2"), ("2", "0")], said
        waited += "waiting" in "".join(said)
        assert len(fits(folder)) == 8
        assert differing(fits(alone), fits(folder)) == set()
        assert all(map(store.is_whole, folder.glob("artefacts/quick/fits/methods/nsh/*.safetensors")))

    for number in range(pipelines):
        folder = make_checkout(tmp_path / f"pipelines-{number}", ["nsh", "lsh"], bits=[16, 32])
        two = [start(folder, "dvc", "repro") for _ in range(2)]
        said = [process.communicate(timeout=600)[0] for process in two]
        assert any(process.returncode == 0 for process in two), said
        for process, text in zip(two, said, strict=True):
            assert "Traceback" not in text
            if process.returncode:
                refused += 1
                assert re.search(r"is busy|[Ll]ock", text), text
        run(folder, "dvc", "repro")
        assert differing(expected, content_of_results(folder)) == set()

    figures(
        "concurrency",
        title="Two at once",
        says=(
            "Two processes of one fit were started at the same moment on one checkout, and two `dvc repro` likewise; "
            "the codes, the tables and everything else that holds no seconds was compared with what one process leaves."
        ),
        figures={
            "pairs of fits": pairs,
            "of these in which the second named the first and waited": waited,
            "cells fitted twice": 0,
            "pairs of `dvc repro`": pipelines,
            "of these in which DVC refused one of the two and named the lock": refused,
            "deadlocks": 0,
            "results that differ": 0,
        },
        remarks=[
            "With nox the second pipeline waits for DVC's own lock (`dvc --wait-for-lock`). While a stage runs, DVC "
            "gives that lock away and holds the stage's files only: a second `dvc repro` that needs them ends with a "
            "sentence that names the process; run it again when that has ended.",
        ],
    )
