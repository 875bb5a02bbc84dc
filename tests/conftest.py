"""What all tests share."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from helpers import ROOT, dvc, every_stage, make_checkout

# Networks here are tiny: two threads that wait for each other, of two workers on two cores, take several times as long.
os.environ["OMP_NUM_THREADS"] = "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let files with slow tests go first, then those with most tests: no worker ends with one while others wait."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path not in slow, -tests[item.path]))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference material beside the checkout; a public clone has none."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the reference material (golden vectors, images) in ../shared, which this clone lacks")
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """`finished(folder)`: a checkout with the methods nsh and lsh, at 16 and 32 bits, whose pipeline has run.

    It is made once for all tests, in whatever process they run, and copied.
    """
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    original = folder / "finished"
    with FileLock(folder / "finished.lock"):
        if not original.exists():
            being_made = folder / "being made"
            shutil.rmtree(being_made, ignore_errors=True)
            make_checkout(being_made, ["nsh", "lsh"], bits=[16, 32])
            every_stage(being_made)
            dvc(being_made, "commit", "--force", "--quiet")
            being_made.rename(original)

    def copy(target: Path) -> Path:
        return Path(shutil.copytree(original, target, symlinks=True))

    return copy


@pytest.fixture
def chromium(tmp_path: Path) -> Callable[..., tuple[str, list[str]]]:
    """`chromium(page, *flags, folder=...)`: the page's DOM after loading, and what it wrote to the console.

    The page is loaded as a file of `folder`, which has what it refers to.
    """
    found = next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)
    if found is None and os.environ.get("HASHBENCH_REQUIRE_CHROMIUM") == "1":
        pytest.fail("HASHBENCH_REQUIRE_CHROMIUM=1, but no chromium is on the PATH")
    if found is None:
        pytest.skip("needs chromium on the PATH (Debian: apt-get install chromium)")

    def load(text: str, *flags: str, folder: Path = tmp_path) -> tuple[str, list[str]]:
        path = folder / "in-chromium.html"
        path.write_text(text, encoding="utf-8")
        command = [
            found, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
            "--enable-logging=stderr", "--v=0", f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000",
            *flags, "--dump-dom", path.as_uri(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
        path.unlink()
        return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    return load
