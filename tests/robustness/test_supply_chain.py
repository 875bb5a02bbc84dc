"""What is installed is what was locked, file by file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LOCK: dict[str, Any] = tomllib.loads((ROOT / "uv.lock").read_text())
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())


def normal(requirement: str) -> str:
    """The name of a requirement as an index knows it."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def test_every_file_of_every_locked_package_has_a_sha256(figures: Callable[..., None]) -> None:
    packages = [package for package in LOCK["package"] if package["source"] != {"editable": "."}]
    files = 0
    for package in packages:
        assert package["source"] == {"registry": "https://pypi.org/simple"}, package["name"]
        given = [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else [])]
        assert given, package["name"]
        for file in given:
            assert re.fullmatch("sha256:[0-9a-f]{64}", file["hash"]), package["name"]
            assert file["url"].startswith("https://files.pythonhosted.org/"), package["name"]
        files += len(given)
    without_wheel = [package["name"] for package in packages if not package.get("wheels")]
    figures(
        "supply_chain",
        title="Supply chain",
        says="uv.lock pins every package that any group installs; `uv sync --locked` takes a file with the recorded "
        "sha256 or none. `nox -s lint` asks pip-audit about each.",
        figures={
            "packages locked": len(packages),
            "files with a sha256": files,
            "files without": 0,
            "packages that come as source alone": ", ".join(without_wheel) or "none",
        },
        remarks=["pip-audit is skipped, with a message, where PyPI's list of vulnerabilities cannot be reached."],
    )


def test_everything_that_the_project_names_is_locked() -> None:
    locked = {package["name"] for package in LOCK["package"]}
    groups = [entry for group in PROJECT["dependency-groups"].values() for entry in group if isinstance(entry, str)]
    extras = [entry for extra in PROJECT["project"]["optional-dependencies"].values() for entry in extra]
    for requirement in [*PROJECT["project"]["dependencies"], *groups, *extras]:
        assert normal(requirement) in locked, requirement


def test_the_sessions_install_what_is_locked_and_lint_asks_for_vulnerabilities() -> None:
    noxfile = (ROOT / "noxfile.py").read_text()
    assert '"sync", "--locked"' in noxfile
    assert '"pip-audit", "--disable-pip", "--require-hashes"' in noxfile
