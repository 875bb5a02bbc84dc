"""Links to files that were put in place by hand: DVC sees when one of them is replaced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT, TINY, read_params

from hashbench.artefacts.layout import Layout
from hashbench.config.params import Params
from hashbench.execution.sources import link_sources

LAYOUT = Layout("quick")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with the code of methods, and none of the user's own settings."""
    for name in ("src", "baselines"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    for name in ("DATA", "WEIGHTS"):
        monkeypatch.delenv(f"HASHBENCH_{name}", raising=False)
    return tmp_path


@pytest.fixture
def link() -> Callable[..., set[str]]:
    """Links the sources of a profile of some data sets; the names of the links, the README aside."""

    def call(**datasets: dict[str, Any]) -> set[str]:
        params = read_params(ROOT)
        blocks = {name: {**params["datasets"]["digits"], "k": None, **block} for name, block in datasets.items()}
        params["datasets"] |= blocks
        params["profiles"]["quick"] |= TINY | {"datasets": list(datasets), "backbones": ["vgg16"]}
        link_sources(Params.model_validate(params), "quick", LAYOUT)
        return {
            path.relative_to(LAYOUT.sources).as_posix()
            for path in LAYOUT.sources.rglob("*")
            if not path.is_dir() and path.name != "README"
        }

    return call


def put(path: str, content: str = "x") -> Path:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(content)
    return Path(path)


FOLDER = {"kind": "imagefolder", "file": "mine"}
ZIP = {"kind": "imagefolder", "file": "mine.zip"}


def test_a_file_without_an_address_is_linked_where_it_is_in_place(link: Callable[..., set[str]]) -> None:
    assert link(mine=ZIP) == set()
    assert (LAYOUT.sources / "README").is_file(), "DVC wants a folder that is not empty"
    put("data/mine.zip", "images")
    assert link(mine=ZIP) == {"data/mine.zip"}
    assert (LAYOUT.sources / "data" / "mine.zip").read_text() == "images"


def test_a_folder_becomes_links_to_its_files_as_they_are_now(link: Callable[..., set[str]]) -> None:
    put("data/mine/train/a/1.jpg")
    put("data/mine/train/b/2.jpg")
    assert link(mine=FOLDER) == {"data/mine/train/a/1.jpg", "data/mine/train/b/2.jpg"}
    Path("data/mine/train/a/1.jpg").unlink()
    put("data/mine/test/a/3.jpg")
    assert link(mine=FOLDER) == {"data/mine/train/b/2.jpg", "data/mine/test/a/3.jpg"}
    assert all(path.exists() for path in LAYOUT.sources.rglob("*"))


def test_another_folder_of_data_is_another_target(
    link: Callable[..., set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    put("data/mine.zip", "here")
    put("lab/mine.zip", "there")
    for variable, content in ((None, "here"), ("lab", "there"), (None, "here")):
        if variable is None:
            monkeypatch.delenv("HASHBENCH_DATA", raising=False)
        else:
            monkeypatch.setenv("HASHBENCH_DATA", variable)
        link(mine=ZIP)
        assert (LAYOUT.sources / "data" / "mine.zip").read_text() == content


def test_lists_of_splits_and_weights_are_linked(link: Callable[..., set[str]]) -> None:
    put("lists/mine/train.txt")
    put("lists/mine/test.txt")
    put("weights/vgg16.tv_in1k.safetensors")
    assert link(mine={"protocol": "lists:lists/mine"}) == {
        "lists/mine/train.txt",
        "lists/mine/test.txt",
        "weights/vgg16.tv_in1k.safetensors",
    }


def test_what_is_no_longer_of_the_profile_is_removed(link: Callable[..., set[str]]) -> None:
    put("data/mine.zip")
    put("data/yours.zip")
    assert link(mine=ZIP, yours={**ZIP, "file": "yours.zip"}) == {"data/mine.zip", "data/yours.zip"}
    assert link(mine=ZIP) == {"data/mine.zip"}
    assert put("data/yours.zip").exists(), "the link alone"
