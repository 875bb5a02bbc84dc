"""What is read from the source of a method is what Python would say after importing it."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import get_args

import pytest
import yaml

from hashbench import checks
from hashbench.methods.registry import load_method
from hashbench.methods.signature import constructor_arguments, file_of, own_files
from hashbench.methods.sorting import SORTERS

ROOT = Path(__file__).resolve().parents[2]
CODES = sorted({block["code"] for block in yaml.safe_load((ROOT / "params.yaml").read_text())["methods"].values()})


@pytest.mark.parametrize("code", CODES)
def test_names_annotations_and_defaults_are_those_of_the_class(code: str) -> None:
    expected = {
        name: (str(parameter.annotation), parameter.default is not inspect.Parameter.empty)
        for name, parameter in inspect.signature(load_method(code)).parameters.items()
    }
    found = constructor_arguments(code)
    assert found is not None
    assert {name: (argument.annotation, argument.optional) for name, argument in found.items()} == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("class A:\n    title = 'A'\n    def __init__(self, *, a: int, b: float = 1.0): ...", {"a": False, "b": True}),
        ("class A:\n    title: str = 'A'\n", {}),
        (
            "class B:\n    def __init__(self, c, d=1): ...\nclass A(B):\n    title = 'A'",
            {"c": False, "d": True},
        ),
        ("from elsewhere import B\nclass A(B):\n    title = 'A'", None),
        ("class A:\n    title = 'A'\nclass B:\n    title = 'B'", None),
        ("class A: ...", None),
        ("class A(:", None),
    ],
    ids=["own", "none", "inherited", "from elsewhere", "two", "no title", "no Python"],
)
def test_a_users_file(tmp_path: Path, source: str, expected: dict[str, bool] | None) -> None:
    path = tmp_path / "mine.py"
    path.write_text(source)
    found = constructor_arguments(str(path))
    assert (found and {name: argument.optional for name, argument in found.items()}) == expected


def test_what_is_no_file_tells_nothing() -> None:
    assert constructor_arguments("package.module:Class") is None
    assert constructor_arguments("nowhere/mine.py") is None
    assert file_of("package.module:Class") is None


def test_own_files_are_found_wherever_the_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert set(CODES) <= set(own_files())
    assert constructor_arguments(CODES[0]) is not None


def test_the_choices_that_params_are_checked_against_are_those_of_the_code() -> None:
    assert set(get_args(checks._CHOICES["sorter"])) == set(SORTERS)
