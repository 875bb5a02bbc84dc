"""params.yaml: the project's own file is right, and every wrong one ends in one sentence."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT, TINY, read_params, to_yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hashbench.config.params import Hyperparameter, Params, load_params
from hashbench.config.selection import feature_params
from hashbench.errors import HashbenchError

GOOD: dict[str, Any] = read_params(ROOT)


def write(folder: Path, value: object) -> Path:
    path = folder / "params.yaml"
    path.write_text(to_yaml(value))
    return path


def load_changed(folder: Path, change: Any) -> str:
    """The error message that a changed copy of params.yaml gives."""
    value = copy.deepcopy(GOOD)
    change(value)
    with pytest.raises(HashbenchError) as error:
        load_params(write(folder, value))
    return str(error.value)


def test_the_projects_own_file_is_valid() -> None:
    params = load_params(ROOT / "params.yaml")
    assert {"quick", "cpu", "cifar10-jpeg", "paper"} <= set(params.profiles)


def test_every_hyperparameter_names_its_source() -> None:
    params = load_params(ROOT / "params.yaml")
    for name, block in {**params.methods, **params.ablations}.items():
        for key, entry in block.hyperparameters.items():
            assert entry.source in ("paper", "official code", "third-party", "ours"), f"{name}.{key}"


def test_a_hyperparameter_says_where_it_comes_from() -> None:
    assert Hyperparameter(value=0.3, source="paper").note == ""
    for wrong in ({"value": 1}, {"value": 1, "source": "guess"}, {"value": 1, "source": "ours", "why": "?"}):
        with pytest.raises(ValidationError):
            Hyperparameter(**wrong)


def test_dropout_is_said_of_a_backbone_of_the_profile(tmp_path: Path) -> None:
    """Networks call their rates differently, and what names no backbone here would silently do nothing."""

    def change(value: dict[str, Any]) -> None:
        training = value["profiles"]["paper"]["backbone_training_of"]["ssdh"]
        training["rates"] = {"vit_micro": {"drop_rate": 0.1}}

    message = load_changed(tmp_path, change)
    assert "profiles.paper: rates of a backbone_training: unknown name 'vit_micro'" in message
    assert "vgg16, vit_base_patch16_224" in message


def test_tokens_of_views_are_stored_where_the_profile_wants_them() -> None:
    params = load_params(ROOT / "params.yaml")
    stored = {name: feature_params(params, name).view_tokens for name in params.profiles}
    assert stored["quick"]
    assert not stored["paper"]
    assert not stored["cifar10-jpeg-finetuned"]


def test_a_mean_of_tokens_is_of_the_last_feature_maps(tmp_path: Path) -> None:
    """Or the pooled feature would pass for the mean of tokens that are of another width."""
    message = load_changed(
        tmp_path, lambda value: value["backbones"]["tf_efficientnet_lite0_64px"].update(pool="avg", token_stride=16)
    )
    assert "key 'backbones.tf_efficientnet_lite0_64px.pool' is 'avg'" in message
    assert message.endswith("with token_stride it must be cls, pre_logits or projected")


def test_fractional_bits_are_refused(tmp_path: Path) -> None:
    message = load_changed(tmp_path, lambda value: value["profiles"]["quick"].update(bits=[16, 24.5]))
    assert "profiles.quick.bits.1" in message
    assert "24.5" in message


def test_misspelt_key_gets_the_nearest_spelling(tmp_path: Path) -> None:
    def misspell(value: dict[str, Any]) -> None:
        value["profiles"]["quick"]["beeds"] = [*value["profiles"]["quick"]["seeds"]]

    assert "did you mean 'seeds'?" in load_changed(tmp_path, misspell)


def test_unknown_dataset_lists_the_known_ones(tmp_path: Path) -> None:
    message = load_changed(tmp_path, lambda value: value["profiles"]["quick"].update(datasets=["digit"]))
    assert "did you mean 'digits'?" in message
    assert "cifar10_jpeg" in message


def test_override_of_an_unknown_hyperparameter_is_refused(tmp_path: Path) -> None:
    method = next(iter(GOOD["methods"]))
    entry = {"value": 1, "source": "ours"}
    message = load_changed(
        tmp_path, lambda value: value["profiles"]["quick"].update(overrides={method: {"no_such_thing": entry}})
    )
    assert f"profiles.quick.overrides.{method}" in message


@pytest.mark.parametrize("group", ["methods", "overrides"])
def test_a_class_of_a_package_is_no_file_that_the_pipeline_can_depend_on(tmp_path: Path, group: str) -> None:
    method = next(iter(GOOD["methods"]))

    def name_a_class(value: dict[str, Any]) -> None:
        value["methods"][method]["code"] = "package.module:Class"
        if group == "overrides":
            value["profiles"]["quick"]["overrides"] = {method: {}}

    assert load_changed(tmp_path, name_a_class).endswith(
        f"key 'methods.{method}.code' is 'package.module:Class'; it must be a Python file, which the pipeline can "
        "depend on: derive the class in a file of baselines/"
    )


def test_a_method_may_be_derived_from_a_class_of_a_package(tmp_path: Path) -> None:
    (tmp_path / "derived.py").write_text("import sklearn.decomposition\n\nclass Mine(sklearn.decomposition.PCA): ...\n")
    value = copy.deepcopy(GOOD)
    value["methods"]["mine"] = {"code": str(tmp_path / "derived.py"), "whiten": {"value": True, "source": "ours"}}
    assert load_params(write(tmp_path, value)).methods["mine"].values == {"whiten": True}


def test_unknown_source_is_refused(tmp_path: Path) -> None:
    method, block = next((name, block) for name, block in GOOD["methods"].items() if len(block) > 1)
    key = next(key for key, entry in block.items() if isinstance(entry, dict))
    message = load_changed(tmp_path, lambda value: value["methods"][method][key].update(source="a friend"))
    assert f"methods.{method}.{key}.source" in message
    assert "a friend" in message


def test_repeated_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("base_seed: 1\nbase_seed: 2\n")
    with pytest.raises(HashbenchError, match="stands twice"):
        load_params(path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "a: &a 1\nb: *a\n",
            "line 1: YAML anchors and aliases ('a') are ignored by `dvc exp run -S`; write the values out, or",
        ),
        ("a: 1\nb: [&here {c: 1}]\n", "line 2: YAML anchors and aliases ('here') are ignored"),
        (
            "a: 1\nb: {<<: {c: 1}}\n",
            "line 2: key '<<' is ignored by `dvc exp run -S`; write the values out, or use `of:`",
        ),
        ("a: 1\nb: {c.d: 1}\n", "line 2: key 'c.d' has a dot, which DVC reads as two keys; it must have none"),
        ("a: 1\na: 2\n", "line 2: key 'a' stands twice in its block; take one out"),
    ],
)
def test_what_dvc_overlooks_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(HashbenchError) as error:
        load_params(path)
    assert str(error.value).startswith(f"{path}: {sentence}")


@pytest.mark.parametrize(("text", "number"), [("1e-05", 1e-5), ("2E3", 2000.0), ("1.e+2", 100.0), ("5.0e-4", 5e-4)])
def test_numbers_are_read_as_dvc_writes_them(tmp_path: Path, text: str, number: float) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(
        (ROOT / "params.yaml").read_text().replace("learning_rate: {value: 0.001,", f"learning_rate: {{value: {text},")
    )
    value = load_params(path).methods["contrastive"].values["learning_rate"]
    assert value == number
    assert isinstance(value, float)


VARIANTS = {
    "m4": {"of": "nsh", "label": "m = 4", "m": {"value": 4, "source": "ours"}},
    "m8": {"of": "m4", "against": "m4_narrow", "m": {"value": 8, "source": "ours"}},
    "m4_narrow": {"of": "m4", "latent": {"value": 6, "source": "ours"}},
    "sinkhorn": {"of": "nsh", "sorter": {"value": "sinkhorn", "source": "ours"}},
}


def with_variants(folder: Path, **quick: Any) -> Params:
    """The project's file with these variants alone, and a profile `quick` that says this too."""
    value = copy.deepcopy(GOOD)
    value["profiles"] = {
        name: {**block, **(TINY | quick if name == "quick" else {})}
        for name, block in value["profiles"].items()
        if name in ("quick", "cpu")
    }
    return load_params(write(folder, {**value, "ablations": VARIANTS}))


