"""What `dvc.lock` says the pipeline left: by it a file is found that was changed since, though all else agrees."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import yaml

from hashbench.artefacts.layout import Group, Layout
from hashbench.errors import HashbenchError

# What lies in DVC's cache and not in git, of the results of each group.
_IN_CACHE: dict[Group, str] = {"methods": "metrics", "ablations": "codes"}


def is_in_cache(layout: Layout, path: Path) -> bool:
    """Whether a file of the results is in DVC's cache and not in git, so that a bare clone lacks it."""
    return layout.group in _IN_CACHE and layout.results / _IN_CACHE[layout.group] in path.parents


def lock_path(layout: Layout) -> Path:
    """The `dvc.lock` of the pipeline that made the results of a group."""
    name = layout.profile if layout.group == "methods" else f"{layout.profile}-{layout.group}"
    return layout.root / "dvc.lock" if name == "quick" else layout.root / "pipelines" / name / "dvc.lock"


def differing_outputs(layout: Layout) -> Iterator[str]:
    """Each output that is there and is not what `dvc.lock` says, below the project's root.

    Raises HashbenchError where there is no such file, or it is not DVC's.
    """
    for place, md5 in outputs(lock_path(layout)):
        path = layout.root / place
        if path.exists() and md5_of(path) != md5:
            yield place


def outputs(path: Path) -> list[tuple[str, str]]:
    """Place and md5 of every output of a `dvc.lock`. Raises HashbenchError where it is missing or not DVC's."""
    try:
        stages = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        return [(out["path"], out["md5"]) for stage in stages["stages"].values() for out in stage.get("outs", [])]
    except FileNotFoundError:
        raise HashbenchError(f"{path} is missing; `dvc repro` makes it") from None
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError):
        raise HashbenchError(f"{path} is not as DVC writes it; restore it, or delete it and run `dvc repro`") from None


def md5_of(path: Path) -> str:
    """The md5 of a file, or of a folder as DVC takes it: over the sorted md5s of its files."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest()
    entries = [
        {"md5": md5_of(file), "relpath": file.relative_to(path).as_posix()}
        for file in path.rglob("*")
        if file.is_file() and not file.name.endswith((".tmp", ".part", ".progress", ".pyc"))
    ]
    listing = json.dumps(sorted(entries, key=lambda entry: entry["relpath"]), sort_keys=True)
    return hashlib.md5(listing.encode()).hexdigest() + ".dir"
