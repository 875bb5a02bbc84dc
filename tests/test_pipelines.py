"""The pipeline files: one pipeline, several profiles; and what reruns when something changes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]


def stages_of(path: Path) -> dict[str, Any]:
    stages = yaml.safe_load(path.read_text())["stages"]
    for stage in stages.values():
        stage.get("do", stage).pop("wdir", None)
    return dict(stages)


@pytest.mark.parametrize("profile", ["cpu", "cifar10-jpeg", "paper"])
def test_every_profile_has_the_same_pipeline(profile: str) -> None:
    path = ROOT / "pipelines" / profile / "dvc.yaml"
    assert stages_of(path) == stages_of(ROOT / "dvc.yaml")
    assert {"profile": profile} in yaml.safe_load(path.read_text())["vars"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, checkout: Callable[..., Path]) -> Path:
    """A checkout with two methods, one code length and one seed on the digits, run once."""
    folder = checkout(tmp_path_factory.mktemp("project"), ["nsh", "lsh"])
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["claims"] = [{"winners": ["nsh"], "losers": ["lsh"]}]
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    dvc(folder, "repro")
    return folder


def dvc(folder: Path, *arguments: str) -> str:
    environment = {
        **os.environ,
        "DVC_NO_ANALYTICS": "1",
        "PYTHONPATH": str(folder / "src"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["dvc", *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def stages_run(output: str) -> list[str]:
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]


def records(project: Path) -> dict[str, tuple[int, bytes]]:
    return {
        path.name: (path.stat().st_mtime_ns, path.read_bytes())
        for path in (project / "results" / "quick" / "runs").glob("*.json")
    }


def test_the_pipeline_writes_a_record_a_cell_and_the_table(project: Path) -> None:
    assert sorted(records(project)) == ["digits-vit_micro-lsh-16-0.json", "digits-vit_micro-nsh-16-0.json"]
    for ending in ("md", "csv", "tex"):
        assert (project / "results" / "quick" / f"table1.{ending}").read_text()


def test_a_second_run_does_nothing(project: Path) -> None:
    assert stages_run(dvc(project, "repro")) == []


def test_a_changed_hyperparameter_reruns_its_method_alone(project: Path) -> None:
    before = records(project)
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["methods"]["nsh"]["epochs"]["value"] = 2
    (project / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    assert stages_run(dvc(project, "repro")) == ["fit@nsh", "evaluate", "report"]
    after = records(project)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"digits-vit_micro-nsh-16-0.json"}


def test_a_damaged_code_file_is_made_again(project: Path) -> None:
    path = project / "results/quick/codes/lsh/digits-vit_micro-lsh-16-0.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert "fit@lsh" in stages_run(dvc(project, "repro"))
    assert path.read_bytes() == whole


def hashbench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from hashbench.cli import main; main()", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "src"), "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_method_trained_again_gives_the_same_bits(project: Path) -> None:
    done = hashbench(project, "verify", "results/quick", "--refit", "nsh")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("2 of 2 runs checked, no differences\n")


def test_the_worked_example_of_a_method_runs(project: Path) -> None:
    text = (ROOT / "docs" / "adding.md").read_text()
    code = text.partition('```python title="my_hash.py"\n')[2].partition("```")[0]
    (project / "my_hash.py").write_text(code)
    done = hashbench(project, "fit", "my_hash.py")
    assert done.returncode == 0, done.stderr
    assert "Median LSH" in done.stdout
    assert "LSH" in done.stdout
