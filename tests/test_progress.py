"""How far a loop is: a bar on a terminal, a line now and then elsewhere, nothing when asked to be quiet."""

from __future__ import annotations

import logging
import os
import pty
import subprocess
import sys

import numpy as np
import pytest

from hashbench import progress
from hashbench.evaluation import evaluate

LOOP = """
import logging, time
from hashbench.progress import track
log = logging.getLogger("hashbench")
log.addHandler(logging.StreamHandler())
log.setLevel(logging.INFO)
print(*track(map(str, range(3)), "count", total=3))
"""


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    caplog.set_level(logging.INFO, logger="hashbench")
    return caplog


def test_a_piped_loop_tells_how_far_it_is(lines: pytest.LogCaptureFixture) -> None:
    assert list(progress.track([5, 6], "squares")) == [5, 6]
    assert lines.messages == ["squares: 1 of 2, 0 s left", "squares: 2 of 2, 0 s left"]


def test_a_loop_of_unknown_length_tells_how_many_are_done(lines: pytest.LogCaptureFixture) -> None:
    assert list(progress.track(iter("ab"), "letters")) == ["a", "b"]
    assert lines.messages == ["letters: 1", "letters: 2"]


def test_a_long_evaluation_tells_how_far_it_is(lines: pytest.LogCaptureFixture) -> None:
    evaluate(np.zeros((130, 4)), np.zeros((2, 4)), np.zeros(130, int), np.zeros(2, int))
    told = [line.rpartition(",")[0] for line in lines.messages]
    assert told == [f"ranking, 64 queries at a time: {done} of 3" for done in (1, 2, 3)]


def test_a_short_loop_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="hashbench"):
        assert list(progress.track([1, 2], "quick")) == [1, 2]
    assert not caplog.messages


def test_a_quiet_loop_says_nothing(lines: pytest.LogCaptureFixture) -> None:
    lines.set_level(logging.WARNING, logger="hashbench")
    assert list(progress.track([1, 2], "squares")) == [1, 2]
    assert not lines.messages


def test_a_terminal_gets_a_bar() -> None:
    mine, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    done = subprocess.run(
        [sys.executable, "-c", LOOP], stdout=subprocess.PIPE, stderr=theirs, env=environment, text=True, timeout=60
    )
    os.close(theirs)
    shown = os.read(mine, 1 << 16).decode()
    os.close(mine)
    assert done.stdout == "0 1 2\n"
    assert "count" in shown
    assert "100%" in shown
