"""The profile `paper` on a CPU, tiny but of the same structure: from files in the publishers' formats to its report."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data.publishers import CIFAR_BATCHES, cifar_archive, put, python2_batch
from helpers import ROOT, keep_methods, make_checkout, read_params, run, write_params
from PIL import Image

PROFILE = read_params(ROOT)["profiles"]["paper"]
CONCEPTS, CATEGORIES = 81, 80
SMALL_VGG16 = [8, "M", 8, "M", 16, "M", 16, "M", 16, "M"]  # timm takes no other channels as arguments

# The archives of CIFAR-10 and MS-COCO are refused but for their published sizes and checksums.
STAGES = f"""
import dataclasses, hashlib
from pathlib import Path

import yaml
from timm.models import vgg

from hashbench.data import cifar10, mscoco
from hashbench.execution.command import run_guarded, set_up_log
from hashbench.stages import backbones, evaluate, features, fetch, fit, params, report, split


def as_it_lies_there(spec):
    content = (Path("data") / spec.name).read_bytes()
    return dataclasses.replace(spec, size=len(content), md5=hashlib.md5(content).hexdigest(), sha256=None)


vgg.cfgs["vgg16"] = {SMALL_VGG16}
for module in (cifar10, mscoco):
    module.FILES = tuple(as_it_lies_there(spec) for spec in module.FILES if (Path("data") / spec.name).is_file())
set_up_log()
methods = yaml.safe_load(open("params.yaml"))["methods"]
calls = [(stage,) for stage in (params, fetch, split, backbones, features)]
calls += [*((fit, "methods", method) for method in methods), (evaluate, "methods"), (report, "methods")]
for stage, *arguments in calls:
    assert run_guarded(lambda: stage.main("paper", *arguments)) == 0, (stage, arguments)
"""


def jpeg(rng: np.random.Generator) -> bytes:
    out = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (36, 40, 3), dtype=np.uint8)).save(out, "JPEG")
    return out.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def cifar10_files(rng: np.random.Generator) -> dict[str, bytes]:
    """10 images a batch, one of each class."""
    names = [b"image_%d.png" % number for number in range(10)]
    batches = {
        name: python2_batch(rng.integers(0, 256, (10, 3072), dtype=np.uint8), [*range(10)], names)
        for name in CIFAR_BATCHES
    }
    return {"cifar-10-python.tar.gz": cifar_archive(batches)}


def nuswide_files(rng: np.random.Generator) -> dict[str, bytes]:
    """60 photographs, each with one of the first 21 of 81 concepts and a random second."""
    names = [f"place\\{number:04}_{number}.jpg" for number in range(60)]
    shown = np.zeros((60, CONCEPTS), dtype=int)
    shown[np.arange(60), np.arange(60) % 21] = shown[np.arange(60), rng.integers(21, size=60)] = 1
    labels = {
        f"Groundtruth/AllLabels/Labels_c{column:02}.txt": "\n".join(map(str, shown[:, column])).encode()
        for column in range(CONCEPTS)
    }
    lists = {"Imagelist": names, "TestImagelist": names[45:], "TrainImagelist": names[:45]}
    image_list = {f"ImageList/{name}.txt": "\r\n".join(rows).encode() for name, rows in lists.items()}
    images = {"nuswide/Flickr/" + name.replace("\\", "/"): jpeg(rng) for name in names}
    return {"nuswide/ImageList.zip": zipped(image_list), "nuswide/Groundtruth.zip": zipped(labels), **images}


def mscoco_files(rng: np.random.Generator) -> dict[str, bytes]:
    """45 train and 15 validation images, each with two objects of the 80 categories."""
    files, annotations = {}, {}
    for part, numbers in (("train2014", range(45)), ("val2014", range(45, 60))):
        named = {number: f"COCO_{part}_{number:012}.jpg" for number in numbers}
        annotations[f"annotations/instances_{part}.json"] = json.dumps(
            {
                "categories": [{"id": column, "name": f"c{column}"} for column in range(CATEGORIES)],
                "images": [{"id": number, "file_name": name} for number, name in named.items()],
                "annotations": [
                    {"image_id": number, "category_id": int(category)}
                    for number in numbers
                    for category in (number % 8, rng.integers(CATEGORIES))
                ],
            }
        ).encode()
        files[f"mscoco/{part}.zip"] = zipped({f"{part}/{name}": jpeg(rng) for name in named.values()})
    return {**files, "mscoco/annotations_trainval2014.zip": zipped(annotations)}


FILES = {"cifar10": cifar10_files, "nuswide21": nuswide_files, "mscoco": mscoco_files}


def shrunken(params: dict[str, Any], names: list[str], chosen: list[str]) -> dict[str, Any]:
    """The profile with the data sets `names`, both backbones and the methods `chosen`: what takes long is cut."""
    keep_methods(params, chosen)
    methods = params["methods"]
    overrides = {name: block for name, block in PROFILE["overrides"].items() if name in methods}
    profile = PROFILE | {"device": "cpu", "precision": "fp32", "bits": [16], "seeds": [0], "views": 2}
    profile |= {"ablation_bits": [16], "overrides": overrides}
    for key in ("backbone_training_of", "augmentation_of"):
        profile[key] = {name: said for name, said in profile[key].items() if name in methods}
    for block in (*methods.values(), *overrides.values()):
        for name in ("epochs", "invariance_epochs", "hidden", "bottleneck", "latent"):
            if name in block:
                block[name]["value"] = min(block[name]["value"], 1 if name.endswith("epochs") else 32)
    backbones = {name: params["backbones"][name] for name in profile["backbones"]}
    for block in backbones.values():
        block |= {"precision": "fp32", "size": 32}
        block["weights"] = {"file": block["weights"]["file"]}
    backbones["vgg16"]["arguments"] = {"mlp_ratio": 0.01}
    backbones["vit_base_patch16_224"]["arguments"] = {"img_size": 32, "embed_dim": 48, "depth": 2, "num_heads": 3}
    protocols = {
        "cifar10": "per_class_1_4_without_train",
        "nuswide21": "at_random_10_40_with_train",
        "mscoco": "at_random_10_40_with_train",
    }
    datasets = {name: params["datasets"][name] | {"protocol": protocols[name]} for name in names}
    profile["datasets"] = names
    for block in datasets.values():
        block["k"] = 10
    cut = {"profiles": {"paper": profile}, "backbones": backbones, "datasets": datasets}
    return params | cut | {"ablations": {}, "controls": [], "references": []}


def write_weights(folder: Path, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights of every backbone, where `check` says that they belong."""
    from safetensors.torch import save_file
    from timm.models import vgg

    from hashbench.features.backbones import new_network
    from hashbench.features.specs import BackboneSpec

    monkeypatch.setitem(vgg.cfgs, "vgg16", SMALL_VGG16)
    (folder / "weights").mkdir()
    for name, block in params["backbones"].items():
        network = new_network(BackboneSpec.read(name, block), seed=1)
        save_file(network.state_dict(), folder / "weights" / block["weights"]["file"])


