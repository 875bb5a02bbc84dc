"""The pipeline files: one pipeline, several profiles; and what runs again when something changes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from helpers import (
    ROOT,
    content_of_results,
    differing,
    dvc,
    flip_a_byte,
    hashbench,
    read_params,
    run,
    run_warm,
    stages_run,
    write_params,
)

from hashbench.artefacts.layout import Group, Layout
from hashbench.artefacts.records import read_records
from hashbench.artefacts.split import read_split
from hashbench.execution.pipelines import pipeline_beside, pipeline_of
from hashbench.verification.dvclock import is_in_cache

PARAMS = read_params(ROOT)
SHARED = ["dvc.yaml", *(f"pipelines/{name}.yaml" for name in ("ablations", "official", "search"))]
OF_PROFILES = [
    (profile, pipeline, shared)
    for profile in PARAMS["profiles"]
    for pipeline, shared in zip(
        [pipeline_of(profile), *(pipeline_beside(profile, what) for what in ("ablations", "official", "search"))],
        SHARED,
        strict=True,
    )
]


@pytest.mark.parametrize(
    ("profile", "pipeline", "shared"),
    [each for each in OF_PROFILES if each[2] == "dvc.yaml" or (ROOT / each[1]).exists()],
)
def test_every_profile_has_the_same_pipeline(profile: str, pipeline: Path, shared: str) -> None:
    path = ROOT / pipeline
    assert path.resolve() == ROOT / shared
    assert (path.parent / "params.yaml").resolve() == ROOT / "params.yaml"
    said = yaml.safe_load((path.parent / "profile.yaml").read_text())
    assert said == {"profile": profile, "root": "." if path.parent == ROOT else "../.."}
    assert yaml.safe_load(path.read_text())["vars"] == ["profile.yaml"]


def test_every_pipeline_is_of_a_profile() -> None:
    known = {pipeline.parent for _, pipeline, _ in OF_PROFILES}
    found = {path.parent.relative_to(ROOT) for path in (ROOT / "pipelines").glob("*/dvc.yaml")}
    assert {Path("pipelines/quick-ablations"), Path("pipelines/cifar10-jpeg")} <= found <= known


def stages_of(path: Path) -> dict[str, Any]:
    return {name: stage.get("do", stage) for name, stage in yaml.safe_load(path.read_text())["stages"].items()}


@pytest.mark.parametrize("path", SHARED)
def test_what_a_killed_run_finished_is_kept(path: str) -> None:
    """DVC removes an output before its stage runs, unless it is told to let it be."""
    for name, stage in stages_of(ROOT / path).items():
        for out in [*stage.get("outs", []), *stage.get("metrics", [])]:
            ((place, how),) = out.items()
            assert how["persist"] is True, f"{name}: {place}"


@pytest.mark.parametrize("path", SHARED)
def test_dvc_caches_what_is_not_in_git_and_nothing_else(path: str) -> None:
    for name, stage in stages_of(ROOT / path).items():
        for out in [*stage.get("outs", []), *stage.get("metrics", [])]:
            ((place, how),) = out.items()
            links = place.endswith("/sources")  # to files of this machine
            assert how.get("cache", True) is not (is_in_git(place) or links), f"{name}: {place}"


def is_in_git(place: str) -> bool:
    """Whether git holds an output, named as in a pipeline file."""
    path = Path(place.replace("${profile}", "quick"))
    groups: tuple[Group, ...] = ("methods", "ablations", "official")
    cached = any(is_in_cache(Layout("quick", group), path / "any") for group in groups)
    ignored = run(ROOT, "git", "check-ignore", "--quiet", str(path / "any"), status=None).returncode == 0
    assert cached is (ignored and place.startswith("results/")), place
    return not ignored


@pytest.fixture(scope="module")
def project(finished: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout that has run once, with methods to compare with."""
    folder = finished(tmp_path_factory.mktemp("pipelines") / "project")
    write_params(folder, {**read_params(folder), "references": ["lsh"]})
    assert stages_run(dvc(folder, "repro")) == ["params", "report"]
    assert ",nsh,lsh," in (folder / "results" / "quick" / "standings.csv").read_text()
    return folder


def records(project: Path) -> dict[str, str]:
    """The lines of the records, by cell."""
    layout = Layout("quick", root=project)
    lines = layout.records.read_text().splitlines()
    return {record.cell.name: line for record, line in zip(read_records(layout.records), lines, strict=True)}


def files_of_fits(project: Path) -> dict[Path, int]:
    """When each file of a fit was written."""
    fits = project / "artefacts" / "quick" / "fits" / "methods"
    return {path: path.stat().st_mtime_ns for path in fits.rglob("*") if path.is_file()}


def test_the_pipeline_writes_a_record_a_cell_and_the_table(project: Path) -> None:
    assert list(records(project)) == [
        f"digits-vit_micro-{method}-{bits}-0" for method in ("lsh", "nsh") for bits in (16, 32)
    ]
    for ending in ("md", "csv", "tex"):
        assert (project / "results" / "quick" / f"table1.{ending}").read_text()


