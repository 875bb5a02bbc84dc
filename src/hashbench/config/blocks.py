"""The blocks of params.yaml, typed: what a data set, a method, a profile or a hyperparameter says."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from hashbench.cells import Value
from hashbench.features.specs import BackboneTraining

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
Source = Literal["paper", "official code", "third-party", "ours", "search"]
Group = Literal["methods", "ablations", "official"]
Distinct = Annotated[list[T], AfterValidator(_without_repeats)]
Set = Annotated[Distinct[T], Field(min_length=1)]


class Block(BaseModel):
    """A block that never changes and has no other keys than its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Hyperparameter(Block):
    """A value and where it comes from."""

    value: Value
    source: Source
    note: str = ""


class EvaluationParams(Block):
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
    """One method: the Python file that holds it, and its hyperparameters with their sources.

    `under_study`: whether it is one of those that the benchmark was made for. For a variant among the ablations: `of`
    is the method or variant from which it has its code and every hyperparameter that it does not give itself,
    `against` the row that it is compared with (`of`, unless it says another), `label` what its row is called.
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, Hyperparameter]

    code: str
    of: Name | None = None
    against: Name | None = None
    label: Title | None = None
    under_study: Annotated[bool, Field(strict=True)] = False

    @property
    def hyperparameters(self) -> dict[str, Hyperparameter]:
        """Hyperparameters by name."""
        return dict(self.__pydantic_extra__)

    @property
    def values(self) -> dict[str, Value]:
        """The arguments of the method's constructor."""
        return {name: entry.value for name, entry in self.hyperparameters.items()}


class ProfileParams(Block):
    """One table: data sets x backbones x methods x bits x seeds, on one kind of device.

    `precision` computes the losses of trained methods in float32, or under autocast to bfloat16. The backbone stays
    `frozen`, or each method that trains a network trains a copy of it as `backbone_training` says, or as
    `backbone_training_of` says of that method; its views are then drawn by the data set's augmentation or by that of
    `augmentation_of`. `checkpoint_layers` recomputes the activations of a backbone that is trained, for less memory;
    `seeds` number the repetitions; `views` is how many augmented views of each train image are extracted, with their
    patch tokens unless `view_tokens` is false; `keep_codes` names the repetitions whose codes stand beside the results,
    in git, so that anyone can recompute their numbers; `overrides` replaces single hyperparameters of methods in this
    profile, laid over those of the profile `settings_of`. `methods` and `ablations` name those that run, where not all
    do; ablations run at `ablation_bits`, or at all code lengths. `most_steps`: what `search.steps.high` is to others,
    and all lengths of training are cut to.
    """

    title: Title
    device: Literal["cpu", "cuda"]
    precision: Literal["fp32", "bf16"]
    backbone_training: Literal["frozen"] | BackboneTraining
    backbone_training_of: dict[Name, Literal["frozen"] | BackboneTraining] = {}
    augmentation_of: dict[Name, Name] = {}
    checkpoint_layers: Annotated[bool, Field(strict=True)]
    datasets: Set[Name]
    backbones: Set[Name]
    bits: Set[Bits]
    seeds: Set[Seed]
    views: Annotated[int, Field(strict=True, ge=2, le=1000)]
    view_tokens: Annotated[bool, Field(strict=True)] = True
    keep_codes: Distinct[Seed]
    overrides: dict[Name, dict[str, Hyperparameter]]
    settings_of: ProfileName | None = None
    methods: Set[Name] | None = None
    ablations: Set[Name] | None = None
    ablation_bits: Set[Bits] | None = None
    most_steps: Annotated[int, Field(strict=True, ge=2)] | None = None
