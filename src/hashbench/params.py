"""A typed view of params.yaml, the only home of numbers."""

from __future__ import annotations

import difflib
import os
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hashbench.errors import HashbenchError
from hashbench.types import Hyperparameter

T = TypeVar("T")
Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
Bits = Annotated[int, Field(strict=True, ge=4, le=1024)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EvaluationParams(_Strict):
    """The rules of mAP that every table follows; docs/evaluation.md defines the names."""

    denominator: Literal["relevant_in_top_k", "min_k_relevant", "relevant"]
    empty: Literal["zero", "nan"]
    ranks: list[Annotated[int, Field(strict=True, ge=1)]]


class DatasetParams(BaseModel):
    """One data set: `kind` is its file under data/; keys not listed here are arguments of that file's `load`."""

    model_config = ConfigDict(frozen=True, extra="allow")

    kind: Name
    title: str
    protocol: str
    k: Annotated[int, Field(strict=True, ge=1)] | None
    augmentation: str

    @property
    def load_options(self) -> dict[str, Any]:
        """What the data set's own `load` gets."""
        return dict(self.model_extra or {})


class MethodParams(BaseModel):
    """One method: the file (or `package.module:Class`) that holds it, and its hyperparameters with their sources."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, Hyperparameter]

    code: str

    @property
    def hyperparameters(self) -> dict[str, Hyperparameter]:
        """Hyperparameters by name."""
        return dict(self.__pydantic_extra__)


class Profile(_Strict):
    """One table: data sets x backbones x methods x bits x seeds, on one kind of device.

    `precision` computes the losses of trained methods in float32, or under autocast to bfloat16; `checkpoint_layers`
    recomputes the activations of a backbone that is fine-tuned, for less memory; `seeds` number the repetitions;
    `views` is how many augmented views of each train image are extracted; `overrides` replaces single hyperparameters
    of methods in this profile.
    """

    title: str
    device: Literal["cpu", "cuda"]
    precision: Literal["fp32", "bf16"]
    checkpoint_layers: bool
    datasets: Annotated[list[Name], Field(min_length=1)]
    backbones: Annotated[list[Name], Field(min_length=1)]
    bits: Annotated[list[Bits], Field(min_length=1)]
    seeds: Annotated[list[Annotated[int, Field(strict=True, ge=0)]], Field(min_length=1)]
    views: Annotated[int, Field(strict=True, ge=2)]
    overrides: dict[Name, dict[str, Hyperparameter]]


class ClaimParams(_Strict):
    """The claim that each of the `winners` beats each of the `losers`, which the report checks."""

    winners: list[Name]
    losers: list[Name]


class Params(_Strict):
    """The whole of params.yaml."""

    base_seed: Annotated[int, Field(strict=True, ge=0)]
    evaluation: EvaluationParams
    profiles: dict[str, Profile]
    datasets: dict[Name, DatasetParams]
    augmentations: dict[str, dict[str, Any]]
    backbones: dict[Name, dict[str, Any]]
    methods: dict[Name, MethodParams]
    ablations: dict[Name, MethodParams]
    controls: list[Name]
    claims: list[ClaimParams]

    @model_validator(mode="after")
    def _names_are_known(self) -> Params:
        for profile_name, profile in self.profiles.items():
            where = f"profiles.{profile_name}"
            for dataset in profile.datasets:
                known(f"{where}.datasets", dataset, self.datasets)
            for backbone in profile.backbones:
                known(f"{where}.backbones", backbone, self.backbones)
            for method, values in profile.overrides.items():
                block = known(f"{where}.overrides", method, {**self.methods, **self.ablations})
                for name in values:
                    known(f"{where}.overrides.{method}", name, block.hyperparameters)
        for name, dataset_params in self.datasets.items():
            known(f"datasets.{name}.augmentation", dataset_params.augmentation, self.augmentations)
        for number, claim in enumerate(self.claims):
            for method in (*claim.winners, *claim.losers):
                known(f"claims.{number}", method, self.methods)
        for method in self.controls:
            known("controls", method, self.methods)
        shared = set(self.methods) & set(self.ablations)
        if shared:
            raise ValueError(f"{sorted(shared)[0]} stands both under methods and under ablations; rename one")
        return self

    def profile(self, name: str) -> Profile:
        """The profile called `name`."""
        return known("profile", name, self.profiles)

    def method(self, name: str, profile: str) -> MethodParams:
        """A method's block with the profile's overrides laid over it."""
        block = known("method", name, {**self.methods, **self.ablations})
        overrides = self.profile(profile).overrides.get(name, {})
        return MethodParams.model_validate({"code": block.code, **block.hyperparameters, **overrides})


def known(where: str, name: str, table: Mapping[str, T]) -> T:
    """`table[name]`. Raises HashbenchError that says what is allowed and what was probably meant."""
    if name in table:
        return table[name]
    raise HashbenchError(f"{where}: unknown name '{name}'{did_you_mean(name, table)}")


def did_you_mean(name: str, allowed: Iterable[str]) -> str:
    """The end of a sentence that turns an unknown name down."""
    names = sorted(allowed)
    near = difflib.get_close_matches(name, names, n=1)
    guess = f"; did you mean '{near[0]}'?" if near else ""
    return f"{guess} (allowed: {', '.join(names) or 'none'})"


def params_path() -> Path:
    """params.yaml of the working directory, or the file that HASHBENCH_PARAMS names."""
    return Path(os.environ.get("HASHBENCH_PARAMS", "params.yaml"))


def load_params(path: Path | None = None) -> Params:
    """Read and check params.yaml.

    Raises HashbenchError: one sentence that names the key, the value, and what is allowed.
    """
    path = path or params_path()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise HashbenchError(f"{path}: cannot be read ({error}); run from the folder that holds it") from None
    try:
        value = yaml.load(text, Loader=_UniqueKeys)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise HashbenchError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    try:
        return Params.model_validate(value)
    except ValidationError as error:
        raise HashbenchError(f"{path}: {first_error(error, Params)}") from None
    except HashbenchError as error:
        raise HashbenchError(f"{path}: {error}") from None


def first_error(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """The first of pydantic's complaints as one sentence: key, value, what is allowed."""
    detail = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in detail["loc"]) or "the file"
    if detail["type"] == "missing":
        return f"key '{key}' is missing"
    if detail["type"] == "extra_forbidden":
        name = str(detail["loc"][-1])
        return f"unknown key '{key}'{did_you_mean(name, _siblings(detail['loc'], model))}"
    message = detail["msg"].removeprefix("Value error, ")
    given = repr(detail["input"])
    given = given if len(given) <= 80 else given[:77] + "..."
    return f"key '{key}' is {given}: {message[0].lower()}{message[1:]}"


def _siblings(location: tuple[int | str, ...], model: type[BaseModel] | None) -> list[str]:
    """The keys that the model allows where `location` stands."""
    here: Any = model
    for part in location[:-1]:
        if isinstance(here, type) and issubclass(here, BaseModel) and part in here.model_fields:
            here = here.model_fields[str(part)].annotation
        else:
            here = next(iter(reversed(typing.get_args(here))), None)
        while typing.get_origin(here) is Annotated:
            here = typing.get_args(here)[0]
    return list(here.model_fields) if isinstance(here, type) and issubclass(here, BaseModel) else []


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error, not a silent last word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        merged = [key for key, _ in node.value if key.tag == "tag:yaml.org,2002:merge"]
        keys = [key.value for key, _ in node.value if key not in merged]
        repeated = [key for key in keys if keys.count(key) > 1]
        if repeated:
            raise yaml.constructor.ConstructorError(None, None, f"key '{repeated[0]}' stands twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)
