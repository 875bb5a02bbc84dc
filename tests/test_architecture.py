"""Rules of structure that no linter holds."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
BASELINES = sorted(path for path in (ROOT / "baselines").glob("*.py"))


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("path", BASELINES, ids=lambda path: path.stem)
def test_a_baseline_sees_methods_seeding_and_types_alone(path: Path) -> None:
    allowed = ("hashbench.methods", "hashbench.seeding", "hashbench.types", "hashbench.errors", "hashbench.progress")
    for name in imported(path):
        assert not name.startswith("hashbench") or name.startswith(allowed), f"{path.name} imports {name}"


def test_every_baseline_is_in_params_and_the_other_way_round() -> None:
    blocks = {block["code"] for block in PARAMS["methods"].values()}
    assert {f"baselines/{path.name}" for path in BASELINES} == {
        code for code in blocks if code.startswith("baselines/")
    }


def test_the_core_names_no_method() -> None:
    own_files = {Path(block["code"]).name for block in PARAMS["methods"].values()}
    names = re.compile(r"[\"'](" + "|".join(PARAMS["methods"]) + r")[\"']")
    for path in sorted((ROOT / "src" / "hashbench").rglob("*.py")):
        if path.name not in own_files:
            found = names.search(path.read_text())
            assert not found, f"{path} names the method {found[0] if found else ''}"


def test_nothing_seeds_a_global_generator() -> None:
    forbidden = re.compile(r"(torch\.manual_seed|np\.random\.seed|\brandom\.seed|torch\.seed)\(")
    for path in [*(ROOT / "src").rglob("*.py"), *BASELINES]:
        assert not forbidden.search(path.read_text()), f"{path} seeds a global generator"


def test_no_pickle_is_loaded_by_torch() -> None:
    for path in [*(ROOT / "src").rglob("*.py"), *BASELINES]:
        text = path.read_text()
        assert "torch.load(" not in text or "weights_only=True" in text, path
