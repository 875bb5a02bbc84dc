"""Artefacts travel: through DVC's cache, a remote, and experiments in a folder of their own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import (
    content_of_results,
    differing,
    dvc,
    every_stage,
    flip_a_byte,
    hashbench,
    read_params,
    run,
    stages_run,
    write_params,
)

from hashbench.artefacts.layout import Layout
from hashbench.artefacts.records import read_records
from hashbench.artefacts.seconds import read_seconds
from hashbench.records import RunRecord

NO_DIFFERENCES = "results/quick: 4 of 4 runs recomputed from their codes, no differences\n"


@pytest.fixture
def project(finished: Callable[[Path], Path], tmp_path: Path) -> Path:
    """A checkout that has run once."""
    return finished(tmp_path / "project")


def artefacts(project: Path) -> dict[str, bytes]:
    """Every file of the artefacts that DVC caches, by name."""
    folder = project / "artefacts" / "quick"
    files = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    not_cached = ("checkpoints", "locks", "seconds", "sources")
    return {name.as_posix(): path.read_bytes() for name, path in files.items() if name.parts[0] not in not_cached}


def test_artefacts_come_back_from_the_cache_and_from_a_remote(project: Path, tmp_path: Path) -> None:
    before = artefacts(project)
    dvc(project, "remote", "add", "--default", "--local", "storage", str(tmp_path / "storage"))
    dvc(project, "push", "--quiet")
    for bring, taken in (("checkout", ["artefacts"]), ("pull", ["artefacts", ".dvc/cache"])):
        for name in taken:
            shutil.rmtree(project / name)
        dvc(project, bring, "--quiet")
        assert differing(before, artefacts(project)) == set()
        # The links to files of this machine do not travel; one stage makes them and finds all else up to date.
        assert stages_run(dvc(project, "repro")) == ["params"]
    assert hashbench(project, "verify", "results/quick").stdout == NO_DIFFERENCES


def test_a_run_from_scratch_changes_nothing_in_git_but_seconds(project: Path) -> None:
    as_a_git_repository(project)
    for name in ("artefacts", ".dvc/cache", "results/quick"):
        shutil.rmtree(project / name)
    (project / "dvc.lock").unlink()
    every_stage(project)
    dvc(project, "commit", "--force", "--quiet")
    status = run(project, "git", "status", "--porcelain", "--untracked-files=all").stdout.splitlines()
    changed = {line[3:] for line in status}
    assert "results/quick/cost/seconds.csv" in changed
    assert {name for name in changed if not name.startswith("results/quick/cost/")} == set()
    assert "cost" not in (project / "dvc.lock").read_text()


def test_cells_that_dvc_brings_without_their_seconds_keep_those_in_git(project: Path) -> None:
    path = Layout("quick", root=project).seconds
    before = read_seconds(path)
    assert len(before) == 4
    shutil.rmtree(project / "artefacts")
    dvc(project, "checkout", "--quiet")
    params = read_params(project)
    params["evaluation"]["ranks"] = [1, 10]
    write_params(project, params)
    assert stages_run(dvc(project, "repro")) == ["params", "evaluate", "report"]
    after = read_seconds(path)
    assert {cell: (took.fit, took.encode) for cell, took in after.items()} == {
        cell: (took.fit, took.encode) for cell, took in before.items()
    }
    assert (path.parent / "table3.md").is_file()


def test_a_method_s_fits_can_be_pulled_alone(project: Path, tmp_path: Path) -> None:
    dvc(project, "remote", "add", "--default", "--local", "storage", str(tmp_path / "storage"))
    dvc(project, "push", "--quiet")
    for name in ("artefacts", ".dvc/cache"):
        shutil.rmtree(project / name)
    dvc(project, "pull", "--quiet", "fit@nsh")
    assert {name.partition("/")[0] for name in artefacts(project)} == {"fits"}
    assert {Path(name).parent.name for name in artefacts(project)} == {"nsh"}


@pytest.mark.slow
def test_an_experiment_in_a_folder_of_its_own_fits_what_it_changes_and_can_be_applied(project: Path) -> None:
    as_a_git_repository(project)
    before, seconds = records(project), read_seconds(Layout("quick", root=project).seconds)
    done = run(project, "dvc", "exp", "run", "--temp", "--name", "larger", "-S", "methods.nsh.m.value=4")
    assert stages_run(done.stdout) == ["params", "fit@nsh", "evaluate", "report"]
    assert records(project) == before, "the working tree is left alone"
    assert read_params(project)["methods"]["nsh"]["m"]["value"] != 4

    shown = measured(project, "larger")
    assert shown
    dvc(project, "exp", "apply", "larger")
    assert read_params(project)["methods"]["nsh"]["m"]["value"] == 4
    after = records(project)
    assert differing(before, after) == {name for name in before if "-nsh-" in name}
    assert all(record.fit.hyperparameters["m"] == 4 for name, record in after.items() if "-nsh-" in name)
    assert {place: json.loads((project / place).read_text()) for place in shown} == shown
    changed = differing(seconds, read_seconds(Layout("quick", root=project).seconds))
    assert {cell.method for cell in changed} >= {"nsh"}, "the seconds of what was fitted there came along"
    assert stages_run(dvc(project, "repro")) == []
    assert hashbench(project, "verify", "results/quick").stdout == NO_DIFFERENCES


def measured(project: Path, name: str) -> dict[str, object]:
    """What `dvc exp show` lists for an experiment, by metrics file."""
    branches = json.loads(dvc(project, "exp", "show", "--json"))
    revisions = {each["name"]: each["revs"][0] for branch in branches for each in branch["experiments"] or ()}
    return {place: found["data"] for place, found in revisions[name]["data"]["metrics"].items()}


def as_a_git_repository(project: Path) -> None:
    """Put a checkout and its results under git, as a clone has them."""
    run(project, "git", "init", "--quiet")
    dvc(project, "config", "core.no_scm", "false")
    run(project, "git", "add", "--all")
    identity = ("-c", "user.name=Someone", "-c", "user.email=someone@example.org")
    run(project, "git", *identity, "commit", "--quiet", "--message", "Results of quick")


def records(project: Path) -> dict[str, RunRecord]:
    return {record.cell.name: record for record in read_records(Layout("quick", root=project).records)}


def test_damage_does_not_reach_the_cache_and_is_mended(project: Path) -> None:
    """A hard link would let a byte that rots in an artefact rot in DVC's cache too."""
    path = project / "artefacts/quick/fits/methods/lsh/digits-vit_micro-lsh-16-0.codes.safetensors"
    whole, before = path.read_bytes(), content_of_results(project)
    for _ in range(2):
        shutil.rmtree(path.parent)
        dvc(project, "checkout", "--quiet", "--relink")
        assert path.read_bytes() == whole
        flip_a_byte(path)
        done = run(project, "dvc", "repro")
        assert f"{path.relative_to(project)} is damaged" in done.stderr
        assert path.read_bytes() == whole
        assert differing(before, content_of_results(project)) == set()
