"""The tests reach at least nine in ten branches and lines of the package and of the baselines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
AT_LEAST = 90.0


@pytest.mark.timeout(7200)
def test_branch_coverage(tmp_path: Path, long: bool, figures: Callable[..., None]) -> None:
    if not long:
        pytest.skip("coverage is for `nox -s robustness`")
    run_tests(tmp_path)
    by_file = measured(tmp_path)
    of = {
        "src/hashbench": {name: counts for name, counts in by_file.items() if name.startswith("src/")},
        "baselines": {name: counts for name, counts in by_file.items() if name.startswith("baselines/")},
    }
    shares = {name: percent(files.values()) for name, files in of.items()}
    low = {name: percent([counts]) for name, counts in by_file.items() if percent([counts]) < AT_LEAST}
    figures(
        "coverage",
        title="Coverage",
        says="Lines and branches that the tests of `nox -s tests` reach; subprocesses count. "
        "Functions that numba compiles are left out: no line of them can be seen.",
        figures={f"{name}, percent": share for name, share in shares.items()},
        remarks=[f"`{name}`: {share:.0f} %" for name, share in sorted(low.items(), key=lambda item: item[1])],
    )
    assert min(shares.values()) >= AT_LEAST, low


def run_tests(folder: Path) -> None:
    """Run the tests and leave what they reached in `folder`."""
    command = ["coverage", "run", "-m", "pytest", "-q", "-n", "auto", "--dist", "loadfile", "-o", "timeout=3000"]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={**os.environ, "HASHBENCH_ROBUSTNESS": "", "COVERAGE_FILE": str(folder / ".coverage")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]


def measured(folder: Path) -> dict[str, tuple[int, int]]:
    """Of each file: how many lines and branches were reached, and how many there are."""
    environment = {**os.environ, "COVERAGE_FILE": str(folder / ".coverage")}
    report = folder / "coverage.json"
    for command in (["combine", "--quiet", "--keep", str(folder)], ["json", "--quiet", "-o", str(report)]):
        subprocess.run([sys.executable, "-m", "coverage", *command], cwd=ROOT, env=environment, check=True)
    files = json.loads(report.read_text())["files"]
    return {
        name: (
            said["summary"]["covered_lines"] + said["summary"]["covered_branches"],
            said["summary"]["num_statements"] + said["summary"]["num_branches"],
        )
        for name, said in files.items()
    }


def percent(counts: object) -> float:
    """The share of what was reached, in percent."""
    reached, there_are = map(sum, zip(*counts, strict=True))  # type: ignore[call-overload]
    return 100 * reached / there_are if there_are else 100.0
