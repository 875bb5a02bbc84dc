"""A typed view of params.yaml, the only home of numbers, and every check that needs no work to be started."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from hashbench.checks import check_dataset, check_method
from hashbench.errors import HashbenchError
from hashbench.features.specs import Augmentation, BackboneSpec
from hashbench.sentences import did_you_mean as did_you_mean
from hashbench.sentences import first_error as first_error
from hashbench.sentences import known as known
from hashbench.sentences import one_line
from hashbench.types import Hyperparameter

T = TypeVar("T")


def _without_repeats(values: list[T]) -> list[T]:
    for value, times in Counter(values).items():
        if times > 1:
            raise ValueError(f"{value} stands {times} times in it; each may stand once")
    return values


def _name(letters: str, description: str) -> Any:
    return Field(pattern=f"^[a-z0-9][{letters}]*$", max_length=64, description=description)


Name = Annotated[str, _name("a-z0-9_", "a name of small letters, digits and _")]
ProfileName = Annotated[str, _name("a-z0-9_-", "a name of small letters, digits, _ and -")]
Title = Annotated[str, Field(min_length=1, max_length=200, description="a text of 1 to 200 letters")]
Bits = Annotated[int, Field(strict=True, ge=4, le=1024)]
Count = Annotated[int, Field(strict=True, ge=1)]
Seed = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
Set = Annotated[list[T], Field(min_length=1), AfterValidator(_without_repeats)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EvaluationParams(_Strict):
    """The rules of mAP that every table follows; docs/evaluation.md defines the names."""

    denominator: Literal["relevant_in_top_k", "min_k_relevant", "relevant"]
    empty: Literal["zero", "nan"]
    ranks: Set[Count]


class DatasetParams(BaseModel):
    """One data set: `kind` is its file under data/; keys not listed here are arguments of that file's `load`."""

    model_config = ConfigDict(frozen=True, extra="allow")

    kind: Name
    title: Title
    protocol: str
    k: Count | None
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


class ProfileParams(_Strict):
    """One table: data sets x backbones x methods x bits x seeds, on one kind of device.

    `precision` computes the losses of trained methods in float32, or under autocast to bfloat16; `checkpoint_layers`
    recomputes the activations of a backbone that is fine-tuned, for less memory; `seeds` number the repetitions;
    `views` is how many augmented views of each train image are extracted; `overrides` replaces single hyperparameters
    of methods in this profile.
    """

    title: Title
    device: Literal["cpu", "cuda"]
    precision: Literal["fp32", "bf16"]
    checkpoint_layers: Annotated[bool, Field(strict=True)]
    datasets: Set[Name]
    backbones: Set[Name]
    bits: Set[Bits]
    seeds: Set[Seed]
    views: Annotated[int, Field(strict=True, ge=2, le=1000)]
    overrides: dict[Name, dict[str, Hyperparameter]]


class ClaimParams(_Strict):
    """The claim that each of the `winners` beats each of the `losers`, which the report checks."""

    winners: Set[Name]
    losers: Set[Name]


