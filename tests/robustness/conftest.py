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
from helpers import ROOT, run

from hashbench.artefacts import store
from hashbench.execution.machine import device_name
from hashbench.fingerprint import program_of

FIGURES = ROOT / "results" / "robustness.json"
LONG = os.environ.get("HASHBENCH_ROBUSTNESS") == "long"


@pytest.fixture(scope="session")
def long() -> bool:
    """Whether the full number of cases is asked for."""
    return LONG


@pytest.fixture
def figures() -> Callable[..., None]:
    """Keep what a long form measured; in the short form do nothing."""
    start = time.monotonic()

    def write(
        name: str,
        *,
        title: str,
        says: str,
        figures: Mapping[str, float | str],
        remarks: Sequence[str] = (),
        table: Sequence[Sequence[str]] = (),
    ) -> None:
        if LONG:
            said = {"title": title, "says": says, "figures": dict(figures), "remarks": [*remarks], "table": [*table]}
            versions = program_of("hashbench.stages.fit").versions
            ran = {"seconds": round(time.monotonic() - start), "machine": device_name(), "versions": versions}
            found = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.is_file() else {}
            store.write_json(FIGURES, found | {name: {**said, **ran}})

    return write


@pytest.fixture(scope="session")
def whole_checkout() -> Callable[[Path], Path]:
    """`whole_checkout(folder)`: the project as it is, without the results of `quick`."""

    def copy(folder: Path) -> Path:
        listed = run(ROOT, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").stdout
        for name in listed.split("\0"):
            if name and name != "dvc.lock" and not name.startswith("results/quick/") and (ROOT / name).exists():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name, follow_symlinks=False)
        run(folder, "git", "init", "--quiet")
        return folder

    return copy


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
