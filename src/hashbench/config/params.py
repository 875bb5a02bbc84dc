"""A typed view of params.yaml, the only home of numbers, and every check that needs no work to be started."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError, model_validator
from yaml._yaml import CParser
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from hashbench.cells import Value
from hashbench.config.blocks import (
    Block,
    DatasetParams,
    Distinct,
    MethodParams,
    Name,
    ProfileParams,
    Seed,
)
from hashbench.config.blocks import EvaluationParams as EvaluationParams
from hashbench.config.blocks import Group as Group
from hashbench.config.blocks import Hyperparameter as Hyperparameter
from hashbench.config.blocks import ProfileName as ProfileName
from hashbench.config.checks import check_dataset, check_method
from hashbench.config.messages import did_you_mean as did_you_mean
from hashbench.config.messages import first_error as first_error
from hashbench.config.messages import known as known
from hashbench.config.messages import one_line, shown
from hashbench.config.searching import Budget, SearchParams, check_space
from hashbench.errors import HashbenchError
from hashbench.features.specs import Augmentation, BackboneSpec, BackboneTraining
from hashbench.settings import settings

T = TypeVar("T")


class Params(Block):
    """The whole of params.yaml."""

    base_seed: Seed
    evaluation: EvaluationParams
    profiles: dict[ProfileName, ProfileParams]
    datasets: dict[Name, DatasetParams]
    augmentations: dict[Name, Augmentation]
    backbones: dict[Name, BackboneSpec]
    methods: dict[Name, MethodParams]
    official: dict[Name, dict[str, Hyperparameter]]
    search: SearchParams
    ablations: dict[Name, MethodParams]
    controls: Distinct[Name]
    references: Distinct[Name]

    @model_validator(mode="before")
    @classmethod
    def _write_out_variants(cls, params: Any) -> Any:
        methods, ablations = (params.get(key) if isinstance(params, dict) else None for key in ("methods", "ablations"))
        if not isinstance(methods, dict) or not isinstance(ablations, dict):
            return params
        for name, block in methods.items():
            for key in ("of", "against", "label"):
                if isinstance(block, dict) and key in block:
                    raise HashbenchError(
                        f"key 'methods.{shown(name)}.{key}' must stand under ablations; a method has `code`"
                    )
        written: dict[Any, Any] = {}
        for name, block in ablations.items():
            written[name] = _in_full(name, block, methods, written)
        return {**params, "ablations": written}

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Params:
        shared = set(self.methods) & set(self.ablations)
        if shared:
            raise HashbenchError(
                f"key 'ablations.{min(shared)}': '{min(shared)}' is the name of a method too; rename one of the two"
            )
        for name, dataset in self.datasets.items():
            known(f"datasets.{name}.augmentation", dataset.augmentation, self.augmentations)
            beside = tuple(DatasetParams.model_fields)
            check_dataset(f"datasets.{name}", dataset.kind, dataset.protocol, dataset.k, dataset.load_options, beside)
        for name, backbone in self.backbones.items():
            if backbone.pool == "avg" and backbone.token_stride is not None:
                raise HashbenchError(
                    f"key 'backbones.{name}.pool' is 'avg', the mean of the patch tokens, and its token_stride takes "
                    "these from earlier feature maps; with token_stride it must be cls, pre_logits or projected"
                )
        for group in ("methods", "ablations"):
            for name, method in getattr(self, group).items():
                check_method(f"{group}.{name}", method.code, method.values, tuple(MethodParams.model_fields))
                _check_not_searched(f"{group}.{name}", method)
        self._check_values("official", self.official, self.methods)
        for name, entries in self.official.items():
            block, values = self.methods[name], {key: entry.value for key, entry in entries.items()}
            check_method(f"official.{name}", block.code, {**block.values, **values}, ())
        for name, space in self.search.spaces.items():
            block = known("search.spaces", name, self.methods)
            check_space(f"search.spaces.{name}", block.code, block.values, space)
        # What has its settings from another comes after it, so that a wrong value is named where it stands.
        for name, profile in sorted(self.profiles.items(), key=lambda item: item[1].settings_of is not None):
            self._check_profile(f"profiles.{name}", name, profile)
        for name, block in self.ablations.items():
            known(f"ablations.{name}.against", str(block.against), {**self.methods, **self.ablations})
        for key in ("controls", "references"):
            for method in getattr(self, key):
                known(key, method, self.methods)
        return self

    def _check_profile(self, where: str, name: str, profile: ProfileParams) -> None:
        for dataset in profile.datasets:
            known(f"{where}.datasets", dataset, self.datasets)
        for backbone in profile.backbones:
            known(f"{where}.backbones", backbone, self.backbones)
        named = {**self.methods, **self.ablations}
        for group in ("methods", "ablations"):
            for method in getattr(profile, group) or ():
                known(f"{where}.{group}", method, getattr(self, group))
        if profile.settings_of is not None:
            other = known(f"{where}.settings_of", profile.settings_of, self.profiles)
            if other.settings_of is not None:
                raise HashbenchError(
                    f"key '{where}.settings_of' is '{profile.settings_of}'; it must be another profile that has no "
                    "settings_of itself"
                )
        if profile.most_steps is not None and profile.most_steps <= self.search.steps.low:
            raise HashbenchError(
                f"key '{where}.most_steps' is {profile.most_steps}; it must be above search.steps.low, which is "
                f"{self.search.steps.low}"
            )
        for bits in profile.ablation_bits or ():
            if bits not in profile.bits:
                raise HashbenchError(
                    f"key '{where}.ablation_bits' names {bits}, which its `bits` do not; a variant is compared with "
                    "its method at one code length"
                )
        for method in profile.backbone_training_of:
            known(f"{where}.backbone_training_of", method, named)
        for training in (profile.backbone_training, *profile.backbone_training_of.values()):
            for backbone in () if training == "frozen" else training.rates:
                known(f"{where}: rates of a backbone_training", backbone, dict.fromkeys(profile.backbones))
        for method, augmentation in profile.augmentation_of.items():
            known(f"{where}.augmentation_of", method, named)
            known(f"{where}.augmentation_of.{method}", augmentation, self.augmentations)
            if self.backbone_training_of(method, name) is None:
                raise HashbenchError(
                    f"key '{where}.augmentation_of.{method}' has no effect: the backbone of {method} stays frozen in "
                    "this profile, and frozen features are shared; take it out"
                )
        self._check_values(f"{where}.overrides", profile.overrides, named)
        for method, block in named.items():
            for overridden in set(self.lineage(method)) & self.overrides_of(name).keys():
                check_method(f"{where}.overrides.{overridden}", block.code, self.method(method, name).values, ())

    @staticmethod
    def _check_values(where: str, blocks: dict[str, dict[str, Hyperparameter]], named: dict[str, MethodParams]) -> None:
        for method, values in blocks.items():
            block = known(where, method, named)
            for key in values:
                known(f"{where}.{method}", key, block.hyperparameters)

    def profile(self, name: str) -> ProfileParams:
        """The profile called `name`."""
        return known("profile", name, self.profiles)

    def names(self, profile: str, group: Group) -> list[str]:
        """The methods or the ablations that run in a profile, or those of its methods that have something to search and
        so official settings to compare with, in the order of params.yaml."""
        if group == "official":
            return [name for name in self.names(profile, "methods") if self.search.spaces.get(name)]
        chosen = getattr(self.profile(profile), group)
        return [name for name in getattr(self, group) if chosen is None or name in chosen]

    def bits(self, profile: str, group: Group) -> list[int]:
        """The code lengths at which a profile's methods, or ablations, run, in the order of params.yaml."""
        chosen = self.profile(profile)
        return list(chosen.bits if group != "ablations" or chosen.ablation_bits is None else chosen.ablation_bits)

    def lineage(self, name: str) -> list[str]:
        """The method that a variant goes back to, the variants between, and itself; a method by itself."""
        found = [name]
        while (of := known("method", found[0], {**self.methods, **self.ablations}).of) is not None:
            found.insert(0, of)
        return found

    def backbone_training_of(self, name: str, profile: str) -> BackboneTraining | None:
        """How a profile trains the backbone of a method, or of what a variant is of; None: not at all."""
        chosen = self.profile(profile)
        training = self._said_of(name, chosen.backbone_training_of) or chosen.backbone_training
        return None if training == "frozen" else training

    def augmentation_of(self, name: str, profile: str) -> Augmentation | None:
        """The augmentation that a profile gives to one method alone."""
        own = self._said_of(name, self.profile(profile).augmentation_of)
        return None if own is None else self.augmentations[own]

    def _said_of(self, name: str, values: Mapping[str, T]) -> T | None:
        return next((values[each] for each in reversed(self.lineage(name)) if each in values), None)

    def overrides_of(self, profile: str) -> dict[str, dict[str, Hyperparameter]]:
        """The overrides of a profile, laid over those of the profile whose settings it has."""
        chosen = self.profile(profile)
        shared = {} if chosen.settings_of is None else self.profile(chosen.settings_of).overrides
        named = [*shared, *(name for name in chosen.overrides if name not in shared)]
        return {name: {**shared.get(name, {}), **chosen.overrides.get(name, {})} for name in named}

    def method(self, name: str, profile: str) -> MethodParams:
        """A method's block with the overrides of the profile laid over it.

        A variant also has what is laid over that which it is of, but for what it changes itself.
        """
        named, overrides = {**self.methods, **self.ablations}, self.overrides_of(profile)
        block = known("method", name, named)
        entries = block.hyperparameters
        for each in self.lineage(name):
            shared, laid_over = named[each].hyperparameters, overrides.get(each, {})
            entries |= {
                key: entry for key, entry in laid_over.items() if block.hyperparameters.get(key) == shared.get(key)
            }
        return _with(block, entries)

    def official_method(self, name: str, profile: str) -> MethodParams:
        """A method's block as its authors say, and where they say nothing as it is before any search."""
        block = self.before_search(profile).method(name, profile)
        return _with(block, {**block.hyperparameters, **self.official.get(name, {})})

    def budget_of(self, profile: str) -> Budget:
        """What the search may spend on each method of a profile."""
        return self.search.budget_of(self.profile(profile).most_steps)

    def before_search(self, profile: str) -> Params:
        """The same without what a search put into the overrides of a profile, its own or that of the profile whose
        settings it has: with these settings the search begins, so that what it chose can be adopted without making it
        stale."""
        kept = {
            method: {name: entry for name, entry in entries.items() if entry.source != "search"}
            for method, entries in self.overrides_of(profile).items()
        }
        before = self.profile(profile).model_copy(update={"overrides": kept, "settings_of": None})
        return self.model_copy(update={"profiles": {**self.profiles, profile: before}})

    def settings(self, method: str, profile: str) -> dict[str, dict[str, Value]]:
        """The settings of a method with which its search on a profile begins: the present one, and the official one."""
        present = self.before_search(profile).method(method, profile)
        return {"present": present.values, "official": self.official_method(method, profile).values}


