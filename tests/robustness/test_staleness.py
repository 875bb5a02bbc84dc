"""What a change makes stale, and nothing else: every kind of file, of value, of version."""

from __future__ import annotations

import csv
import fnmatch
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers import (
    ROOT,
    content_of_results,
    differing,
    dvc,
    every_stage,
    hashbench,
    make_checkout,
    read_params,
    run,
    run_warm,
    small_params,
    write_params,
)
from robustness.staleness.edits import METHODS, SEEDS, Edit
from robustness.staleness.every import EDITS
from robustness.staleness.follow import Outcome, follow, from_scratch_with, in_short, run_once
from robustness.staleness.values import REPLACED_ZIP, VERSIONS, write_images

from hashbench.artefacts.layout import Layout
from hashbench.artefacts.store import sha256_of
from hashbench.config.params import load_params
from hashbench.data.registry import dataset_kinds
from hashbench.execution.sources import link_sources
from hashbench.fingerprint import all_modules, decides_nothing, digest_of, file_of, program_of
from hashbench.verification.dvclock import md5_of

LONG = os.environ.get("HASHBENCH_ROBUSTNESS") == "long"
# One that runs the stage params alone, one that runs the report, and one that fits a method again.
_IN_SHORT = ("comments and docstrings of what all stages share", "the title of a data set", "a sorter")
SHORT = [edit for edit in EDITS if edit.name in _IN_SHORT]

# The kinds of source files, and the stages of which at least one must see each file of a kind; none: no number.
KINDS: dict[str, tuple[str, ...]] = {
    "src/hashbench/artefacts/*.py": ("fetch", "split", "backbones", "features", "fit", "evaluate", "report"),
    "src/hashbench/baselines/__init__.py": ("fit",),
    "src/hashbench/commands/*.py": (),
    "src/hashbench/config/*.py": (),
    "src/hashbench/data/*.py": ("fetch", "split"),
    "src/hashbench/evaluation/*.py": ("evaluate", "report"),
    "src/hashbench/evaluation/readers/*.py": (),
    "src/hashbench/execution/*.py": ("fit",),
    "src/hashbench/features/*.py": ("backbones", "features", "fit"),
    "src/hashbench/learning/*.py": ("fit",),
    "src/hashbench/methods/*.py": ("fit",),
    "src/hashbench/report/*.py": ("report",),
    "src/hashbench/search/*.py": (),
    "src/hashbench/report/templates/*": ("report",),
    "src/hashbench/stages/*.py": ("fetch", "split", "backbones", "features", "fit", "evaluate", "report"),
    "src/hashbench/verification/*.py": (),
    "src/hashbench/*.py": ("fetch", "split", "backbones", "features", "fit", "evaluate", "report"),
    "baselines/*.py": ("fit",),
}
# Files that commands or readers alone import; what fingerprint.py leaves out stands there.
NO_STAGE = {
    "src/hashbench/evaluation/blocks.py",
    "src/hashbench/evaluation/command.py",
    "src/hashbench/execution/pipelines.py",
    "src/hashbench/execution/recovery.py",
    "src/hashbench/execution/requirements.py",
    "src/hashbench/artefacts/listed_split.py",
    "src/hashbench/artefacts/split_lists.py",
    "src/hashbench/data/recognition.py",
    "src/hashbench/evaluation/comparison.py",
    "src/hashbench/evaluation/contestants.py",
    "src/hashbench/evaluation/conventions.py",
    "src/hashbench/evaluation/explanation.py",
    "src/hashbench/evaluation/given.py",
    "src/hashbench/evaluation/operands.py",
    "src/hashbench/evaluation/search.py",
    "src/hashbench/execution/estimate.py",
    "src/hashbench/report/figures/of_files.py",
    "src/hashbench/search/__init__.py",  # the search makes no number of a table
    "src/hashbench/stages/search.py",
    "src/hashbench/stages/search_report.py",
    "src/hashbench/learning/losses.py",
    "src/hashbench/report/checking.py",
    "src/hashbench/report/excerpt.py",
    "src/hashbench/results.py",
    "src/hashbench/stages/params.py",
}