class Params(_Strict):
    """The whole of params.yaml."""

    base_seed: Seed
    evaluation: EvaluationParams
    profiles: dict[ProfileName, ProfileParams]
    datasets: dict[Name, DatasetParams]
    augmentations: dict[str, dict[str, Any]]
    backbones: dict[Name, dict[str, Any]]
    methods: dict[Name, MethodParams]
    ablations: dict[Name, MethodParams]
    controls: Annotated[list[Name], AfterValidator(_without_repeats)]
    claims: list[ClaimParams]

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Params:
        shared = set(self.methods) & set(self.ablations)
        if shared:
            raise HashbenchError(
                f"key 'ablations.{min(shared)}': '{min(shared)}' is the name of a method too; rename one of the two"
            )
        for name, augmentation in self.augmentations.items():
            _check_block(("augmentations", name), augmentation, Augmentation)
        for name, backbone in self.backbones.items():
            _check_block(("backbones", name), backbone, BackboneSpec)
        for name, dataset in self.datasets.items():
            known(f"datasets.{name}.augmentation", dataset.augmentation, self.augmentations)
            beside = tuple(DatasetParams.model_fields)
            check_dataset(f"datasets.{name}", dataset.kind, dataset.protocol, dataset.k, dataset.load_options, beside)
        for group in ("methods", "ablations"):
            for name, method in getattr(self, group).items():
                check_method(f"{group}.{name}", method.code, method.hyperparameters)
        for name, profile in self.profiles.items():
            self._check_profile(f"profiles.{name}", name, profile)
        for number, claim in enumerate(self.claims):
            self._check_claim(f"claims.{number}", claim)
        for method in self.controls:
            known("controls", method, self.methods)
        return self

    def _check_profile(self, where: str, name: str, profile: ProfileParams) -> None:
        for dataset in profile.datasets:
            known(f"{where}.datasets", dataset, self.datasets)
        for backbone in profile.backbones:
            known(f"{where}.backbones", backbone, self.backbones)
        for method, values in profile.overrides.items():
            block = known(f"{where}.overrides", method, {**self.methods, **self.ablations})
            for key in values:
                known(f"{where}.overrides.{method}", key, block.hyperparameters)
            check_method(f"{where}.overrides.{method}", block.code, self.method(method, name).hyperparameters)

    def _check_claim(self, where: str, claim: ClaimParams) -> None:
        for side in ("winners", "losers"):
            for method in getattr(claim, side):
                known(f"{where}.{side}", method, self.methods)
        both = sorted(set(claim.winners) & set(claim.losers))
        if both:
            raise HashbenchError(f"key '{where}.losers' names '{both[0]}', which is among its winners; take one out")

    def profile(self, name: str) -> ProfileParams:
        """The profile called `name`."""
        return known("profile", name, self.profiles)

    def method(self, name: str, profile: str) -> MethodParams:
        """A method's block with the profile's overrides laid over it."""
        block = known("method", name, {**self.methods, **self.ablations})
        overrides = self.profile(profile).overrides.get(name, {})
        return MethodParams.model_validate({"code": block.code, **block.hyperparameters, **overrides})


def _check_block(where: tuple[str, str], block: Mapping[str, Any], model: type[BaseModel]) -> None:
    try:
        model.model_validate(block)
    except ValidationError as error:
        raise HashbenchError(first_error(error, model.model_json_schema(), where)) from None


def params_path() -> Path:
    """params.yaml of the working directory, or the file that HASHBENCH_PARAMS names."""
    return Path(os.environ.get("HASHBENCH_PARAMS", "params.yaml"))


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
    except OSError as error:
        reason = error.strerror or "unreadable"
        raise HashbenchError(f"{path}: cannot be read ({reason}); run from the folder that holds it") from None
    except HashbenchError as error:
        raise HashbenchError(one_line(f"{path}: {error}")) from None


_MAX_BYTES = 1 << 18
_MAX_VALUES = 1 << 16


def _read_text(path: Path) -> str:
    if not path.is_file() and path.exists():
        raise HashbenchError("is no file; run from the folder that holds it")
    with path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise HashbenchError(f"is larger than {_MAX_BYTES:,} bytes; params.yaml takes a few thousand")
    return content.decode("utf-8")


def _read_yaml(text: str) -> Any:
    loader = _UniqueKeys(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _unfolded(node, {}) > _MAX_VALUES:
            raise HashbenchError(f"its aliases unfold to more than {_MAX_VALUES:,} values; write them out, or fewer")
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _unfolded(node: yaml.Node, sizes: dict[int, int]) -> int:
    """How many values a node holds when every alias is written out; an alias inside of what it stands for is refused.

    `sizes` holds those of the nodes seen before, so that what unfolds to billions is counted in a moment.
    """
    key = id(node)
    if sizes.get(key) == 0:
        raise yaml.constructor.ConstructorError(None, None, "an alias stands inside of what it names", node.start_mark)
    if key not in sizes:
        sizes[key] = 0
        inner = [each for pair in node.value for each in pair] if isinstance(node, yaml.MappingNode) else node.value
        sizes[key] = 1 + sum(_unfolded(each, sizes) for each in inner if isinstance(each, yaml.Node))
    return sizes[key]


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error, not a silent last word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As SafeLoader does, after looking at the keys; those that `<<` merges may stand again."""
        merge = "tag:yaml.org,2002:merge"
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.tag != merge]
        seen: dict[str, yaml.Node] = {}
        for key in keys:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key '{key.value}' stands twice", key.start_mark)
            seen[key.value] = key
        return super().construct_mapping(node, deep=deep)