def test_a_variant_has_what_it_does_not_say_of_what_it_is_of(tmp_path: Path) -> None:
    params = with_variants(tmp_path)
    method, m4, narrow = params.methods["nsh"], params.ablations["m4"], params.ablations["m4_narrow"]
    assert (m4.code, m4.of, m4.against, m4.label, m4.under_study) == (method.code, "nsh", "nsh", "m = 4", False)
    assert m4.values == {**method.values, "m": 4}
    assert m4.hyperparameters["latent"] == method.hyperparameters["latent"]
    assert (narrow.code, narrow.of, narrow.against, narrow.label) == (method.code, "m4", "m4", None)
    assert narrow.values == {**method.values, "m": 4, "latent": 6}
    assert params.ablations["m8"].against == "m4_narrow"
    assert params.lineage("m4_narrow") == ["nsh", "m4", "m4_narrow"]
    assert params.lineage("nsh") == ["nsh"]


def test_a_profile_overrides_a_method_and_its_variants(tmp_path: Path) -> None:
    overrides = {
        "nsh": {"m": {"value": 3, "source": "ours"}, "latent": {"value": 5, "source": "ours"}},
        "m4": {"hidden": {"value": 9, "source": "ours"}},
        "m8": {"latent": {"value": 7, "source": "ours"}},
    }
    params = with_variants(tmp_path, overrides=overrides)
    hidden = params.methods["nsh"].values["hidden"]
    found = {name: params.method(name, "quick").values for name in ("nsh", *VARIANTS)}
    assert {name: (values["m"], values["latent"], values["hidden"]) for name, values in found.items()} == {
        "nsh": (3, 5, hidden),
        "m4": (4, 5, 9),
        "m8": (8, 7, 9),
        "m4_narrow": (4, 6, 9),
        "sinkhorn": (3, 5, hidden),
    }
    assert params.method("nsh", "quick").under_study
    assert params.method("m4", "quick").of == "nsh"
    assert params.method("m4", "cpu").values == params.ablations["m4"].values