def kind_of(name: str) -> str:
    """The kind of a source file, by its place: the first that matches. Fails where it is of none."""
    found = [kind for kind in KINDS if fnmatch.fnmatch(name, kind) and name.count("/") == kind.count("/")]
    found += [kind for kind in KINDS if kind.startswith("src/hashbench/report/") and fnmatch.fnmatch(name, kind)]
    assert found, f"{name}: no edit stands for files like this; add one to tests/robustness/staleness/sources.py"
    return found[0]


def source_files() -> list[str]:
    files = run(ROOT, "git", "ls-files", "--cached", "--others", "--exclude-standard", "src/hashbench", "baselines")
    return [
        name for name in files.stdout.split() if (ROOT / name).is_file() and not name.endswith((".gitkeep", "py.typed"))
    ]


def left_out() -> set[str]:
    """The source files that fingerprint.py leaves out of every program."""
    files = [file_of(module) for module in all_modules() if decides_nothing(module)]
    return {path.resolve().relative_to(ROOT).as_posix() for path in files if path is not None}


@pytest.fixture(scope="module")
def seen() -> dict[str, set[str]]:
    """Which stages, of any data set and method, see a source file, by its name."""
    roots = {stage: [f"hashbench.stages.{stage}"] for stage in ("split", "backbones", "features", "evaluate", "report")}
    roots["fetch"] = ["hashbench.stages.fetch", *(f"hashbench.data.{kind}" for kind in dataset_kinds())]
    methods = [f"hashbench.baselines.{path.stem}" for path in (ROOT / "baselines").glob("*.py")]
    roots["fit"] = ["hashbench.stages.fit", "hashbench.methods.nsh", "hashbench.methods.wch", *methods]
    found: dict[str, set[str]] = {}
    for stage, modules in roots.items():
        for module in program_of(*modules).sources:
            path = file_of(module)
            assert path is not None
            found.setdefault(path.resolve().relative_to(ROOT).as_posix(), set()).add(stage)
    return found


@pytest.mark.parametrize("name", source_files())
def test_every_source_file_is_of_a_kind_that_some_stage_sees_or_none(name: str, seen: dict[str, set[str]]) -> None:
    stages = KINDS[kind_of(name)]
    if name in NO_STAGE or not stages or name in left_out():
        assert name not in seen
    elif name.endswith(".py"):
        assert seen.get(name, set()) & set(stages), f"no stage sees {name}: import it where it is used"


def test_every_kind_of_file_has_an_edit() -> None:
    assert {kind_of(edit.file) for edit in EDITS if edit.file.startswith(("src", "baselines"))} >= {*KINDS} - {
        "src/hashbench/baselines/__init__.py"
    }
    assert len({edit.name for edit in EDITS}) == len(EDITS) >= 40


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the script `survey.py` says of a small checkout."""
    folder = make_checkout(tmp_path_factory.mktemp("survey") / "checkout", METHODS, seeds=SEEDS)
    path = os.pathsep.join(map(str, (folder / "src", ROOT / "tests")))
    script = ROOT / "tests" / "robustness" / "staleness" / "survey.py"
    said: dict[str, Any] = json.loads(run(folder, sys.executable, str(script), PYTHONPATH=path).stdout)
    return said


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_an_edit_makes_stale_what_sees_it_and_nothing_else(edit: Edit, survey: dict[str, Any]) -> None:
    assert set(survey["stale"][edit.name]) == edit.stale | ({"params"} if edit.writes_params else set())


def test_what_is_stale_is_known_without_torch(survey: dict[str, Any]) -> None:
    assert not {"torch", "torchvision", "timm", "numba", "matplotlib"} & set(survey["modules"])


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small checkout whose pipeline was run."""
    return run_once(tmp_path_factory.mktemp("staleness") / "base")


@pytest.fixture(scope="module")
def kept(request: pytest.FixtureRequest) -> Kept:
    """What came of edits before, with the same sources: a long form that was broken off goes on where it stopped."""
    sources = [*source_files(), "params.yaml", "dvc.yaml"]
    sources += [path.relative_to(ROOT).as_posix() for path in Path(__file__).parent.rglob("staleness/*.py")]
    return Kept(request.config.cache, digest_of([sha256_of(ROOT / name) for name in sorted(sources)]))


