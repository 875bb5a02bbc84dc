"""A typed view of params.yaml, the only home of numbers, and every check that needs no work to be started."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from hashbench.cells import Value
from hashbench.config.checks import check_dataset, check_method
from hashbench.config.messages import did_you_mean as did_you_mean
from hashbench.config.messages import first_error as first_error
from hashbench.config.messages import known as known
from hashbench.config.messages import one_line, shown
from hashbench.errors import HashbenchError
from hashbench.features.specs import Augmentation, BackboneSpec
from hashbench.settings import settings

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
Source = Literal["paper", "official code", "third-party", "ours"]
Set = Annotated[list[T], Field(min_length=1), AfterValidator(_without_repeats)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Hyperparameter(_Strict):
    """A value and where it comes from."""

    value: Value
    source: Source
    note: str = ""


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
    """One method: the file (or `package.module:Class`) that holds it, and its hyperparameters with their sources.

    `under_study`: whether it is one of those that the benchmark was made for. `of`, for a variant among the ablations:
    the method from which it has its code and every hyperparameter that it does not give itself.
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, Hyperparameter]

    code: str
    of: Name | None = None
    under_study: Annotated[bool, Field(strict=True)] = False

    @property
    def hyperparameters(self) -> dict[str, Hyperparameter]:
        """Hyperparameters by name."""
        return dict(self.__pydantic_extra__)

    @property
    def values(self) -> dict[str, Value]:
        """The arguments of the method's constructor."""
        return {name: entry.value for name, entry in self.hyperparameters.items()}


class ProfileParams(_Strict):
    """One table: data sets x backbones x methods x bits x seeds, on one kind of device.

    `precision` computes the losses of trained methods in float32, or under autocast to bfloat16; `checkpoint_layers`
    recomputes the activations of a backbone that is fine-tuned, for less memory; `seeds` number the repetitions;
    `views` is how many augmented views of each train image are extracted; `keep_codes` names the repetitions whose
    codes stand beside the results, in git, so that anyone can recompute their numbers; `overrides` replaces single
    hyperparameters of methods in this profile.
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
    keep_codes: Annotated[list[Seed], AfterValidator(_without_repeats)]
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
    augmentations: dict[Name, Augmentation]
    backbones: dict[Name, BackboneSpec]
    methods: dict[Name, MethodParams]
    ablations: dict[Name, MethodParams]
    controls: Annotated[list[Name], AfterValidator(_without_repeats)]
    claims: list[ClaimParams]

    @model_validator(mode="before")
    @classmethod
    def _write_out_variants(cls, params: Any) -> Any:
        methods, ablations = (params.get(key) if isinstance(params, dict) else None for key in ("methods", "ablations"))
        if not isinstance(methods, dict) or not isinstance(ablations, dict):
            return params
        for name, block in methods.items():
            if isinstance(block, dict) and "of" in block:
                raise HashbenchError(f"key 'methods.{shown(name)}.of' must stand under ablations; a method has `code`")
        return {**params, "ablations": {name: _in_full(name, block, methods) for name, block in ablations.items()}}

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
        for group in ("methods", "ablations"):
            for name, method in getattr(self, group).items():
                check_method(f"{group}.{name}", method.code, method.values, tuple(MethodParams.model_fields))
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
        named = {**self.methods, **self.ablations}
        for method, values in profile.overrides.items():
            block = known(f"{where}.overrides", method, named)
            for key in values:
                known(f"{where}.overrides.{method}", key, block.hyperparameters)
        for method, block in named.items():
            for overridden in {method, block.of} & profile.overrides.keys():
                check_method(f"{where}.overrides.{overridden}", block.code, self.method(method, name).values, ())

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
        """A method's block with the profile's overrides laid over it.

        A variant also has the overrides of its method, but for what it changes itself.
        """
        block = known("method", name, {**self.methods, **self.ablations})
        overrides = self.profile(profile).overrides
        entries = block.hyperparameters
        if block.of is not None:
            shared, of_method = self.methods[block.of].hyperparameters, overrides.get(block.of, {})
            entries |= {key: entry for key, entry in of_method.items() if entries.get(key) == shared.get(key)}
        said = {"code": block.code, "of": block.of, "under_study": block.under_study}
        return MethodParams.model_validate({**said, **entries, **overrides.get(name, {})})


def _in_full(name: Any, variant: Any, methods: dict[Any, Any]) -> Any:
    """A variant with all that it has of its method."""
    if not isinstance(variant, dict):
        return variant
    key = f"ablations.{shown(name)}"
    if "code" in variant:
        raise HashbenchError(f"key '{key}.code' must go; a variant has the code of the method that its `of` names")
    if "of" not in variant:
        raise HashbenchError(f"key '{key}.of' is missing; it must be the name of the method that the variant changes")
    method = known(f"{key}.of", str(variant["of"]), methods)
    return {**method, "under_study": False, **variant} if isinstance(method, dict) else variant


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
            f"{path} is missing: all but `hashbench evaluate`, `compare`, `explain`, `plot` and `splits` needs a "
            "clone of hashbench; make one with `git clone` and run there, or name another file in HASHBENCH_PARAMS"
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


class _PlainLoader(yaml.SafeLoader):
    """YAML as DVC reads and writes it, without what its overrides pass by: anchors, merged blocks, keys with a dot.

    A key that stands twice is an error too, not a silent last word.
    """

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """As SafeLoader does, but for an anchor or alias."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
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
