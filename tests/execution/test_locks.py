"""One writer at a time, whatever becomes of the one that holds the lock."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hashbench.execution.locks import holding

HOLD = """
import sys, time
from pathlib import Path
from hashbench.execution.locks import holding
with holding(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""
# Holds the lock, forks a child that outlives it, and says which process the child is.
HOLD_AND_FORK = """
import os, sys, time
from pathlib import Path
from hashbench.execution.locks import holding
with holding(Path(sys.argv[1])):
    if not os.fork():
        print(os.getpid(), flush=True)  # by the child, which has let go of the lock once it runs
    time.sleep(60)
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "locks" / "fit.lock"


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_who_comes_second_names_the_first_and_waits_for_it(lock: Path, caplog: pytest.LogCaptureFixture) -> None:
    holder = start(HOLD, lock, 2)
    assert first_line(holder) == "held"
    begun = time.monotonic()
    with caplog.at_level("WARNING", logger="hashbench"), holding(lock):
        assert time.monotonic() - begun > 0.5
    assert re.search(rf"fit\.lock is held by process {holder.pid} on \S+: -c .*; waiting for it to end", caplog.text)
    assert holder.wait(timeout=30) == 0


def test_a_lock_that_was_given_back_is_taken_without_a_word(lock: Path, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        with caplog.at_level("WARNING", logger="hashbench"), holding(lock):
            assert f"process {os.getpid()} on" in lock.read_text()
    assert lock.exists()
    assert not caplog.text


def test_a_lock_ends_with_an_error_in_its_block(lock: Path) -> None:
    with pytest.raises(ZeroDivisionError), holding(lock):
        raise ZeroDivisionError
    holder = start(HOLD, lock, 0)
    assert first_line(holder) == "held"
    assert holder.wait(timeout=30) == 0


def test_a_lock_ends_with_its_process_and_a_fork_does_not_hold_it(lock: Path, caplog: pytest.LogCaptureFixture) -> None:
    holder = start(HOLD_AND_FORK, lock)
    child = int(first_line(holder))
    try:
        holder.send_signal(signal.SIGKILL)
        holder.wait(timeout=30)
        os.kill(child, 0)  # still there
        with caplog.at_level("WARNING", logger="hashbench"), holding(lock):
            assert not caplog.text
    finally:
        os.kill(child, signal.SIGKILL)
