"""The pipeline files of a profile: links to the ones that all profiles share, and a file that names the profile.

DVC speaks of every pipeline that it finds, so it is shown that of the root alone (`.dvcignore`) and those that were
opened in this clone. Those beside that of a profile's methods are made when they are first opened.
"""

from __future__ import annotations

from pathlib import Path

from hashbench.errors import HashbenchError

ROOT_PROFILE = "quick"  # whose pipeline is the one at the root, so that a bare `dvc repro` makes it
PIPELINE = Path("dvc.yaml")
BESIDE = {"ablations": "{}-ablations", "official": "{}-official", "search": "search-{}"}
"""The pipelines beside that of a profile's methods: the one that all profiles share is pipelines/<name>.yaml, and this
is the folder of a profile's own."""


def pipeline_of(profile: str) -> Path:
    """The pipeline file of a profile, below the project's root."""
    return PIPELINE if profile == ROOT_PROFILE else Path("pipelines", profile, "dvc.yaml")


def pipeline_beside(profile: str, what: str) -> Path:
    """One of the pipeline files `BESIDE` that of a profile's methods."""
    return Path("pipelines", BESIDE[what].format(profile), "dvc.yaml")


def open_pipeline(pipeline: Path) -> None:
    """Show DVC a pipeline below pipelines/, from now on and in this clone alone."""
    if pipeline != PIPELINE and pipeline.is_file():
        pipeline.with_name(".dvcignore").write_text("!/dvc.yaml\n", encoding="utf-8")


def open_beside(profile: str, what: str) -> None:
    """Show DVC one of the pipelines `BESIDE` that of a profile's methods; make it first where it is not there yet."""
    pipeline = pipeline_beside(profile, what)
    if not pipeline.exists():
        create_pipeline(profile, pipeline, Path("pipelines", f"{what}.yaml"))
    open_pipeline(pipeline)


def create_pipeline(profile: str, pipeline: Path, shared: Path) -> None:
    """Make the folder of one of a profile's pipelines, which is like that of the `shared` file.

    Raises HashbenchError where the folder exists, or where the project's own pipelines are not here.
    """
    folder = pipeline.parent
    if folder.exists():
        raise HashbenchError(f"{folder} exists already; remove it, or choose another name")
    if not shared.is_file():
        raise HashbenchError(f"{shared} is missing; run from the root of a clone of hashbench")
    folder.mkdir(parents=True)
    (folder / "dvc.yaml").symlink_to(Path("../..") / shared if shared == PIPELINE else Path("..") / shared.name)
    (folder / "params.yaml").symlink_to("../../params.yaml")
    (folder / "profile.yaml").write_text(f"profile: {profile}\nroot: ../..\n", encoding="utf-8")
