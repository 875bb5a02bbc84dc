"""A small project to search in: one data set of five groups, with features of all rows and of two views."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import ROOT, TINY, keep_methods, read_params, write_params

from hashbench import fitter
from hashbench.artefacts.features import write_blocks, write_record
from hashbench.artefacts.layout import Layout
from hashbench.artefacts.split import write_split
from hashbench.config.params import Params, load_params
from hashbench.config.selection import search_params
from hashbench.search import rounds, validation
from hashbench.search.rounds import MethodSearch, Result
from hashbench.types import Array, Split

N, N_QUERY, N_TRAIN, WIDTH = 320, 60, 200, 12
METHODS = ("contrastive", "deepbit", "dsh", "lsh")
BUDGET = {"trials": 6, "at_once": 3, "finalists": 2, "bits": 12, "hold_outs": 2, "seeds": 2}

MakeProject = Callable[..., Path]
RunSearch = Callable[..., list[Result]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The project as the working directory."""
    params: dict[str, Any] = read_params(ROOT)
    quick = params["profiles"]["quick"] | TINY | {"bits": [8, 12], "seeds": [0], "views": 2}
    keep_methods(params, METHODS)
    params |= {"profiles": {"quick": quick}, "ablations": {}, "controls": [], "references": []}
    params["search"] |= BUDGET | {"steps": {"low": 2, "high": 24, "log": True}}
    params["official"]["contrastive"] = {"epochs": {"value": 100, "source": "paper"}}
    write_params(tmp_path, params)
    for name in ("baselines", "src"):
        (tmp_path / name).symlink_to(ROOT / name)
    write_features(tmp_path, *made_up())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HASHBENCH_PARAMS", "params.yaml")
    forget()
    yield tmp_path
    forget()


def made_up() -> tuple[Split, Array]:
    """The split of the project, and features of all its rows."""
    rng = np.random.default_rng(0)
    groups, rows = rng.integers(5, size=N), rng.permutation(N)
    pooled = (rng.normal(size=(5, WIDTH)) * 0.7)[groups] + rng.normal(size=(N, WIDTH))
    query, database = rows[:N_QUERY], rows[N_QUERY:]
    return Split("test", query, database, database[:N_TRAIN], np.eye(5, dtype=bool)[groups]), pooled


def write_features(folder: Path, split: Split, pooled: Array) -> None:
    """Write a split, features and two views of its train rows."""
    layout, rng = Layout("quick", root=folder), np.random.default_rng(1)
    write_split(layout.split("digits"), split)
    train = pooled[split.train]
    views = np.concatenate([train + rng.normal(size=train.shape) * 0.1 for _ in range(2)])
    target = layout.features("digits", "vit_micro")
    for number, (name, array) in enumerate({"pooled": pooled, "views": views}.items()):
        blocks = [{name: array.astype(np.float32)}]
        write_blocks(
            target, {name: (WIDTH,)}, len(array), {"of": float(np.nansum(array)) + number}, partial(_once, blocks)
        )
    write_record(layout, "digits", "vit_micro", {"pooled": {}, "views": {}})


def _once(blocks: list[dict[str, Array]], start: int) -> Iterator[dict[str, Array]]:
    assert start == 0, "nothing of other features is kept"
    return iter(blocks)


def forget() -> None:
    """Let nothing of another project be remembered."""
    fitter._opened.clear()
    validation._opened.clear()


def search_of(method: str, **budget: Any) -> MethodSearch:
    """The search of a method of the project, with some of its budget changed."""
    params: Params = load_params()
    found = search_params(params, "quick", method)
    changed = found.budget.model_copy(update=budget)
    return MethodSearch.of("quick", found.model_copy(update={"budget": changed}))


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """`in_this_process(backwards)`: fits are done here one by one, the last one first where `backwards`."""

    def use(backwards: bool = False) -> None:
        def one_by_one(function: Any, items: Any, at_once: int | None = None) -> Iterator[Any]:
            for item in reversed(items) if backwards else items:
                yield item, function(item)

        monkeypatch.setattr(rounds, "map_side_by_side", one_by_one)

    return use
