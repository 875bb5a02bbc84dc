"""An edit of a checkout, and what must follow from it; `sources.py` and `values.py` list them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helpers import read_params, write_params

METHODS = ("nsh", "agh1", "agh2", "lsh", "contrastive")
SEEDS = (0, 1)

FITS = frozenset(f"fit@{method}" for method in METHODS)
AFTER_FITS = frozenset({"evaluate", "report"})
FROM_FEATURES = frozenset({"features", *FITS, *AFTER_FITS})
FROM_BACKBONES = FROM_FEATURES | {"backbones"}
FROM_SPLIT = FROM_BACKBONES | {"split"}
ALL = FROM_SPLIT | {"fetch"}
NONE: frozenset[str] = frozenset()


def fits(*methods: str) -> frozenset[str]:
    """The stages that fit these methods."""
    return frozenset(f"fit@{method}" for method in methods)


@dataclass(frozen=True)
class Edit:
    """Something that a user changes in a checkout.

    `stale`: the stages whose program, values or own files it changes; `then`: the others that run because what they
    read is made anew; `writes_params`: whether the stage `params` runs before them. `fitted`: by method, how many cells
    are fitted and how many kept, where that is not all of them or none. `says`: what `hashbench verify` says before the
    pipeline is run, nothing where no number and no text is concerned. `file`: the source file that it changes.
    """

    name: str
    apply: Callable[[Path], None]
    stale: frozenset[str]
    then: frozenset[str] = NONE
    says: str = ""
    fitted: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    writes_params: bool = True
    file: str = ""

    @property
    def decides_nothing(self) -> bool:
        """Whether no stage has anything to do."""
        return not self.stale | self.then

    @property
    def runs(self) -> frozenset[str]:
        """Every stage that must run."""
        return self.stale | self.then | ({"params"} if self.writes_params else NONE)

    @property
    def cells(self) -> dict[str, tuple[int, int]]:
        """By method whose stage runs: how many cells are fitted, and how many kept."""
        methods = sorted(name.removeprefix("fit@") for name in self.runs if name.startswith("fit@"))
        return {method: self.fitted.get(method, (len(SEEDS), 0)) for method in methods}


def source(name: str, file: str, old: str, new: str, stale: frozenset[str], **more: Any) -> Edit:
    """An edit of a source file: `old`, which stands in it once, becomes `new`."""
    return Edit(name, lambda folder: replace_text(folder / file, old, new), stale, file=file, **more)


def values(name: str, change: Callable[[dict[str, Any]], None], stale: frozenset[str], **more: Any) -> Edit:
    """An edit of params.yaml: `change` alters what it holds."""

    def apply(folder: Path) -> None:
        params = read_params(folder)
        change(params)
        write_params(folder, params)

    return Edit(name, apply, stale, **more)


def put(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """A change of params.yaml that puts `value` at `key`, names with dots between them; blocks on the way are made."""

    def change(params: dict[str, Any]) -> None:
        *blocks, last = key.split(".")
        for block in blocks:
            params = params.setdefault(block, {})
        assert last not in params or params[last] != value, f"{key} is {value} already"
        params[last] = value

    return change


def replace_text(path: Path, old: str, new: str) -> None:
    """Change a text that stands once in a file."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path} holds {text.count(old)} times: {old}"
    path.write_text(text.replace(old, new), encoding="utf-8")