# Every method that the profile says something of runs on one data set, and some on the others.
SAID = [name for name in read_params(ROOT)["methods"] if name in PROFILE["overrides"]]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("datasets", "methods"), [(["cifar10"], SAID), (["nuswide21", "mscoco"], ["wch", "nsh", "lsh"])]
)
def test_it_runs_from_published_files_to_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, datasets: list[str], methods: list[str]
) -> None:
    folder = make_checkout(tmp_path / "checkout", [])
    params = shrunken(read_params(ROOT), datasets, methods)
    write_params(folder, params)
    rng = np.random.default_rng(0)
    put(folder / "data", {name: content for each in datasets for name, content in FILES[each](rng).items()})
    write_weights(folder, params, monkeypatch)

    run(folder, sys.executable, "-c", STAGES, OMP_NUM_THREADS="1", HASHBENCH_OFFLINE="1")

    results = folder / "results" / "paper"
    records = [json.loads(line) for line in (results / "records.jsonl").read_text().splitlines()]
    assert {(record["dataset"], record["backbone"], record["method"]) for record in records} == {
        (dataset, backbone, method)
        for dataset in datasets
        for backbone in PROFILE["backbones"]
        for method in set(methods) - {"uhscm"}  # left out by name: no backbone of the profile embeds texts
    }
    assert (results / "report.html").is_file()
    for record in records:
        training = PROFILE["backbone_training_of"].get(record["method"])
        said = record["fit"]["backbone_training"]
        assert (said is None) == (training is None)
        if training:
            assert said["learning_rate"] == training["learning_rate"]
            assert said["rates"] == training.get("rates", {}).get(record["backbone"], {})
            least = 0.2 if record["method"] in PROFILE["augmentation_of"] else 0.5
            assert said["augmentation"]["crop_scale"][0] == least
