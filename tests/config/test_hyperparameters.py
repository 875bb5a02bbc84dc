"""What is read from the source of a method is what Python would say after importing it, and it is checked."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import pytest
import yaml
from pydantic import Field

from hashbench.config.hyperparameters import (
    Argument,
    arguments_of,
    check_hyperparameters,
    constructor_arguments,
    function_arguments,
)
from hashbench.errors import HashbenchError
from hashbench.learning.hyperparameters import AtMost, Count, Damping, LessThan, Positive, Share
from hashbench.learning.sorting import SORTERS
from hashbench.methods.registry import load_method, own_files

ROOT = Path(__file__).resolve().parents[2]
CODES = sorted({block["code"] for block in yaml.safe_load((ROOT / "params.yaml").read_text())["methods"].values()})


@pytest.mark.parametrize("code", CODES)
def test_names_types_and_defaults_are_those_of_the_class(code: str) -> None:
    method = load_method(code)
    hints = get_type_hints(method.__init__, include_extras=True)
    expected = {
        name: Argument(hints[name], parameter.default is not inspect.Parameter.empty)
        for name, parameter in inspect.signature(method).parameters.items()
    }
    # By what is written: two equal `Field(...)` are not equal to Python.
    assert repr(constructor_arguments(code)) == repr(expected) == repr(arguments_of(method))
    assert not [name for name, argument in expected.items() if argument.type is Any]


def test_every_hyperparameter_of_the_project_has_limits() -> None:
    plain = {
        f"{code}: {name}"
        for code in CODES
        for name, argument in (constructor_arguments(code) or {}).items()
        if argument.type in (int, float, str)
    }
    assert not plain


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


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("int", int),
        ("float", float),
        ("bool", bool),
        ("str | None", str | None),
        ("Positive", Positive),
        ("Literal['a', 2]", Literal["a", 2]),
        ("Annotated[Count, LessThan('batch_size')]", Annotated[Count, LessThan("batch_size")]),
        ("np.ndarray", Any),
        ("Unknown", Any),
        ("__import__('os').system('touch executed')", Any),
        ("().__class__", Any),
        ("[int for _ in (1,)][0]", Any),
        ("Literal[", Any),
    ],
)
def test_an_annotation_is_built_from_shared_names_alone(tmp_path: Path, annotation: str, expected: object) -> None:
    path = tmp_path / "mine.py"
    path.write_text(f"def load(source, a: {annotation} = 1): ...")
    found = function_arguments(path, "load")
    assert found.get("a", Argument(Any, True)) == Argument(expected, True)
    assert not Path("executed").exists()


def test_an_annotation_with_limits_of_its_own_keeps_them(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("class A:\n    title = 'A'\n    def __init__(self, *, a: Annotated[float, Field(ge=0, le=2)]): ...")
    arguments = constructor_arguments(str(path))
    assert arguments is not None
    check_hyperparameters("mine", {"a": 2.0}, arguments)
    with pytest.raises(HashbenchError, match=r"key 'mine\.a' is 2\.5; it must be a finite number from 0 to 2"):
        check_hyperparameters("mine", {"a": 2.5}, arguments)


ARGUMENTS = {
    "count": Argument(Count, False),
    "positive": Argument(Positive, True),
    "share": Argument(Share, True),
    "damping": Argument(Damping, True),
    "flag": Argument(bool, True),
    "name": Argument(Literal["one", "two"], True),
    "plain": Argument(int, True),
    "anything": Argument(Any, True),
    "fewer": Argument(Annotated[Count, LessThan("count")], True),
    "no_more": Argument(Annotated[Count, AtMost("count")], True),
    "limited": Argument(Annotated[float, Field(gt=-1)], True),
}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"count": 0}, "key 'm.count' is 0; it must be a whole number of at least 1"),
        ({"count": True}, "key 'm.count' is True; it must be a whole number of at least 1"),
        ({"count": 1.0}, "key 'm.count' is 1.0; it must be a whole number of at least 1"),
        ({"count": "2"}, "key 'm.count' is '2'; it must be a whole number of at least 1 (YAML reads 2 as a text;"),
        ({"count": [2]}, "key 'm.count' is [2]; it must be a whole number of at least 1"),
        ({"count": None}, "key 'm.count' is None; it must be a whole number of at least 1"),
        ({"positive": 0.0}, "key 'm.positive' is 0.0; it must be a finite number above 0"),
        ({"positive": float("nan")}, "key 'm.positive' is nan; it must be a finite number above 0"),
        ({"positive": float("inf")}, "key 'm.positive' is inf; it must be a finite number above 0"),
        ({"share": 1.5}, "key 'm.share' is 1.5; it must be a finite number of at most 1 and above 0"),
        ({"damping": 1.0}, "key 'm.damping' is 1.0; it must be a finite number of at least 0 and below 1"),
        ({"flag": 1}, "key 'm.flag' is 1; it must be true or false"),
        ({"name": "ones"}, "key 'm.name' is 'ones'; did you mean 'one'? (allowed: one, two)"),
        ({"plain": 1.5}, "key 'm.plain' is 1.5; it must be a whole number"),
        ({"fewer": 9}, "key 'm.fewer' is 9; it must be below count, which is 9"),
        ({"no_more": 10}, "key 'm.no_more' is 10; it must be at most count, which is 9"),
        ({"limited": -1}, "key 'm.limited' is -1; it must be a finite number above -1"),
        ({"nome": "one"}, "unknown key 'm.nome' with the value 'one'; did you mean 'name'? (allowed: "),
    ],
)
def test_what_is_not_allowed_is_refused_in_one_sentence(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(HashbenchError) as error:
        check_hyperparameters("m", {"count": 9, **values}, ARGUMENTS)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(HashbenchError, match=r"key 'm\.count' is missing; m needs count, positive"):
        check_hyperparameters("m", {}, ARGUMENTS)


def test_what_is_allowed_is_taken() -> None:
    values = {"count": 9, "positive": 1, "share": 1.0, "damping": 0.0, "flag": False, "name": "two", "plain": -3}
    check_hyperparameters("m", {**values, "anything": [None], "fewer": 8, "no_more": 9}, ARGUMENTS)


def test_what_is_no_file_tells_nothing() -> None:
    assert constructor_arguments("package.module:Class") is None
    assert constructor_arguments("nowhere/mine.py") is None


def test_a_class_whose_annotations_mean_nothing_here_is_checked_by_its_names() -> None:
    class Odd:
        def __init__(self, *, a: Unknown, b: int = 1, **more: int) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    assert arguments_of(Odd) == {"a": Argument(Any, False), "b": Argument(Any, True)}


def test_own_files_are_found_wherever_the_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert set(CODES) <= set(own_files())
    assert constructor_arguments(CODES[0]) is not None


def test_the_sorters_that_nsh_takes_are_those_of_the_code() -> None:
    arguments = constructor_arguments("src/hashbench/methods/nsh.py")
    assert arguments is not None
    assert get_args(arguments["sorter"].type) == tuple(SORTERS)


def test_checking_params_imports_no_torch() -> None:
    program = (
        "import sys; from hashbench.config.params import load_params; load_params(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0
