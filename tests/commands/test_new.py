"""`hashbench new profile`: a block of params.yaml and a pipeline, and nothing else touched."""

from __future__ import annotations

import argparse
import difflib
import shutil
from pathlib import Path

import pytest
import yaml
from helpers import ROOT, copy_pipelines

from hashbench.cli import build_parser
from hashbench.commands.new import with_profile
from hashbench.config.params import load_params
from hashbench.errors import HashbenchError
from hashbench.execution.pipelines import open_beside

TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    copy_pipelines(tmp_path)
    for name in ("src", "baselines"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HASHBENCH_PARAMS", raising=False)
    return tmp_path


def new_profile(*arguments: str) -> None:
    parsed: argparse.Namespace = build_parser().parse_args(["new", "profile", *arguments])
    parsed.run(parsed)


def added_lines(before: str, after: str) -> list[str]:
    """The lines that were added; fails where any was taken away."""
    changes = [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] != " "]
    assert {line[0] for line in changes} == {"+"}
    return [line[2:] for line in changes]


def test_a_new_profile_leaves_all_other_lines_as_they_are(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new_profile("mine", "--like", "cpu", "--datasets", "digits", "cifar10")
    lines = added_lines(TEXT, Path("params.yaml").read_text(encoding="utf-8"))
    assert lines[:2] == ["  mine:", "    title: mine (like cpu)"]
    params = load_params()
    mine, cpu = params.profiles["mine"], params.profiles["cpu"]
    assert list(params.profiles)[-1] == "mine"
    assert mine == cpu.model_copy(update={"title": "mine (like cpu)", "datasets": ["digits", "cifar10"]})
    told = capsys.readouterr().out
    assert "next: `hashbench check mine`, then `nox -s reproduce_table1 -- --profile mine`" in told


def assert_is_pipeline(folder: Path, profile: str, like: str) -> None:
    """A pipeline's folder holds two links and a file that names its profile."""
    links = {path.name: str(path.readlink()) for path in folder.iterdir() if path.is_symlink()}
    assert links == {"dvc.yaml": like, "params.yaml": "../../params.yaml"}
    assert all((folder / name).is_file() for name in links)
    assert (folder / "profile.yaml").read_text() == f"profile: {profile}\nroot: ../..\n"


def test_the_pipeline_of_a_new_profile_is_like_all_others(clone: Path) -> None:
    new_profile("mine")
    for profile in ("mine", "cifar10-jpeg"):
        assert_is_pipeline(Path("pipelines", profile), profile, "../../dvc.yaml")
    assert not list(Path("pipelines").glob("*mine?*"))


@pytest.mark.parametrize(
    ("what", "folder"), [("ablations", "cpu-ablations"), ("official", "cpu-official"), ("search", "search-cpu")]
)
def test_a_pipeline_beside_it_is_made_when_it_is_first_opened(clone: Path, what: str, folder: str) -> None:
    made = Path("pipelines", folder)
    assert not made.exists()
    for _ in range(2):
        open_beside("cpu", what)
        assert_is_pipeline(made, "cpu", f"../{what}.yaml")
        assert (made / ".dvcignore").read_text() == "!/dvc.yaml\n"


@pytest.mark.parametrize(
    "name", ["Mine", "my profile", "../mine", "-mine", "", "m" * 65, "mine.yaml", "ma\u00dfe", "2024", "no", "null"]
)
def test_a_name_that_cannot_be_one_is_refused(clone: Path, name: str) -> None:
    arguments = argparse.Namespace(what="profile", name=name, like="quick", datasets=None)
    with pytest.raises(HashbenchError, match=r"a profile cannot be called .* small letters, digits"):
        build_parser().parse_args(["new", "profile", "x"]).run(arguments)
    assert Path("params.yaml").read_text(encoding="utf-8") == TEXT


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["quick"], "the profile quick exists already"),
        (["cpu"], "the profile cpu exists already"),
        (["quick-ablations"], "pipelines/quick-ablations exists already"),
        (["mine", "--like", "quik"], "unknown name 'quik'; did you mean 'quick'"),
        (["mine", "--datasets", "digit"], "unknown name 'digit'; did you mean 'digits'"),
    ],
)
def test_what_cannot_be_made_is_refused_before_anything_is_written(
    clone: Path, arguments: list[str], told: str
) -> None:
    before = sorted(Path("pipelines").rglob("*"))
    with pytest.raises(HashbenchError, match=told):
        new_profile(*arguments)
    assert Path("params.yaml").read_text(encoding="utf-8") == TEXT
    assert sorted(Path("pipelines").rglob("*")) == before


def test_a_block_written_by_hand_gets_a_pipeline(clone: Path) -> None:
    by_hand = with_profile(TEXT, "mine", "quick", ["digits"])
    Path("params.yaml").write_text(by_hand, encoding="utf-8")
    new_profile("mine")
    assert Path("params.yaml").read_text(encoding="utf-8") == by_hand
    assert Path("pipelines/mine/dvc.yaml").is_file()


def test_without_the_shared_pipelines_nothing_is_made(clone: Path) -> None:
    Path("dvc.yaml").unlink()
    with pytest.raises(HashbenchError, match=r"dvc\.yaml is missing; run from the root of a clone"):
        new_profile("mine")
    assert not Path("pipelines/mine").exists()
    assert Path("params.yaml").read_text(encoding="utf-8") == TEXT


SMALL = """# Numbers.
profiles:
  one:
    title: one  # the first
    datasets: [a, b]
    seeds:
    - 0

  # The second.
  two:
    title: "two: the last"
    datasets:
    - a
    overrides: {}  # none

# Where images come from.
datasets: {}
"""


@pytest.mark.parametrize(
    ("like", "datasets", "block"),
    [
        ("one", None, {"title": "new (like one)", "datasets": ["a", "b"], "seeds": [0]}),
        ("one", ["c"], {"title": "new (like one)", "datasets": ["c"], "seeds": [0]}),
        ("two", ["c", "8"], {"title": "new (like two)", "datasets": ["c", "8"], "overrides": {}}),
    ],
)
@pytest.mark.parametrize("text", [SMALL, SMALL.partition("\n\n# Where")[0], SMALL.partition("\n\n# Where")[0] + "\n"])
def test_comments_and_layout_stay(text: str, like: str, datasets: list[str] | None, block: dict[str, object]) -> None:
    after = with_profile(text, "new", like, datasets)
    lines = added_lines(text, after)
    assert lines[0] == "  new:"
    assert not any("#" in line for line in lines if "title" not in line)
    assert yaml.safe_load(after)["profiles"] == {**yaml.safe_load(text)["profiles"], "new": block}
    assert after.endswith("\n") == text.endswith("\n")
