"""Work on several cores."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from hashbench.errors import HashbenchError
from hashbench.execution.processes import run_side_by_side

# Two workers: one in the middle of an item, one that has nothing left to do.
PARENT = """
import time
from pathlib import Path
from hashbench.execution.processes import run_side_by_side

def work(item):
    Path(f"begun-{item}").touch()
    time.sleep(item)

list(run_side_by_side(work, [0, 600], 2))
"""


def refuse_two(item: int) -> None:
    if item == 2:
        raise HashbenchError("not 2")


def test_every_item_is_yielded_once_it_is_done() -> None:
    assert sorted(run_side_by_side(refuse_two, [1, 3, 5], 2)) == [1, 3, 5]


def test_the_error_of_an_item_is_raised() -> None:
    with pytest.raises(HashbenchError, match="not 2"):
        list(run_side_by_side(refuse_two, [1, 2, 3], 2))


def test_workers_end_with_a_parent_that_is_killed_alone(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=tmp_path)
    until = time.monotonic() + 60
    while len(list(tmp_path.glob("begun-*"))) < 2:
        assert parent.poll() is None
        assert time.monotonic() < until, "no worker began"
        time.sleep(0.05)
    workers = psutil.Process(parent.pid).children()
    assert len(workers) == 2
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _, left = psutil.wait_procs(workers, timeout=20)
    for worker in left:
        worker.kill()
    assert not left
