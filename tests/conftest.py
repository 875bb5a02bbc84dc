"""What all tests share."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference material beside the checkout; a public clone has none."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the reference material (golden vectors, images) in ../shared, which this clone lacks")
    return folder


@pytest.fixture(scope="session")
def checkout() -> Callable[..., Path]:
    """Makes a small checkout without results: `checkout(folder, ["nsh", "lsh"], bits=[16])`."""
    return make_checkout


@pytest.fixture(scope="session")
def small() -> Callable[..., dict[str, Any]]:
    """`small(["nsh"], {"bits": [16]}, epochs=1)`: params.yaml, cut down."""
    return small_params


def make_checkout(
    folder: Path,
    methods: Sequence[str],
    *,
    datasets: Sequence[str] = ("digits",),
    bits: Sequence[int] = (16,),
    seeds: Sequence[int] = (0,),
    views: int = 2,
    epochs: int = 1,
) -> Path:
    """Copy the code into `folder` with a profile `quick` of these methods, at `epochs` for all that is trained."""
    for name in ("src", "baselines"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", ".dvcignore"):
        shutil.copy(ROOT / name, folder)
    (folder / "results").mkdir()
    shutil.copy(ROOT / "results" / "published.csv", folder / "results")
    profile = {"datasets": [*datasets], "bits": [*bits], "seeds": [*seeds], "views": views, "overrides": {}}
    params = small_params(methods, profile, epochs)
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    init = [sys.executable, "-m", "dvc", "init", "--quiet", "--no-scm"]
    subprocess.run(init, cwd=folder, env={**os.environ, "DVC_NO_ANALYTICS": "1"}, check=True, timeout=100)
    return folder


def small_params(methods: Sequence[str], profile: dict[str, Any], epochs: int) -> dict[str, Any]:
    """params.yaml with these methods and one profile, `quick`, changed by `profile`."""
    params: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    quick = params["profiles"]["quick"] | profile
    params["profiles"] = {"quick": quick}
    params["methods"] = {name: params["methods"][name] for name in methods}
    params["backbones"] = {name: params["backbones"][name] for name in quick["backbones"]}
    for block in params["methods"].values():
        if "epochs" in block:
            block["epochs"]["value"] = epochs
    for block in params["backbones"].values():
        block["weights"]["epochs"] = epochs
    return params | {"ablations": {}, "controls": [], "claims": []}