def _with(block: MethodParams, entries: dict[str, Hyperparameter]) -> MethodParams:
    return MethodParams.model_validate({**block.model_dump(include=set(MethodParams.model_fields)), **entries})


def _check_not_searched(where: str, method: MethodParams) -> None:
    for key, entry in method.hyperparameters.items():
        if entry.source == "search":
            raise HashbenchError(
                f"key '{where}.{key}' has the source 'search'; what the search of a profile chose stands in its "
                "overrides, and what `methods` has is where every search begins"
            )


def _in_full(name: Any, variant: Any, methods: dict[Any, Any], before: dict[Any, Any]) -> Any:
    """A variant with all that it has of its method, or of a variant `before` it."""
    if not isinstance(variant, dict):
        return variant
    key = f"ablations.{shown(name)}"
    if "code" in variant:
        raise HashbenchError(f"key '{key}.code' must go; a variant has the code of the method that its `of` names")
    if "of" not in variant:
        raise HashbenchError(f"key '{key}.of' is missing; it must be the name of the method that the variant changes")
    of = str(variant["of"])
    changed = known(f"{key}.of", of, {**methods, **before})
    if not isinstance(changed, dict):
        return variant
    own = ("under_study", "against", "label")
    return {**{name: value for name, value in changed.items() if name not in own}, "against": of, **variant}


