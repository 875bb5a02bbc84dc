"""What the robustness tests share; README.md says how they are made."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hashbench import store
from hashbench.stages.machine import device_name, versions

ROOT = Path(__file__).resolve().parents[2]
LONG = os.environ.get("HASHBENCH_ROBUSTNESS") == "long"

TIMED = ("table3.", "report.html", "time_quality")  # what holds seconds

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def long() -> bool:
    """Whether the full number of cases is asked for."""
    return LONG


@pytest.fixture
def figures() -> Callable[..., None]:
    """Keep what a long form measured; in the short form do nothing."""
    start = time.monotonic()

    def write(
        name: str, *, title: str, says: str, figures: Mapping[str, float | str], remarks: Sequence[str] = ()
    ) -> None:
        if LONG:
            said = {"title": title, "says": says, "figures": dict(figures), "remarks": list(remarks)}
            ran = {"seconds": round(time.monotonic() - start), "machine": device_name(), "versions": versions()}
            store.write_json(ROOT / "results" / "robustness" / f"{name}.json", {**said, **ran})

    return write


@pytest.fixture(scope="session")
def whole_checkout() -> Callable[[Path], Path]:
    """`whole_checkout(folder)`: the project as it is, without the results of `quick`."""

    def copy(folder: Path) -> Path:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        for name in listed.stdout.split("\0"):
            if name and name != "dvc.lock" and not name.startswith("results/quick/"):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        run(folder, "git", "init", "--quiet")
        return folder

    return copy


def environment(folder: Path, **more: str) -> dict[str, str]:
    """The variables with which a command runs in `folder` and finds the code there."""
    return {
        **os.environ,
        "DVC_NO_ANALYTICS": "1",
        "PYTHONPATH": str(folder / "src"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "200",
        **more,
    }


def run(folder: Path, *command: str, status: int | None = 0, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command in `folder`, with more variables; it must end with `status` (None: any)."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        timeout=3600 if LONG else 280,
        check=False,
    )
    assert status is None or done.returncode == status, (
        f"{command} ended with {done.returncode}\n{done.stdout}{done.stderr}"
    )
    return done


@pytest.fixture(scope="session")
def dvc() -> Run:
    """`dvc(folder, "repro")`: run dvc in a checkout; keywords are more variables, `status` what it must end with."""

    def call(folder: Path, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        return run(folder, "dvc", *arguments, **more)

    return call


@pytest.fixture(scope="session")
def stage() -> Run:
    """`stage(folder, "fit", "quick", "lsh")`: run one stage in a checkout, as dvc does."""

    def call(folder: Path, name: str, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        return run(folder, "python", "-m", f"hashbench.stages.{name}", *arguments, **more)

    return call


@pytest.fixture(scope="session")
def variables() -> Callable[..., dict[str, str]]:
    """`variables(folder, NAME="value")`: the environment of a command in a checkout."""
    return environment


@pytest.fixture(scope="session")
def untimed() -> Callable[[Path], dict[str, bytes]]:
    """`untimed(folder)`: what a checkout's results say, but for the seconds that they took."""
    return results_without_seconds


def results_without_seconds(folder: Path) -> dict[str, bytes]:
    """All results that hold no seconds, and all others without them, by name."""
    results = folder / "results" / "quick"
    found = {}
    for path in sorted(results.rglob("*")):
        name = path.relative_to(results).as_posix()
        if not path.is_file() or any(word in name for word in TIMED) or path.suffix in (".png", ".tmp"):
            continue
        found[name] = path.read_bytes()
        if path.suffix == ".json":
            value = {key: said for key, said in json.loads(found[name]).items() if key not in ("seconds", "seal")}
            found[name] = json.dumps(value).encode()
    return found


EVERY_STAGE = """
import yaml
from hashbench.stages import backbones, evaluate, features, fetch, fit, report, split
from hashbench.stages.command import run_guarded, set_up_log

set_up_log()
methods = yaml.safe_load(open("params.yaml"))["methods"]
calls = [(stage,) for stage in (fetch, split, backbones, features)]
calls += [*((fit, method) for method in methods), (evaluate, "methods"), (report,)]
for stage, *arguments in calls:
    assert run_guarded(lambda: stage.main("quick", *arguments)) == 0, stage
"""


@pytest.fixture(scope="session")
def every_stage() -> Callable[[Path], str]:
    """`every_stage(folder)`: run all stages of a checkout in one process, which is quicker; what they said."""

    def call(folder: Path) -> str:
        return run(folder, "python", "-c", EVERY_STAGE, OMP_NUM_THREADS="1").stderr

    return call


@pytest.fixture(scope="session")
def command() -> Run:
    """`command(folder, "python", "-c", ...)`: run anything in a checkout; keywords as for `dvc`."""
    return run


@pytest.fixture(scope="session")
def results_of() -> Callable[[str, Sequence[Sequence[str]]], list[dict[str, Any]]]:
    """`results_of(script, [["a"], ["b", "--c"]])`: the JSON that a script prints for each of several arguments.

    As many processes at once as there are cores.
    """

    def once(script: str, arguments: Sequence[str]) -> dict[str, Any]:
        done = subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    def call(script: str, each: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(partial(once, script), each))

    return call
