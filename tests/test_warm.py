"""Commands that run in a fork of a warm process behave as in an interpreter of their own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from helpers import ROOT, run_warm

SAYS = """
import os, sys
import hashbench
print(hashbench.__file__, os.environ["COLOUR"], os.environ.get("OMP_NUM_THREADS"), os.getcwd(), *sys.argv)
print("told", file=sys.stderr)
hashbench.left_here = True
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout of another hashbench."""
    (tmp_path / "src" / "hashbench").mkdir(parents=True)
    (tmp_path / "src" / "hashbench" / "__init__.py").touch()
    (tmp_path / "src" / "hashbench" / "loud.py").write_text(
        'import sys\nprint(__name__, sys.argv[1:])\nassert False, "no"\n'
    )
    return tmp_path


def test_a_command_finds_its_own_checkout_and_says_what_it_says(folder: Path) -> None:
    done = run_warm(folder, "python", "-c", SAYS, "3", status=3, COLOUR="red")
    assert done.stdout == f"{folder}/src/hashbench/__init__.py red 1 {folder} -c 3\n"
    assert done.stderr == "told\n"


def test_nothing_is_left_for_the_next_command(folder: Path) -> None:
    run_warm(folder, "python", "-c", SAYS, "0", COLOUR="red")
    again = 'import os, hashbench; print(hasattr(hashbench, "left_here"), "COLOUR" in os.environ)'
    assert run_warm(folder, "python", "-c", again).stdout == "False False\n"
    own = run_warm(ROOT, "python", "-c", "import hashbench; print(hashbench.__file__)")
    assert own.stdout == f"{ROOT}/src/hashbench/__init__.py\n"


def test_an_error_ends_as_in_an_interpreter(folder: Path) -> None:
    done = run_warm(folder, "python", "-m", "hashbench.loud", "a", status=1)
    assert done.stdout == "__main__ ['a']\n"
    assert done.stderr.startswith("Traceback (most recent call last):")
    assert done.stderr.endswith("AssertionError: no\n")
    assert run_warm(folder, "python", "-c", "import sys; sys.exit('enough')", status=1).stderr == "enough\n"


def test_a_status_that_was_not_expected_fails_the_test(folder: Path) -> None:
    with pytest.raises(AssertionError, match="ended with 2"):
        run_warm(folder, "python", "-c", "raise SystemExit(2)")


def test_what_hangs_is_ended(folder: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run_warm(folder, "python", "-c", "import time; time.sleep(60)", timeout=0.5)
    assert run_warm(folder, "python", "-c", "print(1)").stdout == "1\n"
