"""What all tests share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from helpers import ROOT, dvc, every_stage, make_checkout


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
