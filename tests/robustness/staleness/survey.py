"""Which stages each edit makes stale, told without running any: `python survey.py` in a checkout prints JSON.

A stage is stale where something that dvc.yaml names among its dependencies changes: a file of the checkout, or what the
stage `params` would write for it. Data are left out, as no stage makes any here.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import yaml
from robustness.staleness.edits import Edit
from robustness.staleness.every import EDITS

from hashbench import fingerprint
from hashbench.config.params import load_params
from hashbench.stages.params import params_of_stages, programs_of_stages

_WRITTEN = "artefacts/quick/"
_MADE = ("artefacts/", "results/quick/")


def main() -> None:
    """Print the stale stages of every edit, by its name."""
    fingerprint.file_of = cache(fingerprint.file_of)  # no edit adds or removes a source file
    before, found = state_of_stages(), {}
    for edit in EDITS:
        with undone(edit):
            edit.apply(Path())
            after = state_of_stages()
        found[edit.name] = sorted(stage for stage in after if after[stage] != before.get(stage))
    assert state_of_stages() == before, "an edit was not undone"
    print(json.dumps({"stale": found, "modules": sorted(sys.modules)}))


@contextlib.contextmanager
def undone(edit: Edit) -> Iterator[None]:
    """Undo an edit afterwards."""
    kept = {path: path.read_bytes() for path in map(Path, (edit.file,) if edit.file else ("params.yaml", "uv.lock"))}
    yield
    for path, content in kept.items():
        path.write_bytes(content)
    for folder in Path("src").glob("*.dist-info"):
        shutil.rmtree(folder)


def state_of_stages() -> dict[str, dict[str, str]]:
    """By stage, everything that it depends on and that is there before any stage has run."""
    fingerprint.program_of.cache_clear()
    fingerprint._version.cache_clear()
    params = load_params()
    written = {
        f"{_WRITTEN}{folder}/{name}.json": note.model_dump_json()
        for folder, notes in (
            ("params", params_of_stages(params, "quick")),
            ("programs", programs_of_stages(params, "quick")),
        )
        for name, note in notes.items()
    }
    codes = {method: block.code for method, block in params.methods.items()}
    found = {}
    for name, stage in yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"].items():
        for key in codes if "foreach" in stage else [""]:
            deps = [
                dep.replace("${profile}", "quick").replace("${key}", key).replace("${item.code}", codes.get(key, ""))
                for dep in stage.get("do", stage)["deps"]
            ]
            found[f"{name}@{key}" if key else name] = {
                dep: written[dep] if dep in written else content(Path(dep))
                for dep in deps
                if dep in written or not dep.startswith(_MADE)
            }
    return found


def content(path: Path) -> str:
    """A digest of a file, or of all files of a folder."""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    sha = hashlib.sha256()
    for file in files:
        if file.suffix not in (".pyc", ".nbi", ".nbc"):
            sha.update(f"{file}\0".encode() + file.read_bytes())
    return sha.hexdigest()


if __name__ == "__main__":
    main()