def params_path() -> Path:
    """params.yaml of the working directory, or the file that HASHBENCH_PARAMS names."""
    return settings().params


def load_params(path: Path | None = None) -> Params:
    """Read and check params.yaml.

    Raises HashbenchError: one sentence that names the key, the value, and what is allowed.
    """
    path = path or params_path()
    try:
        return Params.model_validate(_read_yaml(_read_text(path)))
    except ValidationError as error:
        raise HashbenchError(one_line(f"{path}: {first_error(error, Params.model_json_schema())}")) from None
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        raise HashbenchError(one_line(f"{path}: not valid YAML: {error}")) from None
    except FileNotFoundError:
        raise HashbenchError(
            f"{path} is missing: all but `hashbench evaluate`, `compare`, `explain`, `plot` and `splits` needs a clone "
            "of hashbench; make one with `git clone`, run `uv sync` there and then this command, or name another file "
            "in HASHBENCH_PARAMS"
        ) from None
    except OSError as error:
        reason = error.strerror or "unreadable"
        raise HashbenchError(f"{path}: cannot be read ({reason}); run from the folder that holds it") from None
    except HashbenchError as error:
        raise HashbenchError(one_line(f"{path}: {error}")) from None


_MAX_BYTES = 1 << 18


def _read_text(path: Path) -> str:
    if not path.is_file() and path.exists():
        raise HashbenchError("is no file; run from the folder that holds it")
    with path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise HashbenchError(f"is larger than {_MAX_BYTES:,} bytes; params.yaml takes a few thousand")
    return content.decode("utf-8")