class Kept:
    """Outcomes in pytest's cache."""

    def __init__(self, cache: Any, sources: str) -> None:
        self._cache, self._sources = cache, sources

    def get(self, edit: Edit) -> Outcome | None:
        found = self._cache.get(self._key(edit), None)
        return Outcome(**found) if found else None

    def put(self, edit: Edit, outcome: Outcome) -> None:
        self._cache.set(self._key(edit), outcome.to_json())

    def _key(self, edit: Edit) -> str:
        return f"staleness/{digest_of([self._sources, edit.name])}"


@pytest.mark.parametrize("edit", EDITS if LONG else SHORT, ids=lambda edit: edit.name)
def test_after_an_edit_what_must_run_runs_and_gives_what_a_run_from_scratch_gives(
    edit: Edit, base: Path, kept: Kept, tmp_path: Path
) -> None:
    if LONG and kept.get(edit):
        return
    outcome = follow(edit, base, tmp_path / "checkout", from_scratch=LONG)
    assert not outcome.faults, "\n".join(outcome.faults)
    kept.put(edit, outcome)


@pytest.mark.skipif(not LONG, reason="the long form")
def test_after_a_zip_was_replaced_what_must_run_runs(kept: Kept, tmp_path: Path) -> None:
    if kept.get(REPLACED_ZIP):
        return
    outcome = follow(REPLACED_ZIP, image_folder(tmp_path / "mine"), tmp_path / "zip", from_scratch=True)
    assert not outcome.faults, "\n".join(outcome.faults)
    kept.put(REPLACED_ZIP, outcome)


@pytest.mark.skipif(not LONG, reason="the long form")
def test_what_decides_nothing_changes_no_result(base: Path, tmp_path: Path) -> None:
    edits = [edit for edit in EDITS if edit.decides_nothing]
    assert len(edits) >= 15
    assert differing(content_of_results(base), from_scratch_with(edits, base, tmp_path / "checkout")) == set()


@pytest.mark.skipif(not LONG, reason="the long form")
def test_all_edits_were_followed(kept: Kept, figures: Callable[..., None]) -> None:
    outcomes = [(edit, kept.get(edit)) for edit in (*EDITS, REPLACED_ZIP)]
    assert [edit.name for edit, outcome in outcomes if outcome is None] == []
    followed = [(edit, outcome) for edit, outcome in outcomes if outcome is not None]
    cells = [pair for _, outcome in followed for pair in outcome.cells.values()]
    figures(
        "staleness",
        title="Staleness",
        says="One thing at a time was changed in a checkout whose pipeline had been run: a source file of every kind, "
        "a value of every block of params.yaml, a package's version, a file put in place by hand. Then `hashbench "
        "verify` said what it saw, `dvc repro` ran what it must, and all results were held against those of a run from "
        "scratch with the same change.",
        figures={
            "changes": len(followed),
            "of these of source files": sum(bool(edit.file) for edit, _ in followed),
            "of these that touch a number or a text, named by `hashbench verify` before": sum(
                bool(edit.says) for edit, _ in followed
            ),
            "stages run": sum(len(outcome.stages) for _, outcome in followed),
            "of these needless": 0,
            "stages that had to run and did not": 0,
            "cells fitted again": sum(fitted for fitted, _ in cells),
            "cells of the same stages that were kept": sum(kept for _, kept in cells),
            "results that differ from a run from scratch": 0,
            "differences that `hashbench verify` named afterwards": 0,
        },
        remarks=[
            "Every source file belongs to a kind of which one was changed; a new file of no such kind fails a test.",
            "A comment in a method's own file runs its stage, which then keeps every cell.",
            "What decides nothing was also changed all at once, in a checkout that was run from scratch.",
            "A version counts once uv.lock says so, for DVC looks at no installed package; `hashbench verify` does, "
            "and notes what was computed by others.",
        ],
        table=[
            ("change", "of", "must run", "ran", "cells fitted, kept", "`verify` before", "after"),
            *(row_of(edit, outcome) for edit, outcome in followed),
        ],
    )


def row_of(edit: Edit, outcome: Outcome) -> tuple[str, ...]:
    """A line of the table."""
    fitted, kept = (sum(pair[number] for pair in outcome.cells.values()) for number in (0, 1))
    cells = f"{fitted}, {kept}" if outcome.cells else ""
    ran = in_short(outcome.stages)
    return (edit.name, f"`{kind_shown(edit)}`", in_short(sorted(edit.runs)), ran, cells, outcome.told, "no differences")


