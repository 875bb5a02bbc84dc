"""`hashbench check`: whatever is missing is named with its place, size and address."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import ROOT, copy_pipelines, read_params, write_params

from hashbench.artefacts.layout import Layout
from hashbench.commands.check import run
from hashbench.commands.new import with_profile
from hashbench.errors import HashbenchError
from hashbench.execution import requirements


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone without data and weights, and without a network."""
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    copy_pipelines(tmp_path)
    for name in ("src", "baselines", "embedded"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    for name in ("DATA", "WEIGHTS", "PARAMS", "EXECUTOR"):
        monkeypatch.delenv(f"HASHBENCH_{name}", raising=False)
    monkeypatch.setenv("HASHBENCH_OFFLINE", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return tmp_path


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Lets the addresses that hold a word answer."""

    def answer(word: str) -> None:
        monkeypatch.setenv("HASHBENCH_OFFLINE", "0")
        monkeypatch.setattr(requirements, "_answers", lambda url: word in url)

    return answer


def check(profile: str, *beside: str) -> None:
    chosen = {option: option in beside for option in ("ablations", "official", "search")}
    run(argparse.Namespace(profile=profile, **chosen))


def lacking(profile: str) -> list[str]:
    """The lines that say what a profile lacks."""
    with pytest.raises(HashbenchError) as caught:
        check(profile)
    first, *lines = str(caught.value).splitlines()
    assert first == f"profile {profile} cannot start:"
    return [line.strip() for line in lines]


def test_quick_needs_nothing(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check("quick")
    *left_out, last = capsys.readouterr().out.splitlines()
    assert [line.partition(" needs")[0] for line in left_out] == ["left out: uhscm", "left out: duheg"]
    assert last == "profile quick: nothing is missing"


def test_files_of_texts_are_asked_for_and_linked_like_weights(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    params = read_params(clone)
    params["backbones"]["tf_efficientnet_lite0_96px"]["texts"] = {"nouns": "nouns.safetensors"}
    write_params(clone, params)
    assert lacking("quick") == ["weights/nouns.safetensors is missing (size unknown)"]
    (clone / "weights").mkdir()
    (clone / "weights" / "nouns.safetensors").touch()
    (sources := Layout("quick").sources).mkdir(parents=True)
    capsys.readouterr()
    check("quick")
    *left_out, last = capsys.readouterr().out.splitlines()
    assert [line.partition(" needs")[0] for line in left_out] == ["left out: uhscm"]
    assert last == "profile quick: nothing is missing"
    assert (sources / "weights" / "nouns.safetensors").resolve() == clone / "weights" / "nouns.safetensors"


def test_cpu_can_be_completed_from_what_is_told(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights, archive = lacking("cpu")
    assert weights == (
        "weights/tf_efficientnet_lite0.safetensors is missing (19 MB), from "
        "https://huggingface.co/timm/tf_efficientnet_lite0.in1k/resolve/main/model.safetensors"
    )
    assert archive.startswith(
        "CIFAR-10: data/cifar-10-python.tar.gz is missing (170 MB), from https://www.cs.toronto.edu/"
    )
    for line in (weights, archive):
        place = Path(line.partition(" is missing")[0].rpartition(" ")[2])
        place.parent.mkdir()
        place.touch()
    check("cpu")
    assert "nothing is missing" in capsys.readouterr().out


def test_everything_is_named_at_once(clone: Path) -> None:
    told = lacking("paper")
    assert told[0] == "no CUDA GPU is visible"
    assert [line.partition(" is missing")[0] for line in told[1:]] == [
        "weights/vgg16.tv_in1k.safetensors",
        "weights/vit_base_patch16_224.orig_in21k.safetensors",
        "CIFAR-10: data/cifar-10-python.tar.gz",
        "NUS-WIDE-21: data/nuswide/ImageList.zip",
        "NUS-WIDE-21: data/nuswide/Groundtruth.zip",
        "NUS-WIDE-21: data/nuswide/Flickr",
        "MS-COCO: data/mscoco/train2014.zip",
        "MS-COCO: data/mscoco/val2014.zip",
        "MS-COCO: data/mscoco/annotations_trainval2014.zip",
    ]
    assert all("huggingface.co" in line for line in told[1:3])
    assert [line for line in told if "no checksum of it is known" in line] == [told[2]]
    assert "(size unknown): ask for the images by the form at https://lms.comp.nus.edu.sg/" in told[6]
    assert "(13,511 MB), from http://images.cocodataset.org/zips/train2014.zip" in told[7]


def test_a_profile_on_a_gpu_is_estimated_before_what_it_lacks_is_named(
    clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lacking("paper")
    told = capsys.readouterr().out.splitlines()
    *lines, total = [line for line in told if line.startswith("estimate: ")]
    assert told[: len(lines) + 1] == [*lines, total]
    assert [line for line in lines if "wch on CIFAR-10: " in line] == [
        "estimate: wch on CIFAR-10: 8 min by vgg16 or 9 min by vit_base_patch16_224 for each of 9 cells, 7,850 steps"
    ]
    assert "in all on one H100 at 100 TFLOP/s, without reading and augmenting pictures" in total


def test_what_a_run_fetches_by_itself_stops_nobody(
    clone: Path, online: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    online("")
    check("cpu")
    *told, last = capsys.readouterr().out.splitlines()
    fetched = [line for line in told if not line.startswith("left out: ")]
    assert [line.partition(" is missing")[0] for line in fetched] == [
        "to be fetched: weights/tf_efficientnet_lite0.safetensors",
        "to be fetched: CIFAR-10: data/cifar-10-python.tar.gz",
    ]
    assert last == "profile cpu: nothing is missing, the rest is fetched"


def test_an_address_that_does_not_answer_is_something_that_is_missing(
    clone: Path, online: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    online("cs.toronto.edu")
    assert [line.partition(" is missing")[0] for line in lacking("cpu")] == [
        "weights/tf_efficientnet_lite0.safetensors"
    ]
    assert "to be fetched: CIFAR-10: data/cifar-10-python.tar.gz" in capsys.readouterr().out


def test_folders_named_by_variables_are_searched_first(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HASHBENCH_WEIGHTS", "/srv/weights")
    monkeypatch.setenv("HASHBENCH_DATA", "/srv/data")
    weights, archive = lacking("cpu")
    name = "tf_efficientnet_lite0.safetensors"
    assert weights.startswith(f"/srv/weights/{name} or weights/{name} is missing")
    assert "/srv/data/cifar-10-python.tar.gz or data/cifar-10-python.tar.gz is missing" in archive


def test_a_folder_of_images_is_told_with_its_layout(clone: Path) -> None:
    told = lacking("cifar10-jpeg")[-1]
    assert told.startswith(
        "CIFAR-10 (JPEG): data/cifar10-jpeg.zip is missing (size unknown): put there a folder or zip"
    )


def test_a_profile_without_a_pipeline_is_told_how_to_get_one(clone: Path) -> None:
    path = Path("params.yaml")
    path.write_text(with_profile(path.read_text(encoding="utf-8"), "mine", "quick", None), encoding="utf-8")
    assert lacking("mine") == ["pipelines/mine/dvc.yaml is missing: `hashbench new profile mine` makes it"]


def test_an_unknown_profile_is_refused(clone: Path) -> None:
    with pytest.raises(HashbenchError, match="did you mean 'quick'"):
        check("quik")


def open_pipelines() -> set[str]:
    """The pipelines below pipelines/ that DVC is shown."""
    return {path.parent.name for path in Path("pipelines").glob("*/.dvcignore")}


def test_the_pipeline_of_the_profile_is_opened_and_no_other(clone: Path, online: Callable[[str], None]) -> None:
    online("")
    check("quick")
    assert open_pipelines() == set()
    check("cpu")
    assert open_pipelines() == {"cpu"}
    check("quick", "ablations")
    assert open_pipelines() == {"cpu", "quick-ablations"}
    check("quick", "official", "search")
    assert open_pipelines() == {"cpu", "quick-ablations", "quick-official", "search-quick"}
    assert Path("pipelines/cpu/.dvcignore").read_text() == "!/dvc.yaml\n"


def test_a_pipeline_is_opened_even_where_something_is_missing(clone: Path) -> None:
    lacking("cpu")
    assert open_pipelines() == {"cpu"}
