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

from hashbench import store
from hashbench.layout import Layout
from hashbench.stages.lock import holding

SIZE = {"methods": ["nsh", "lsh"], "datasets": ["digits"], "bits": [16, 32], "seeds": [0], "epochs": 1}
HOLD = "from pathlib import Path; import sys, time; from hashbench.stages.lock import holding\n"
HOLD += "with holding(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"


def start(folder: Path, environment: dict[str, str], *command: str) -> subprocess.Popen[str]:
    """Start a command in a checkout."""
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_the_second_says_who_is_at_work_and_waits(
    tmp_path: Path, checkout: Callable[..., Path], variables: Callable[..., dict[str, str]]
) -> None:
    folder = checkout(tmp_path / "checkout", **SIZE)
    with holding(Layout("quick", root=folder).lock("fetch")):
        second = start(folder, variables(folder), sys.executable, "-m", "hashbench.stages.fetch", "quick")
        assert second.stdout is not None
        said = second.stdout.readline()
        assert re.search(r"artefacts/quick/locks/fetch\.lock is held by process \d+ on \S+: .*; waiting", said)
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(timeout=1)
    assert second.wait(timeout=120) == 0


def test_a_lock_ends_with_its_holder(tmp_path: Path, variables: Callable[..., dict[str, str]]) -> None:
    root = Path(__file__).resolve().parents[2]
    holder = start(root, variables(root), sys.executable, "-c", HOLD, str(tmp_path / "x.lock"))
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    holder.send_signal(signal.SIGKILL)
    holder.wait(timeout=30)
    with holding(tmp_path / "x.lock"):
        pass


@pytest.mark.slow
def test_two_at_once_leave_what_one_leaves(
    tmp_path: Path,
    long: bool,
    checkout: Callable[..., Path],
    variables: Callable[..., dict[str, str]],
    dvc: Callable[..., subprocess.CompletedProcess[str]],
    every_stage: Callable[[Path], str],
    untimed: Callable[[Path], dict[str, bytes]],
    figures: Callable[..., None],
) -> None:
    alone = checkout(tmp_path / "alone", **SIZE)
    every_stage(alone)
    expected = untimed(alone)
    fits, pipelines, waited, refused = (5, 4, 0, 0) if long else (1, 0, 0, 0)
    for number in range(fits):
        folder = tmp_path / f"fits-{number}"
        shutil.copytree(alone, folder)
        for path in ("results/quick/codes", "artefacts/quick/models"):
            shutil.rmtree(folder / path)
        fit = (sys.executable, "-m", "hashbench.stages.fit", "quick", "nsh")
        two = [start(folder, variables(folder), *fit) for _ in range(2)]
        said = [process.communicate(timeout=250)[0] for process in two]
        assert [process.returncode for process in two] == [0, 0], said
        done = sorted(re.findall(r"(\d) cells fitted, (\d) kept", "".join(said)))
        assert done == [("0", "2"), ("2", "0")], said
        waited += "waiting" in "".join(said)
        codes = {name: content for name, content in expected.items() if name.startswith("codes/nsh")}
        assert len(codes) == 4
        assert untimed(folder) == {**{n: c for n, c in expected.items() if not n.startswith("codes/")}, **codes}
        assert all(map(store.is_whole, folder.glob("results/quick/codes/nsh/*.safetensors")))

    for number in range(pipelines):
        folder = checkout(tmp_path / f"pipelines-{number}", **SIZE)
        two = [start(folder, variables(folder), "dvc", "repro") for _ in range(2)]
        said = [process.communicate(timeout=600)[0] for process in two]
        assert any(process.returncode == 0 for process in two), said
        for process, text in zip(two, said, strict=True):
            assert "Traceback" not in text
            if process.returncode:
                refused += 1
                assert re.search(r"is busy|[Ll]ock", text), text
        dvc(folder, "repro")
        assert untimed(folder) == expected

    figures(
        "concurrency",
        title="Two at once",
        says=(
            "Two processes of one fit were started at the same moment on one checkout, and two `dvc repro` likewise; "
            "the codes, the tables and everything else that holds no seconds was compared with what one process leaves."
        ),
        figures={
            "pairs of fits": fits,
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
