"""Whether a profile trains the backbone, of which methods, how, and on which views."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT, TINY, read_params, write_params

from hashbench.config.params import Params, load_params
from hashbench.config.selection import FitParams, feature_params, fit_params, report_params
from hashbench.errors import HashbenchError

GOOD = read_params(ROOT)
TRAINED = {"learning_rate": 1e-4, "batch_norm": "evaluation"}
VARIANTS = {
    "sorted_by_tanh": {"of": "nsh", "sorted_codes": {"value": "continuous", "source": "ours"}},
    "both_ways_too": {"of": "sorted_by_tanh", "directions": {"value": "both", "source": "ours"}},
}


@pytest.fixture
def params_with(tmp_path: Path) -> Callable[..., Params]:
    """The project's params.yaml with a profile `quick` that says this too, and with `VARIANTS` for its ablations."""

    def load(**quick: Any) -> Params:
        value = copy.deepcopy(GOOD)
        value["profiles"] = {"quick": {**value["profiles"]["quick"], **TINY, **quick}}
        value["ablations"] = VARIANTS
        write_params(tmp_path, value)
        return load_params(tmp_path / "params.yaml")

    return load


@pytest.mark.parametrize(
    ("training", "sentence"),
    [
        ("thawed", "key 'profiles.quick.backbone_training' is 'thawed'; it must be frozen or a block with the keys "),
        (3, "key 'profiles.quick.backbone_training' is 3; it must be frozen or a block with the keys learning_rate,"),
        ({}, "key 'profiles.quick.backbone_training.learning_rate' is missing; it must be a finite number above 0"),
        (
            {"learning_rate": 1e-4},
            "key 'profiles.quick.backbone_training.batch_norm' is missing; it must be training or evaluation",
        ),
        (
            {**TRAINED, "learning_rate": 0},
            "key 'profiles.quick.backbone_training.learning_rate' is 0; it must be a finite number above 0",
        ),
        (
            {**TRAINED, "learning_rate": "fast"},
            "backbone_training.learning_rate' is 'fast'; it must be a finite number",
        ),
        ({**TRAINED, "batch_norm": "off"}, "backbone_training.batch_norm' is 'off' (allowed: evaluation, training)"),
        ({**TRAINED, "last_layers": 0}, "backbone_training.last_layers' is 0; it must be a whole number of at least 1"),
        ({**TRAINED, "layers": 1}, "unknown key 'profiles.quick.backbone_training.layers' with the value 1; did you "),
        ({**TRAINED, "rates": {"vit_micro": {"dropout": 0.1}}}, "backbone_training.rates.vit_micro.dropout"),
        (
            {**TRAINED, "rates": {"vit_micro": {"drop_rate": 1.0}}},
            "rates.vit_micro.drop_rate' is 1.0; it must be a finite number of at least 0 and below 1",
        ),
        ({**TRAINED, "rates": {"drop_rate": 0.1}}, "backbone_training.rates.drop_rate' is 0.1; it must be a block"),
        ({**TRAINED, "rates": {"vit_mikro": {}}}, "unknown name 'vit_mikro'; did you mean 'vit_micro'?"),
        ({**TRAINED, "rates": {"vgg16": {}}}, "unknown name 'vgg16' (allowed: vit_micro)"),
    ],
)
def test_a_wrong_training_of_the_backbone_is_told_in_one_sentence(
    params_with: Callable[..., Params], training: Any, sentence: str
) -> None:
    with pytest.raises(HashbenchError) as error:
        params_with(backbone_training=training)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"backbone_training_of": {"nhs": TRAINED}}, "backbone_training_of: unknown name 'nhs'; did you mean 'nsh'?"),
        (
            {"backbone_training_of": {"nsh": "thawed"}},
            "key 'profiles.quick.backbone_training_of.nsh' is 'thawed'; it must be frozen or a block with the keys",
        ),
        (
            {"backbone_training_of": {"nsh": {**TRAINED, "learning_rate": -1}}},
            "key 'profiles.quick.backbone_training_of.nsh.learning_rate' is -1; it must be a finite number above 0",
        ),
        (
            {"backbone_training_of": {"nsh": {**TRAINED, "rates": {"vgg16": {}}}}},
            "unknown name 'vgg16' (allowed: vit_micro)",
        ),
        (
            {"backbone_training": TRAINED, "augmentation_of": {"nhs": "digits"}},
            "profiles.quick.augmentation_of: unknown name 'nhs'; did you mean 'nsh'?",
        ),
        (
            {"backbone_training": TRAINED, "augmentation_of": {"nsh": "digit"}},
            "profiles.quick.augmentation_of.nsh: unknown name 'digit'; did you mean 'digits'?",
        ),
    ],
)
def test_a_wrong_exception_for_a_method_is_told_in_one_sentence(
    params_with: Callable[..., Params], said: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(HashbenchError) as error:
        params_with(**said)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"backbone_training_of": {"wch": TRAINED}},
        {"backbone_training": TRAINED, "backbone_training_of": {"nsh": "frozen"}},
    ],
    ids=["a frozen profile", "another method", "but for this one"],
)
@pytest.mark.parametrize("method", ["nsh", "both_ways_too"])
def test_an_augmentation_of_its_own_is_refused_where_the_backbone_stays_frozen(
    params_with: Callable[..., Params], said: dict[str, Any], method: str
) -> None:
    params_with(**said)
    with pytest.raises(HashbenchError) as error:
        params_with(**said, augmentation_of={method: "simclr_crop20"})
    sentence = f"key 'profiles.quick.augmentation_of.{method}' has no effect: the backbone of {method} stays frozen in"
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def params_of_fit(params: Params, name: str) -> FitParams:
    return fit_params(params, "quick", "ablations" if name in params.ablations else "methods", name)