def test_a_second_run_does_nothing(project: Path) -> None:
    assert stages_run(dvc(project, "repro")) == []


def test_metrics_are_one_number_a_method_and_length(project: Path) -> None:
    said = json.loads(dvc(project, "metrics", "show", "--json"))
    files = said[""]["data"]
    assert files
    for place, found in files.items():
        assert place.startswith("results/quick/metrics/")
        leaves = list(numbers(found["data"]))
        assert leaves
        assert all(isinstance(value, float) for value in leaves)
    assert sum(len(list(numbers(found["data"]))) for found in files.values()) == len(records(project))


def numbers(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for each in value.values():
            yield from numbers(each)
    else:
        yield value


def test_a_pipeline_is_shown_to_dvc_when_it_is_opened(project: Path) -> None:
    hashbench(project, "new", "profile", "mine")
    assert json.loads(dvc(project, "status", "--json", status=None)).keys() == {"params"}  # params.yaml is another
    assert "pipelines" not in dvc(project, "stage", "list")
    assert "results/mine" not in dvc(project, "metrics", "show")
    hashbench(project, "check", "mine")
    opened = json.loads(dvc(project, "status", "--json"))
    assert {"pipelines/mine/dvc.yaml:params", "pipelines/mine/dvc.yaml:fit@nsh"} <= opened.keys()
    assert not any("ablations" in name for name in opened)
    assert stages_run(dvc(project, "repro", "pipelines/mine/dvc.yaml:params")) == ["pipelines/mine/dvc.yaml:params"]
    assert Layout("mine", root=project).params.is_dir()
    for path in (project / "pipelines").glob("mine*/**/.dvcignore"):
        path.unlink()
    dvc(project, "repro")


def test_a_changed_hyperparameter_reruns_its_method_alone(project: Path) -> None:
    before, files = records(project), files_of_fits(project)
    params = read_params(project)
    params["methods"]["nsh"]["epochs"]["value"] = 2
    write_params(project, params)
    assert stages_run(dvc(project, "repro")) == ["params", "fit@nsh", "evaluate", "report"]
    assert differing(before, records(project)) == {"digits-vit_micro-nsh-16-0", "digits-vit_micro-nsh-32-0"}
    assert {path.parent.name for path in differing(files, files_of_fits(project))} == {"nsh"}


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("artefacts/quick/fits/methods/lsh/digits-vit_micro-lsh-16-0.codes.safetensors", "fit@lsh"),
        ("results/quick/codes/lsh.safetensors", "evaluate"),
        ("results/quick/records.jsonl", "evaluate"),
    ],
)
def test_a_damaged_file_is_made_again(project: Path, name: str, stage: str) -> None:
    path, before = project / name, content_of_results(project)
    whole = path.read_bytes()
    flip_a_byte(path, len(whole) - 20)
    done = run_warm(project, "dvc", "repro")
    assert stages_run(done.stdout)[0] == stage
    assert path.read_bytes() == whole
    assert differing(before, content_of_results(project)) == set()
    if name.startswith("artefacts"):
        assert f"{name} is damaged" in done.stderr


def test_a_method_trained_again_gives_the_same_bits(project: Path) -> None:
    done = hashbench(project, "verify", "results/quick", "--refit", "nsh")
    assert done.stdout.endswith("results/quick: 4 of 4 runs recomputed from their codes, no differences\n")
    assert "refit: digits-vit_micro-nsh-16-0, digits-vit_micro-nsh-32-0\n" in done.stdout


def test_the_worked_example_of_a_method_runs(project: Path) -> None:
    text = (ROOT / "docs" / "adding.md").read_text()
    code = text.partition('```python title="my_hash.py"\n')[2].partition("```")[0]
    (project / "my_hash.py").write_text(code)
    (command,) = re.findall(r"^uv run hashbench (fit my_hash\.py.*)$", text, re.MULTILINE)
    done = hashbench(project, *command.split())
    assert "Median LSH" in done.stdout
    assert "LSH" in done.stdout


def test_a_submission_makes_the_report_again_and_nothing_else(project: Path) -> None:
    split = read_split(Layout("quick", root=project).split("digits"))
    bits = np.random.default_rng(0).integers(0, 2, (len(split.labels), 16))
    codes = {"query_codes": bits[split.query], "db_codes": bits[split.database]}
    labels = {"query_labels": split.labels[split.query], "db_labels": split.labels[split.database]}
    np.savez(project / "codes.npz", **codes, **labels)
    options = {"method": "mine", "paper": "none", "protocol": split.name, "backbone": "net", "bits": "16", "seed": "0"}
    hashbench(project, "submit", "codes.npz", *(part for name in options for part in (f"--{name}", options[name])))
    assert stages_run(dvc(project, "repro")) == ["report"]
    assert "mine (net; submitted)" in (project / "results" / "quick" / "table1.md").read_text()
    assert hashbench(project, "verify", "results/quick").stdout.endswith("no differences\n")
    assert hashbench(project, "verify", "submissions").stdout.endswith("recomputed from their codes, no differences\n")
