"""params.yaml is laid out as DVC writes it: `dvc exp run -S` changes the lines of what it overrides and no others."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.hydra import apply_overrides
from helpers import ROOT, read_params

from hashbench.config.params import Params, load_params

PARAMS: dict[str, Any] = read_params(ROOT)
OTHERS: dict[Any, Any] = {
    "relevant_in_top_k": "relevant",
    "zero": "nan",
    "cpu": "cuda",
    "cuda": "cpu",
    "bicubic": "bilinear",
    "bilinear": "bicubic",
    "ours": "paper",
    "official code": "paper",
    "third-party": "paper",
    True: False,
    False: True,
}


def leaves(value: Any, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every single value of params.yaml with its keys."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*keys, key))
    elif not isinstance(value, list):
        yield keys, value


def other(keys: tuple[str, ...], value: Any) -> Any:
    """Another value that is allowed in the same place; None where there is none."""
    if keys[-1] in ("title", "note"):
        return f"{value} too"
    if keys[-1] == "labels":
        return 38
    if keys[0] == "search" and keys[-1] in ("low", "high"):
        return None if keys[-1] == "low" else value - 1 if isinstance(value, int) else 0.99 * value
    if keys[-1] in ("blur_width", "size", "img_size", "patch_size", "embed_dim"):
        return value + 2
    if isinstance(value, bool | str):
        return OTHERS.get(value)
    return value + 1 if isinstance(value, int) else value / 2 if value else None


CHANGES = {keys: new for keys, value in leaves(PARAMS) if (new := other(keys, value)) is not None}
BLOCKS = sorted({keys[:2] for keys in CHANGES})


def at(params: Params, keys: tuple[str, ...]) -> Any:
    """What our reader finds at a place."""
    value: Any = params.model_dump()
    for key in keys:
        value = value[key]
    return value


def override(folder: Path, changes: dict[tuple[str, ...], Any]) -> tuple[Params, list[str], list[str]]:
    """The params after `dvc exp run -S` of `changes`, and the lines that went and came."""
    path = folder / "params.yaml"
    shutil.copy(ROOT / "params.yaml", path)
    before = path.read_text().splitlines()
    apply_overrides(path, [f"{'.'.join(keys)}={written(value)}" for keys, value in changes.items()])
    after = path.read_text().splitlines()
    assert len(before) == len(after)
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    return load_params(path), [old for old, _ in changed], [new for _, new in changed]


def written(value: Any) -> str:
    return repr(value) if isinstance(value, str) else str(value).lower()


@pytest.mark.parametrize("first", sorted({block[0] for block in BLOCKS}))
def test_overriding_a_value_of_each_block_changes_its_line_alone(tmp_path: Path, first: str) -> None:
    # The last one that is a number, if there is one: it stands where a block ends, before what follows it.
    changes = {}
    for block in (block for block in BLOCKS if block[0] == first):
        places = [keys for keys in CHANGES if keys[:2] == block]
        keys = max(places, key=lambda keys: not isinstance(CHANGES[keys], str))
        changes[keys] = CHANGES[keys]
    params, gone, come = override(tmp_path, changes)
    assert {keys: at(params, keys) for keys in changes} == changes
    assert len(gone) == len(come) == len(changes)
    for keys in changes:
        assert any(keys[-1] in line for line in come), keys


def test_overriding_everything_at_once_changes_no_other_line(tmp_path: Path) -> None:
    short = {keys: new for keys, new in CHANGES.items() if keys[-1] not in ("note", "title")}
    params, gone, _ = override(tmp_path, short)
    for keys, value in short.items():
        assert at(params, keys) == value, keys
    assert len(gone) > 200


@pytest.mark.parametrize("value", [1e-05, 0.0005, 1e-12, 3.0])
def test_numbers_of_any_size_come_back(tmp_path: Path, value: float) -> None:
    params, _, _ = override(tmp_path, {("methods", "cimon", "weight_decay", "value"): value})
    assert params.methods["cimon"].values["weight_decay"] == value


def test_overriding_a_list_changes_its_lines_alone(tmp_path: Path) -> None:
    params, gone, come = override(tmp_path, {("profiles", "quick", "bits"): [16, 32, 128]})
    assert params.profile("quick").bits == [16, 32, 128]
    assert (gone, come) == (["    - 64"], ["    - 128"])


def test_an_override_of_a_method_reaches_its_variants(tmp_path: Path) -> None:
    params, _, _ = override(tmp_path, {("methods", "nsh", "latent", "value"): 77})
    assert {params.ablations[name].values["latent"] for name in params.ablations if name.startswith("nsh")} == {77}
