"""The profile `paper` has the values of the methods' authors, written down here a second time from their specification.

Sections are those of METHODS.md, the specification of the methods in the reference material beside the checkout; the
files are those of the authors' repositories that it was read from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from hashbench.config.params import Params, load_params
from hashbench.execution.estimate import length_of

ROOT = Path(__file__).resolve().parents[2]
PROFILE = "paper"
TRAIN_ROWS = 5000  # of CIFAR-10, in WCH's protocol


class Official(NamedTuple):
    """Where values were read, the values, and for how many steps what is counted in epochs here lasts there."""

    section: str
    values: dict[str, Any]
    steps: Mapping[str, int] = MappingProxyType({})


OFFICIAL = {
    "wch": Official(
        "C3, RosieYuu/WCH train.py and TransformerModel/modeling.py",
        {
            "attention": True,
            "weights": "column",
            "temperature": 0.3,
            "weight_temperature": 0.2,
            "balance": 1.0,
            "quantisation": 1.0,
            "standardise": False,
            "initialisation": "published",
            "hidden": 1024,
            "learning_rate": 1e-5,
            "batch_size": 32,
            "last_batch": "kept",
            "epochs": 50,
        },
    ),
    "nsh": Official(
        "C2, no official code: kamwoh/sdc configs/model/nsh.yaml and models/loss/nsh.py",
        {
            "sorter": "softsort",
            "sorter_unit": "step",
            "own_view": "anywhere",
            "directions": "one",
            "m": 2,
            "temperature": 0.3,
            "latent": 1024,
            "batch_norm": False,
            "standardise": False,
            "balance": 0.0,
            "learning_rate": 1e-5,
            "batch_size": 50,
            "epochs": 200,
        },
    ),
    "cibhash": Official(
        "C1, qiuzx2/CIBHash model/CIBHash.py and model/base_model.py",
        {
            "temperature": 0.3,
            "bottleneck": 0.001,
            "hidden": 1024,
            "standardise": False,
            "learning_rate": 1e-3,
            "batch_size": 64,
            "epochs": 60,
        },
    ),
    "sdc": Official(
        "C4, kamwoh/sdc configs/",
        {
            "a": 5.0,
            "b": 5.0,
            "quantisation": 1.0,
            "learning_rate": 1e-4,
            "weight_decay": 1e-5,
            "batch_size": 64,
            "epochs": 100,
        },
    ),
    "cimon": Official(
        "B8, luoxiao12/CIMON run.py and cimon.py",
        {
            "threshold": 0.1,
            "clusters": 70,
            "contrast": 0.3,
            "temperature": 0.5,
            "hidden": 0,
            "standardise": False,
            "learning_rate": 1e-3,
            "momentum": 0.9,
            "weight_decay": 1e-5,
            "batch_size": 24,
            "epochs": 150,
        },
    ),
    "mls3rduh": Official(
        "B7, rongchengtu1/MLS3RDUH MLS3RDUH.py",
        {
            "cosine_neighbours": 0.06,
            "diffusion_neighbours": 0.09,
            "diffusion": 0.99,
            "standardise": False,
            "learning_rate": 0.04,
            "weight_decay": 1e-5,
            "batch_size": 128,
            "epochs": 150,
        },
    ),
    "bihalf": Official(
        "B5, liyunqianggyn/Deep-Unsupervised-Image-Hashing ImageHashing/Cifar10_II.py",
        {
            "gamma": 6.0,
            "learning_rate": 1e-4,
            "momentum": 0.9,
            "weight_decay": 5e-4,
            "batch_size": 32,
            "epochs": 300,
            "decay": 0.1,
            "decay_epochs": 120,
        },
    ),
    "tbh": Official(
        "B6, ymcidence/TBH run_tbh.py, train/tbh_train.py and layer/",
        {"hidden": 1024, "bottleneck": 512, "exponent": 1.4, "learning_rate": 1e-4, "batch_size": 400},
        {"epochs": 100_000},
    ),
    "greedyhash": Official(
        "B4, ssppp/GreedyHash unsupervised_vgg.py",
        {
            "penalty_weight": 0.1,
            "standardise": False,
            "learning_rate": 1e-4,
            "momentum": 0.9,
            "weight_decay": 5e-4,
            "batch_size": 32,
            "epochs": 60,
        },
    ),
    "ssdh": Official(
        "B3, yangerkun/IJCAI2018_SSDH main.py",
        {
            "alpha": 2.0,
            "beta": 2.0,
            "standardise": False,
            "learning_rate": 1e-3,
            "adam_epsilon": 1.0,
            "batch_size": 24,
            "epochs": 10,
        },
    ),
    "deepbit": Official(
        "B2, kevinlin311tw/cvpr16-deepbit examples/deepbit-cifar10-32/",
        {
            "learning_rate": 1e-3,
            "decay": 0.1,
            "evenness_weight": 1.0,
            "invariance_weight": 1e-3,
            "invariance_learning_rate": 1e-4,
            "standardise": False,
            "momentum": 0.9,
            "weight_decay": 5e-4,
            "batch_size": 32,
        },
        {"epochs": 50_000, "decay_epochs": 25_000, "invariance_epochs": 5_000, "invariance_decay_epochs": 1_000},
    ),
    "sgh": Official(
        "B1, doubling/Stochastic_Generative_Hashing sgh_notebook/stochastic_hashing.py",
        {"alpha": 1e-3, "beta": 1e-3, "learning_rate": 1e-2, "batch_size": 500},
        {"epochs": 5_000},
    ),
}

# Learning rate and dropout of the backbones that are trained (sections as above); all others are frozen.
VIT_DROPOUT = {"vit_base_patch16_224": {"pos_drop_rate": 0.1, "proj_drop_rate": 0.1}}
VGG_DROPOUT = {"vgg16": {"drop_rate": 0.5}}
TRAINED: dict[str, tuple[float, dict[str, dict[str, float]]]] = {
    "wch": (1e-5, VIT_DROPOUT),
    "nsh": (1e-5, {}),
    "cimon": (1e-3, VGG_DROPOUT),
    "mls3rduh": (0.04, VGG_DROPOUT),
    "ssdh": (1e-3, VGG_DROPOUT),
}

every_method = pytest.mark.parametrize("method", OFFICIAL)


@pytest.fixture(scope="module")
def params() -> Params:
    return load_params(ROOT / "params.yaml")


@every_method
def test_values_are_the_official_ones(params: Params, method: str) -> None:
    values = params.method(method, PROFILE).values
    official = OFFICIAL[method].values
    assert {name: values[name] for name in official} == official, OFFICIAL[method].section


@every_method
def test_the_official_setting_of_a_frozen_backbone_has_them_too(params: Params, method: str) -> None:
    """But for the scale of its inputs, which no author had to choose."""
    values = params.settings(method, "cifar10-jpeg")["official"]
    official = {name: value for name, value in OFFICIAL[method].values.items() if name != "standardise"}
    assert {name: values[name] for name in official} == official, OFFICIAL[method].section


@every_method
def test_lengths_are_the_official_numbers_of_steps(params: Params, method: str) -> None:
    """To within half an epoch, on the train rows of CIFAR-10."""
    values = params.method(method, PROFILE).values
    an_epoch = length_of(TRAIN_ROWS, 1, int(values["batch_size"])).steps
    for name, steps in OFFICIAL[method].steps.items():
        assert abs(int(values[name]) * an_epoch - steps) < an_epoch, (name, OFFICIAL[method].section)


@every_method
def test_what_is_called_official_stands_in_the_table(params: Params, method: str) -> None:
    """And what is called ours does not."""
    official = OFFICIAL[method]
    known = official.values.keys() | official.steps.keys()
    for name, entry in params.method(method, PROFILE).hyperparameters.items():
        assert (entry.source == "ours") == (name not in known), f"{method}.{name} is {entry.source}"


def test_backbones_are_trained_where_the_official_code_trains_them(params: Params) -> None:
    for method in OFFICIAL:
        training = params.backbone_training_of(method, PROFILE)
        assert (None if training is None else (training.learning_rate, training.rates)) == TRAINED.get(method), method
        if training is not None:
            assert training.learning_rate == params.method(method, PROFILE).values["learning_rate"]
            assert training.last_layers is None


@pytest.mark.parametrize("method", ["wch", "nsh", "cimon"])
def test_views_are_cropped_as_in_the_official_code(params: Params, method: str) -> None:
    augmentation = params.augmentation_of(method, PROFILE)
    assert augmentation is not None
    assert augmentation.crop_scale == (0.2, 1.0)
    assert augmentation.blur_sigma == (0.1, 2.0)
    colours = (augmentation.brightness, augmentation.contrast, augmentation.saturation, augmentation.hue)
    assert colours == (0.4, 0.4, 0.4, 0.1)
    assert (augmentation.jitter, augmentation.grey, augmentation.blur, augmentation.flip) == (0.8, 0.2, 0.5, 0.5)


def test_the_control_is_trained_as_wch(params: Params) -> None:
    control, wch = (params.method(name, PROFILE).values for name in ("contrastive", "wch"))
    assert all(control[name] == wch[name] for name in ("learning_rate", "batch_size", "epochs", "hidden"))
    assert params.backbone_training_of("contrastive", PROFILE) == params.backbone_training_of("wch", PROFILE)
    assert params.augmentation_of("contrastive", PROFILE) == params.augmentation_of("wch", PROFILE)


def test_the_page_tells_epochs_steps_and_images(params: Params) -> None:
    """docs/methods.md has a row for every method of the table, as params.yaml has it."""
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    section = page.partition("\n### How long each method trains\n")[2].partition("\n##")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|", section, re.MULTILINE)
    assert {name: (here, paper) for name, here, paper in rows} == {
        name: (told(params, name, "cifar10-jpeg"), told(params, name, PROFILE)) for name in [*OFFICIAL, "contrastive"]
    }


def told(params: Params, method: str, profile: str) -> str:
    """The length of a method's training in a profile, as the page writes it."""
    values: dict[str, Any] = params.method(method, profile).values
    length = length_of(TRAIN_ROWS, values["epochs"], values["batch_size"], values.get("last_batch", "dropped"))
    return f"{values['epochs']:,} × {values['batch_size']}: {length.steps:,}, {length.images:,}"
