"""Edits of params.yaml, of package versions, and of files put in place by hand."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from helpers import ROOT, TINY, hashbench, keep_methods, read_params
from PIL import Image
from robustness.staleness.edits import (
    AFTER_FITS,
    FITS,
    FROM_BACKBONES,
    FROM_FEATURES,
    FROM_SPLIT,
    METHODS,
    NONE,
    Edit,
    fits,
    put,
    values,
)

_REPORT = frozenset({"report"})
_WHOLE = read_params(ROOT)  # with all methods, data sets and profiles
_KEPT = dict.fromkeys(METHODS, (0, 2))


def _reverse(*names: str) -> Any:
    """A change that turns the order of some blocks round."""

    def change(params: dict[str, Any]) -> None:
        for name in names:
            params[name] = dict(reversed(params[name].items()))

    return change


_QUICK = "profiles.quick"
_MICRO = "backbones.vit_micro"

VALUES: tuple[Edit, ...] = (
    # Hyperparameters.
    values(
        "a hyperparameter",
        put("methods.nsh.m.value", 4),
        fits("nsh") | _REPORT,
        then=AFTER_FITS,
        says="-nsh-16-0: hyperparameters is",
    ),
    values(
        "epochs",
        put("methods.contrastive.epochs.value", 2),
        fits("contrastive") | _REPORT,
        then=AFTER_FITS,
        says="-contrastive-16-0: hyperparameters is",
    ),
    values(
        "a hyperparameter that two methods share",
        put("methods.agh2.nearest.value", 4),
        fits("agh2") | _REPORT,
        then=AFTER_FITS,
        says="-agh2-16-0: hyperparameters is",
    ),
    values(
        "an override in the profile",
        put(f"{_QUICK}.overrides", {"nsh": {"m": {"value": 4, "source": "ours"}}}),
        fits("nsh") | _REPORT,
        then=AFTER_FITS,
        says="-nsh-16-0: hyperparameters is",
    ),
    values(
        "the source of a hyperparameter",
        put("methods.nsh.m.source", "ours"),
        _REPORT,
        says="report.html, line",
    ),
    values("the note of a hyperparameter", put("methods.nsh.m.note", "by ear"), _REPORT, says="report.html, line"),
    values("a method under study", put("methods.agh1.under_study", True), _REPORT, says="report.html, line"),
    # Titles, orders, and what the report alone reads.
    values("the title of a data set", put("datasets.digits.title", "Ziffern"), _REPORT, says="table1.md"),
    values("the title of a backbone", put(f"{_MICRO}.title", "A small ViT"), _REPORT, says="table1.md"),
    values("the title of a profile", put(f"{_QUICK}.title", "another title"), NONE),
    values("methods in another order", _reverse("methods"), _REPORT, says="table1.md"),
    values("other blocks in another order", _reverse("datasets", "augmentations", "backbones"), NONE),
    values("seeds in another order", put(f"{_QUICK}.seeds", [1, 0]), _REPORT, says="report.html, line"),
    values("controls", put("controls", ["nsh"]), _REPORT, says="standings.csv"),
    values("references", put("references", ["lsh"]), _REPORT, says="standings.csv"),
    # Cells.
    values(
        "a code length more",
        put(f"{_QUICK}.bits", [16, 24]),
        FITS | AFTER_FITS,
        fitted=dict.fromkeys(METHODS, (2, 2)),
        says="-nsh-24-0: no record",
    ),
    values(
        "a repetition less",
        put(f"{_QUICK}.seeds", [0]),
        FITS | AFTER_FITS,
        fitted=dict.fromkeys(METHODS, (0, 1)),
        says="-nsh-16-1: a record that params.yaml does not ask for",
    ),
    values(
        "a method more",
        put("methods.itq", _WHOLE["methods"]["itq"]),
        fits("itq") | AFTER_FITS,
        says="-itq-16-0: no record",
    ),
    values(
        "a method less",
        lambda params: keep_methods(params, [name for name in params["methods"] if name != "agh2"]),
        AFTER_FITS,
        says="-agh2-16-0: a record that params.yaml does not ask for",
    ),
    values(
        "another base seed",
        put("base_seed", 2023),
        FROM_SPLIT - {"evaluate"},
        then=frozenset({"evaluate"}),
        says="seed is",
    ),
    # Rules of evaluation.
    values("k", put("datasets.digits.k", 50), frozenset({"evaluate"}), then=_REPORT, says="k is 100 in the record"),
    values(
        "queries without relevant items",
        put("evaluation.empty", "nan"),
        frozenset({"evaluate"}),
        then=_REPORT,
        says="empty is zero in the record",
    ),
    values(
        "ranks",
        put("evaluation.ranks", [1, 100]),
        frozenset({"evaluate"}),
        then=_REPORT,
        says="ranks is",
    ),
    values(
        "codes beside the results or not",
        put(f"{_QUICK}.keep_codes", []),
        frozenset({"evaluate"}),
        then=_REPORT,
        says="codes/nsh.safetensors",
    ),
    # Data sets, splits, views, backbones.
    values(
        "the protocol of a data set",
        put("datasets.digits.protocol", "per_class_20_40_without_train"),
        frozenset({"split"}),
        then=FROM_BACKBONES,
        says="the protocol is digits_200_500_1097, params.yaml says per_class_20_40_without_train",
    ),
    values(
        "views", put(f"{_QUICK}.views", 3), frozenset({"features"}), then=FROM_FEATURES, says="views was 2, 3 today"
    ),
    values(
        "an augmentation",
        put("augmentations.digits.blur", 0.5),
        FROM_BACKBONES - AFTER_FITS,
        then=AFTER_FITS,
        says="stale, augmentation was",
    ),
    values(
        "the size of a backbone's images",
        put(f"{_MICRO}.interpolation", "bilinear"),
        FROM_BACKBONES - AFTER_FITS,
        then=AFTER_FITS,
        says="stale, backbone was",
    ),
    values(
        "how a backbone is trained",
        put(f"{_MICRO}.weights.learning_rate", 0.001),
        FROM_BACKBONES - AFTER_FITS,
        then=AFTER_FITS,
        says="weights of vit_micro for digits: stale, recipe was",
    ),
    values(
        "the precision of a backbone",
        put(f"{_MICRO}.precision", "bf16"),
        FROM_BACKBONES - AFTER_FITS,
        then=AFTER_FITS,
        says="stale, backbone was",
    ),
    values(
        "the precision of training",
        put(f"{_QUICK}.precision", "bf16"),
        FITS,
        then=AFTER_FITS,
        says="precision is fp32 in the record",
    ),
    values(
        "layers that are computed twice, for less memory",
        put(f"{_QUICK}.checkpoint_layers", True),
        FITS,
        fitted=_KEPT,
    ),
    # What the profile does not use.
    values("a data set that no profile uses", put("datasets.mine", _WHOLE["datasets"]["digits_mosaic"]), NONE),
    values("k of another profile's data set", put("datasets.cifar10.k", 5000), NONE),
    values("an augmentation that is not used", put("augmentations.simclr_crop20.flip", 0.1), NONE),
    values("a backbone that is not used", put("backbones.vgg16", _WHOLE["backbones"]["vgg16"]), NONE),
    values(
        "a profile more",
        put("profiles.mine", _WHOLE["profiles"]["quick"] | TINY | {"seeds": [7]}),
        NONE,
    ),
    values("an ablation", put("ablations.nsh_m8", {"of": "nsh", "m": {"value": 8, "source": "ours"}}), NONE),
)


def install(folder: Path, package: str, number: str) -> None:
    """Let a checkout find another version of a package, by its metadata alone, and lock it."""
    metadata = folder / "src" / f"{package}-{number}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {number}\n", encoding="utf-8")
    lock = folder / "uv.lock"
    text, found = re.subn(
        rf'(?m)^name = "{package}"\nversion = ".*"$',
        f'name = "{package}"\nversion = "{number}"',
        lock.read_text(encoding="utf-8"),
    )
    assert found, f"{lock} does not name {package}"
    lock.write_text(text, encoding="utf-8")


def _unlock(folder: Path) -> None:
    with (folder / "uv.lock").open("a", encoding="utf-8") as file:
        file.write('\n[[package]]\nname = "unrelated"\nversion = "1.0"\n')


VERSIONS: tuple[Edit, ...] = (
    Edit("uv.lock: a package that computes nothing", _unlock, NONE),
    Edit(
        "another SciPy",
        lambda folder: install(folder, "scipy", "99.0"),
        fits("agh1", "agh2", "lsh") | AFTER_FITS,
        says="note: agh1: computed by scipy",
    ),
)


def write_images(path: Path, seed: int) -> None:
    """A zip of an image folder: 4 classes of 60 train and 15 test images of 16 x 16 pixels."""
    generator = np.random.default_rng(seed)
    colours = generator.integers(0, 256, (4, 1, 1, 3))
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for part, count in (("train", 60), ("test", 15)):
            for number in range(4 * count):
                noise = generator.integers(-90, 91, (16, 16, 3))
                pixels = np.clip(colours[number % 4] + noise, 0, 255).astype(np.uint8)
                buffer = io.BytesIO()
                Image.fromarray(pixels).save(buffer, "png")
                archive.writestr(f"{part}/class{number % 4}/{number}.png", buffer.getvalue())


def replace_images(folder: Path, name: str) -> None:
    """Other images, and no pin of those before: docs/adding.md tells whoever replaces a zip to remove it.

    A copied checkout links to the files of the one that it was copied from, until it is checked.
    """
    hashbench(folder, "check", "quick")
    write_images(folder / "data" / name, seed=2)
    (folder / "data" / f"{name}.sha256").unlink(missing_ok=True)


REPLACED_ZIP = Edit(
    "the zip of an image folder",
    lambda folder: replace_images(folder, "mine.zip"),
    frozenset({"fetch", "split", "backbones"}),
    then=frozenset({"features", "fit@lsh", *AFTER_FITS}),
    says="mine: stale, the images are others",
)
