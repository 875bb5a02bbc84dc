"""The package as `pip install hashbench` brings it: small, typed, and at work where there is no checkout.

Building and installing asks a package index for what is not in uv's cache; where none answers, these tests are skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NO_INDEX = ("error sending request", "Failed to fetch", "dns error", "Could not connect", "timed out")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def uv(*arguments: str | Path, cwd: Path = ROOT) -> str:
    """What a uv command prints; skips the test where there is no uv or no package index."""
    command = os.environ.get("UV") or shutil.which("uv")
    if command is None:
        pytest.skip("uv is not on the PATH; `nox -s tests` brings one")
    done = subprocess.run([command, *arguments], cwd=cwd, capture_output=True, text=True, timeout=500, check=False)
    if done.returncode and any(word in done.stderr for word in NO_INDEX):
        pytest.skip(f"no package index can be reached: {done.stderr.strip().splitlines()[-1][:200]}")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    uv("build", "--quiet", "--out-dir", folder)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def installed(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of an environment with the wheel and what it requires."""
    environment = tmp_path_factory.mktemp("environment") / "venv"
    uv("venv", "--quiet", environment)
    uv("pip", "install", "--quiet", "--python", environment / "bin" / "python", built[1])
    return environment / "bin"


def outside(installed: Path, folder: Path, *arguments: str, status: int = 0) -> str:
    """What the installed command prints in a folder that is no checkout."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "HASHBENCH"))}
    done = subprocess.run(
        [installed / "hashbench", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if status == 0 else done.stderr


def test_the_sdist_holds_the_program_and_no_results(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[0]) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    assert {"LICENSE", "README.md", "pyproject.toml", "CITATION.cff", "baselines/itq.py"} <= set(names)
    assert not [name for name in names if name.startswith(("results", "tests", "docs", "artefacts", ".dvc"))]
    assert built[0].stat().st_size < 1_000_000


def test_the_wheel_is_typed_and_holds_every_source_file(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as archive:
        names = set(archive.namelist())
    sources = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src").rglob("*.py")}
    assert sources | {"hashbench/py.typed"} <= names
    assert {f"hashbench/baselines/{path.name}" for path in (ROOT / "baselines").glob("*.py")} <= names


def test_the_installation_is_small(installed: Path) -> None:
    packages = {
        entry["name"] for entry in json.loads(uv("pip", "list", "--format=json", "--python", installed / "python"))
    }
    assert "numba" in packages
    assert not packages & {"torch", "torchvision", "torchsort", "dvc", "timm", "kornia", "scikit-learn", "ray"}


def test_it_evaluates_where_there_is_no_checkout(installed: Path, tmp_path: Path) -> None:
    codes = np.array([[0, 0, 0, 0], [0, 0, 0, 1], [0, 1, 1, 1]])
    np.savez(tmp_path / "codes.npz", query_codes=codes[:1], db_codes=codes, query_labels=[0], db_labels=[0, 1, 0])
    (found,) = json.loads(outside(installed, tmp_path, "evaluate", "codes.npz", "--format", "json"))["evaluations"]
    assert found["map"] == pytest.approx(5 / 6)


def test_other_commands_say_what_they_need(installed: Path, tmp_path: Path) -> None:
    assert "needs a clone of hashbench" in outside(installed, tmp_path, "list", status=2)
    (tmp_path / "codes.pt").write_bytes(b"")
    assert "pip install 'hashbench[suite]'" in outside(installed, tmp_path, "evaluate", "codes.pt", status=2)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    assert "pip install 'hashbench[suite]'" in outside(installed, tmp_path, "fit", "itq", status=2)


@pytest.mark.parametrize(
    "python", [each.rpartition(" ")[2] for each in PROJECT["classifiers"] if "Python :: 3." in each]
)
def test_every_version_of_python_has_wheels_of_what_evaluating_needs(python: str) -> None:
    found = uv(
        "pip",
        "compile",
        "--quiet",
        "--no-header",
        "--only-binary",
        ":all:",
        "--python-version",
        python,
        "pyproject.toml",
    )
    assert "numba==" in found
    assert "torch==" not in found


def test_a_checkout_takes_the_suite_by_itself() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (everything,) = project["dependency-groups"]["suite"]
    extras = everything.removeprefix("hashbench[").removesuffix("]").split(",")
    assert {"suite", "torchsort"} <= set(extras) <= set(PROJECT["optional-dependencies"])
    assert "suite" in project["tool"]["uv"]["default-groups"]