def kind_shown(edit: Edit) -> str:
    """The kind of file that an edit changes."""
    if not edit.file:
        return (
            "a file put in place by hand" if edit is REPLACED_ZIP else "uv.lock" if edit in VERSIONS else "params.yaml"
        )
    return kind_of(edit.file) if edit.file.startswith(("src", "baselines")) else edit.file


def image_folder(folder: Path) -> Path:
    """A checkout whose one data set is a zip of images put in place by hand, run once."""
    make_checkout(folder, ["lsh"], seeds=SEEDS)
    params = read_params(folder)
    by_hand(params, file="mine.zip")
    write_params(folder, params)
    write_images(folder / "data" / "mine.zip", seed=1)
    every_stage(folder)
    dvc(folder, "commit", "--force", "--quiet", timeout=3600)
    return folder


def by_hand(params: dict[str, Any], protocol: str = "per_class_5_20_without_train", **options: Any) -> None:
    """Give the profile `quick` one data set, a folder of images."""
    block = {"kind": "imagefolder", "title": "Mine", "k": 20, "augmentation": "digits", "protocol": protocol}
    params["datasets"]["mine"] = block | options
    params["profiles"]["quick"]["datasets"] = ["mine"]


def test_files_put_in_place_by_hand_are_followed_through_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = small_params(["lsh"], {}, 1)
    by_hand(params, file="mine", protocol="lists:lists")
    published = params["backbones"]["vit_micro"] | {"weights": {"file": "mine.safetensors"}}
    params["backbones"]["vit_micro"] = published
    write_params(tmp_path, params)
    monkeypatch.chdir(tmp_path)
    layout, chosen = Layout("quick"), load_params(tmp_path / "params.yaml")
    places = [Path("data/mine/train/a/1.png"), Path("lists/test.txt"), Path("weights/mine.safetensors")]
    digests = set()
    for number in range(2):
        for path in places:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{path} {number}", encoding="utf-8")
            link_sources(chosen, "quick", layout)
            digests.add(md5_of(layout.sources))
    Path("data/mine/train/a/2.png").write_text("one more", encoding="utf-8")
    link_sources(chosen, "quick", layout)
    digests.add(md5_of(layout.sources))
    places[0].unlink()
    link_sources(chosen, "quick", layout)
    digests.add(md5_of(layout.sources))
    assert len(digests) == 8


def test_stages_that_read_what_was_put_in_place_by_hand_depend_on_the_links() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    reading = {name for name, stage in stages.items() if "artefacts/${profile}/sources" in stage.get("deps", [])}
    assert reading == {"fetch", "split", "backbones"}


@pytest.mark.slow
def test_an_experiment_with_one_value_changed_fits_that_method_and_can_be_taken_back(tmp_path: Path) -> None:
    folder = make_checkout(tmp_path / "checkout", ["nsh", "lsh"], git=True)
    every_stage(folder)
    dvc(folder, "commit", "--force", "--quiet")
    for arguments in (["add", "--all"], ["commit", "--quiet", "--message", "m = 2"]):
        run(folder, "git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments)
    before = content_of_results(folder)

    done = run_warm(folder, "dvc", "exp", "run", "--name", "four", "--set-param", "methods.nsh.m.value=4")
    said = done.stdout + done.stderr
    assert "fit nsh: 1 cells fitted, 0 kept" in said
    assert "fit lsh" not in said
    measured = content_of_results(folder)
    assert measured["records.jsonl"] != before["records.jsonl"]

    shown = csv.DictReader(io.StringIO(dvc(folder, "exp", "show", "--csv")))
    rows = {row["Experiment"] or "baseline": row for row in shown}
    column = next(name for name in rows["four"] if name and name.endswith("nsh.json:digits.16"))
    assert rows["four"][column] != rows["baseline"][column]
    assert rows["four"]["methods.nsh.m.value"] == "4"

    run(folder, "git", "reset", "--quiet", "--hard")
    dvc(folder, "checkout")
    assert content_of_results(folder) == before
    dvc(folder, "exp", "apply", "four")
    assert content_of_results(folder) == measured
    assert "no differences" in hashbench(folder, "verify", "results/quick").stdout