def test_an_override_that_a_variant_cannot_take_is_refused(tmp_path: Path) -> None:
    overrides = {"nsh": {"batch_size": {"value": 6, "source": "ours"}}}
    message = load_changed(
        tmp_path, lambda value: value["profiles"]["quick"].update(overrides=overrides, settings_of=None)
    )
    assert "key 'profiles.quick.overrides.nsh.m.value' is 8; it must be below batch_size, which is 6" in message


@pytest.mark.parametrize(
    ("group", "block", "sentence"),
    [
        ("methods", {"of": "nsh"}, "key 'methods.mine.of' must stand under ablations; a method has `code`"),
        ("ablations", {"of": "nsj"}, "ablations.mine.of: unknown name 'nsj'; did you mean 'nsh'? (allowed: "),
        ("ablations", {"of": "mine"}, "ablations.mine.of: unknown name 'mine'"),
        ("methods", {"code": "baselines/lsh.py", "against": "itq"}, "key 'methods.mine.against' must stand under abl"),
        ("ablations", {"of": "nsh", "against": "nsj"}, "ablations.mine.against: unknown name 'nsj'; did you mean"),
        ("ablations", {"of": 3}, "ablations.mine.of: unknown name '3'"),
        ("ablations", {}, "key 'ablations.mine.of' is missing; it must be the name of the method"),
        (
            "ablations",
            {"of": "nsh", "code": "baselines/lsh.py"},
            "key 'ablations.mine.code' must go; a variant has the code of the method that its `of` names",
        ),
        ("ablations", {"of": "nsh", "n": {"value": 1, "source": "ours"}}, "unknown key 'ablations.mine.n'"),
        (
            "ablations",
            {"of": "nsh", "m": {"value": 0, "source": "ours"}},
            "key 'ablations.mine.m.value' is 0; it must be a whole number of at least 1",
        ),
        ("methods", {"code": "baselines/lsh.py", "under_study": 1}, "key 'methods.mine.under_study' is 1"),
    ],
)
def test_a_variant_stands_under_ablations_and_names_its_method(
    tmp_path: Path, group: str, block: dict[str, Any], sentence: str
) -> None:
    assert sentence in load_changed(tmp_path, lambda value: value[group].update(mine=block))


def test_the_methods_under_study_say_so() -> None:
    params = load_params(ROOT / "params.yaml")
    assert [name for name, block in params.methods.items() if block.under_study] == ["wch", "nsh"]


def test_augmentations_and_backbones_are_typed(tmp_path: Path) -> None:
    params = load_params(ROOT / "params.yaml")
    assert params.augmentations["simclr_crop20"].crop_scale == (0.2, 1.0)
    assert params.backbones["vit_micro"].size == 16
    message = load_changed(tmp_path, lambda value: value["augmentations"]["digits"].update(hue=0.6))
    assert "key 'augmentations.digits.hue' is 0.6; it must be a finite number from 0 to 0.5" in message
    message = load_changed(tmp_path, lambda value: value["backbones"]["vgg16"]["weights"].update(sha="f"))
    assert "unknown key 'backbones.vgg16.weights.sha' with the value 'f'; did you mean 'sha256'?" in message


@pytest.mark.parametrize("text", ["", "- 1", "a: [", "{", "\x00", "a: &a [*a]"])
def test_what_is_not_a_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(HashbenchError, match=str(path)):
        load_params(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(HashbenchError, match="nowhere"):
        load_params(tmp_path / "nowhere.yaml")


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from leaves(inner, (*path, key))


CHECKED = [path for path in leaves(GOOD) if path[-1] != "note" and "overrides" not in path and "arguments" not in path]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(CHECKED), wrong=st.sampled_from([object, "drop", {"a": {"b": 1}}, [[]]]))
def test_a_wrong_value_anywhere_never_ends_in_another_exception(
    tmp_path: Path, path: tuple[Any, ...], wrong: Any
) -> None:
    value = copy.deepcopy(GOOD)
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    if wrong == "drop":
        del parent[path[-1]]
    else:
        parent[path[-1]] = "\u2603" if wrong is object else wrong
    with contextlib.suppress(HashbenchError):
        load_params(write(tmp_path, value))


@pytest.mark.parametrize("path", CHECKED[:: max(1, len(CHECKED) // 40)], ids=lambda path: ".".join(map(str, path)))
def test_the_message_names_the_file_and_is_one_line(tmp_path: Path, path: tuple[Any, ...]) -> None:
    value = copy.deepcopy(GOOD)
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = {"a": {"b": [[1]]}}
    with pytest.raises(HashbenchError) as error:
        load_params(write(tmp_path, value))
    assert "\n" not in str(error.value)
    assert "params.yaml" in str(error.value)
