"""params.yaml: the project's own file is right, and every wrong one ends in one sentence."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hashbench.errors import HashbenchError
from hashbench.params import load_params

ROOT = Path(__file__).resolve().parents[1]
GOOD: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())


def write(folder: Path, value: object) -> Path:
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(value, sort_keys=False))
    return path


def load_changed(folder: Path, change: Any) -> str:
    """The error message that a changed copy of params.yaml gives."""
    value = copy.deepcopy(GOOD)
    change(value)
    with pytest.raises(HashbenchError) as error:
        load_params(write(folder, value))
    return str(error.value)


def test_the_projects_own_file_is_valid() -> None:
    params = load_params(ROOT / "params.yaml")
    assert {"quick", "cpu", "cifar10-jpeg", "paper"} <= set(params.profiles)


def test_every_hyperparameter_names_its_source() -> None:
    params = load_params(ROOT / "params.yaml")
    for name, block in {**params.methods, **params.ablations}.items():
        for key, entry in block.hyperparameters.items():
            assert entry.source in ("paper", "official code", "third-party", "ours"), f"{name}.{key}"


def test_fractional_bits_are_refused(tmp_path: Path) -> None:
    message = load_changed(tmp_path, lambda value: value["profiles"]["quick"].update(bits=[16, 24.5]))
    assert "profiles.quick.bits.1" in message
    assert "24.5" in message


def test_misspelt_key_gets_the_nearest_spelling(tmp_path: Path) -> None:
    def misspell(value: dict[str, Any]) -> None:
        value["profiles"]["quick"]["beeds"] = value["profiles"]["quick"]["seeds"]

    assert "did you mean 'seeds'?" in load_changed(tmp_path, misspell)


def test_unknown_dataset_lists_the_known_ones(tmp_path: Path) -> None:
    message = load_changed(tmp_path, lambda value: value["profiles"]["quick"].update(datasets=["digit"]))
    assert "did you mean 'digits'?" in message
    assert "cifar10_jpeg" in message


def test_override_of_an_unknown_hyperparameter_is_refused(tmp_path: Path) -> None:
    method = next(iter(GOOD["methods"]))
    entry = {"value": 1, "source": "ours"}
    message = load_changed(
        tmp_path, lambda value: value["profiles"]["quick"].update(overrides={method: {"no_such_thing": entry}})
    )
    assert f"profiles.quick.overrides.{method}" in message


def test_unknown_source_is_refused(tmp_path: Path) -> None:
    method, block = next((name, block) for name, block in GOOD["methods"].items() if len(block) > 1)
    key = next(key for key in block if key != "code")
    message = load_changed(tmp_path, lambda value: value["methods"][method][key].update(source="a friend"))
    assert f"methods.{method}.{key}.source" in message
    assert "a friend" in message


def test_repeated_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("base_seed: 1\nbase_seed: 2\n")
    with pytest.raises(HashbenchError, match="stands twice"):
        load_params(path)


@pytest.mark.parametrize("text", ["", "- 1", "a: [", "{", "\x00", "a: &a [*a]"])
def test_what_is_not_a_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(HashbenchError, match=str(path)):
        load_params(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(HashbenchError, match="nowhere"):
        load_params(tmp_path / "nowhere.yaml")


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from leaves(inner, (*path, key))


CHECKED = [
    path
    for path in leaves(GOOD)
    if path[0] not in ("augmentations", "backbones") and path[-1] != "note" and "overrides" not in path
]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(CHECKED), wrong=st.sampled_from([object, "drop", {"a": {"b": 1}}, [[]]]))
def test_a_wrong_value_anywhere_never_ends_in_another_exception(
    tmp_path: Path, path: tuple[Any, ...], wrong: Any
) -> None:
    value = copy.deepcopy(GOOD)
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    if wrong == "drop":
        del parent[path[-1]]
    else:
        parent[path[-1]] = "\u2603" if wrong is object else wrong
    with contextlib.suppress(HashbenchError):
        load_params(write(tmp_path, value))


@pytest.mark.parametrize("path", CHECKED[:: max(1, len(CHECKED) // 40)], ids=lambda path: ".".join(map(str, path)))
def test_the_message_names_the_file_and_is_one_line(tmp_path: Path, path: tuple[Any, ...]) -> None:
    value = copy.deepcopy(GOOD)
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = {"a": {"b": [[1]]}}
    with pytest.raises(HashbenchError) as error:
        load_params(write(tmp_path, value))
    assert "\n" not in str(error.value)
    assert "params.yaml" in str(error.value)