def _read_yaml(text: str) -> Any:
    loader = _PlainLoader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


class _PlainLoader(Composer, CParser, SafeConstructor, Resolver):
    """YAML as DVC reads and writes it, without what its overrides pass by: anchors, merged blocks, keys with a dot.

    A key that stands twice is an error too, not a silent last word. libyaml takes the text apart, six times as fast as
    PyYAML itself.
    """

    def __init__(self, text: str) -> None:
        CParser.__init__(self, text)
        for part in (Composer, SafeConstructor, Resolver):
            part.__init__(self)

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """As SafeLoader does, but for an anchor or alias."""
        event: Any = self.peek_event()
        if event.anchor is not None:
            raise HashbenchError(
                f"line {event.start_mark.line + 1}: YAML anchors and aliases ('{shown(event.anchor)}') are ignored by "
                "`dvc exp run -S`; write the values out, or use `of:`"
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As SafeLoader does, after looking at the keys."""
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            where = f"line {key.start_mark.line + 1}: key '{shown(key.value)}'"
            if key.tag == "tag:yaml.org,2002:merge":
                raise HashbenchError(f"{where} is ignored by `dvc exp run -S`; write the values out, or use `of:`")
            if "." in key.value:
                raise HashbenchError(f"{where} has a dot, which DVC reads as two keys; it must have none")
            if key.value in seen:
                raise HashbenchError(f"{where} stands twice in its block; take one out")
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


# DVC writes YAML 1.2, where 1e-05 is a number; PyYAML reads YAML 1.1, where it is a text.
_PlainLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)
