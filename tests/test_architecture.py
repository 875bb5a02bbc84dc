"""Rules of structure that no linter holds."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT, read_params

from hashbench.cells import Cell

PARAMS = read_params(ROOT)
CORE = ROOT / "src" / "hashbench"
BASELINES = sorted((ROOT / "baselines").glob("*.py"))
SOURCES = [*sorted(CORE.rglob("*.py")), *BASELINES]
ROOMS = {
    *("artefacts", "baselines", "commands", "config", "data", "evaluation", "execution", "features", "learning"),
    *("methods", "report", "search", "stages", "verification"),
}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def test_the_rooms_are_these_and_the_tests_have_the_same() -> None:
    rooms = {path.parent.name for path in CORE.glob("*/__init__.py")}
    assert rooms == ROOMS
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and any(path.glob("test_*.py"))}
    assert folders <= ROOMS | {"robustness"}


@pytest.mark.parametrize("path", BASELINES, ids=lambda path: path.stem)
def test_a_baseline_sees_what_methods_share_and_types_alone(path: Path) -> None:
    allowed = ("learning", "methods.base", "seeding", "types", "errors", "progress")
    for name in imported(path):
        if name.partition(".")[0] == "hashbench":
            inner = name.removeprefix("hashbench.")
            assert any(inner == each or inner.startswith(f"{each}.") for each in allowed), f"{path.name} imports {name}"


def test_every_baseline_is_in_params_and_the_other_way_round() -> None:
    blocks = {block["code"] for block in PARAMS["methods"].values()}
    assert {f"baselines/{path.name}" for path in BASELINES} == {
        code for code in blocks if code.startswith("baselines/")
    }


def test_the_methods_room_holds_the_methods_under_study_and_no_other() -> None:
    shared = {"__init__", "base", "faults", "registry"}
    own = {path.stem for path in (CORE / "methods").glob("*.py")} - shared
    assert own == {name for name, block in PARAMS["methods"].items() if block.get("under_study")}


def test_the_core_names_no_method() -> None:
    own_files = {Path(block["code"]).name for block in PARAMS["methods"].values()}
    names = re.compile(r"[\"'](" + "|".join(PARAMS["methods"]) + r")[\"']")
    for path in sorted(CORE.rglob("*.py")):
        if path.name not in own_files:
            found = names.search(path.read_text())
            assert not found, f"{path} names the method {found[0] if found else ''}"


def keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        for name, inner in value.items():
            yield from keys(inner) if name != "overrides" else ()  # these are hyperparameters of methods


def test_the_core_names_no_hyperparameter_of_a_method() -> None:
    """Whatever reads params.yaml knows names, types and ranges of hyperparameters from the constructors alone."""
    sections = ("methods", "ablations")
    about_methods = (*sections, "official", "search")
    others = {key for name, section in PARAMS.items() if name not in about_methods for key in keys(section)}
    others |= {*Cell._fields, "code", "of", "against", "label", "under_study"}
    names = {key for name in sections for block in PARAMS[name].values() for key in block} - others
    assert {"temperature", "anchors", "sorter"} <= names
    rooms = ("artefacts", "commands", "config", "execution", "search", "stages", "verification")
    paths = {*CORE.glob("*.py"), *(path for room in rooms for path in (CORE / room).glob("*.py"))}
    # What a fit takes is told from lengths of training, which have no other name.
    for path in paths - {CORE / "execution" / "estimate.py"}:
        for node in ast.walk(ast.parse(path.read_text())):
            found = isinstance(node, ast.Constant) and node.value in names and len(node.value) > 1
            assert not found, f"{path}, line {node.lineno}: names the hyperparameter {node.value!r}"


def test_nothing_seeds_a_global_generator() -> None:
    forbidden = re.compile(r"(torch\.manual_seed|np\.random\.seed|\brandom\.seed|torch\.seed)\(")
    # It draws dropout from a seed of the fit's own, in a fork of the global generators that ends as it began.
    forked = CORE / "learning" / "finetuning.py"
    for path in set(SOURCES) - {forked}:
        assert not forbidden.search(path.read_text()), f"{path} seeds a global generator"


def test_no_pickle_is_loaded_by_torch() -> None:
    for path in SOURCES:
        text = path.read_text()
        assert "torch.load(" not in text or "weights_only=True" in text, path


def test_no_file_has_more_than_400_lines() -> None:
    files = [*SOURCES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").glob("*.py"), ROOT / "noxfile.py"]
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {name: length for name, length in lengths.items() if length > 400} == {}