def rates(params: Params) -> dict[str, float | None]:
    """The learning rate of the backbone of some methods and variants; None where it stays frozen."""
    found = {
        name: params.backbone_training_of(name, "quick") for name in ("wch", "nsh", "sorted_by_tanh", "both_ways_too")
    }
    assert found == {name: params_of_fit(params, name).backbone_training for name in found}
    return {name: None if training is None else training.learning_rate for name, training in found.items()}


def test_a_profile_trains_the_backbone_of_all_methods_of_some_or_of_none(params_with: Callable[..., Params]) -> None:
    assert set(rates(params_with()).values()) == {None}
    assert set(rates(params_with(backbone_training=TRAINED)).values()) == {1e-4}
    assert rates(params_with(backbone_training_of={"nsh": TRAINED})) == {
        "wch": None,
        "nsh": 1e-4,
        "sorted_by_tanh": 1e-4,
        "both_ways_too": 1e-4,
    }
    exceptions = {"nsh": {**TRAINED, "learning_rate": 1e-5}, "sorted_by_tanh": "frozen"}
    assert rates(params_with(backbone_training=TRAINED, backbone_training_of=exceptions)) == {
        "wch": 1e-4,
        "nsh": 1e-5,
        "sorted_by_tanh": None,
        "both_ways_too": None,
    }


def test_the_report_knows_whose_backbone_is_trained(params_with: Callable[..., Params]) -> None:
    found = report_params(params_with(backbone_training_of={"nsh": TRAINED}), "quick", "methods").methods
    assert [name for name, texts in found.items() if texts.backbone_is_trained] == ["nsh"]


def test_an_augmentation_of_its_own_is_that_of_a_method_and_its_variants(params_with: Callable[..., Params]) -> None:
    params = params_with(
        backbone_training=TRAINED, augmentation_of={"nsh": "simclr_crop20", "both_ways_too": "simclr_crop50"}
    )
    found = {name: params_of_fit(params, name).augmentations for name in ("wch", *VARIANTS, "nsh")}
    assert found["wch"] == feature_params(params, "quick").augmentations
    assert set(found["wch"]) == {"digits"}
    for name, augmentation in {"nsh": "simclr_crop20", "sorted_by_tanh": "simclr_crop20"}.items():
        assert found[name] == dict.fromkeys(found["wch"], params.augmentations[augmentation])
    assert found["both_ways_too"] == dict.fromkeys(found["wch"], params.augmentations["simclr_crop50"])
    assert found["both_ways_too"] != found["nsh"] != found["wch"]


@pytest.mark.parametrize(
    ("said", "stored"),
    [
        ({}, True),
        ({"view_tokens": False}, False),
        ({"backbone_training": TRAINED}, False),
        ({"backbone_training_of": {"nsh": TRAINED}}, True),
        ({"backbone_training": TRAINED, "backbone_training_of": {"wch": "frozen"}}, True),
        ({"backbone_training": TRAINED, "backbone_training_of": {"wch": {**TRAINED}}}, False),
    ],
    ids=["frozen", "not wanted", "trained", "frozen but for one", "trained but for one", "trained in two ways"],
)
def test_tokens_of_views_are_stored_where_a_method_may_read_them(
    params_with: Callable[..., Params], said: dict[str, Any], stored: bool
) -> None:
    assert feature_params(params_with(**said), "quick").view_tokens == stored
