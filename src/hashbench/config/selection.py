"""What each stage reads of params.yaml: values that decide its output, and nothing else.

The stage `params` writes them, a JSON file a stage; every other stage reads its own file and never params.yaml. So a
title, a source, an order of blocks or what a profile does not use makes no stage stale but the report.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from hashbench.cells import Cell, Value
from hashbench.config.left_out import left_out_of
from hashbench.config.lengths import cut, rows_of_a_search
from hashbench.config.params import EvaluationParams, Group, Hyperparameter, Params
from hashbench.config.searching import Budget, Space, lengths_of
from hashbench.features.specs import Augmentation, BackboneSpec, BackboneTraining


class _Selection(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DatasetSource(_Selection):
    """How a data set is loaded: its kind, and the arguments of that kind's `load`."""

    kind: str
    options: dict[str, Any]


class FetchParams(_Selection):
    """What the stage `fetch` reads."""

    datasets: dict[str, DatasetSource]


class SplitParams(_Selection):
    """What the stage `split` reads: the protocol of each data set."""

    base_seed: int
    protocols: dict[str, str]


class BackboneParams(_Selection):
    """What the stage `backbones` reads: backbones (their titles are their names), and each data set's augmentation."""

    base_seed: int
    device: Literal["cpu", "cuda"]
    backbones: dict[str, BackboneSpec]
    augmentations: dict[str, Augmentation]


class FeatureParams(BackboneParams):
    """What the stage `features` reads; no tokens of views are stored where all methods train the backbone."""

    views: int
    view_tokens: bool


class FitParams(BackboneParams):
    """What the stage `fit` reads of one method: its code, its hyperparameters, and the cells it is fitted in.

    `left_out`: on which backbones of the profile it is not fitted, and why. `most_steps`: to how many steps the
    hyperparameters `lengths`, in epochs, are cut, where that is not None; counted on the train rows that a fit of the
    search has, so that a setting is cut to the same epochs there and here.
    """

    group: Group
    method: str
    code: str
    hyperparameters: dict[str, Value]
    bits: list[int]
    seeds: list[int]
    precision: Literal["fp32", "bf16"]
    checkpoint_layers: bool
    left_out: dict[str, str]
    backbone_training: BackboneTraining | None
    lengths: list[str] = []
    most_steps: int | None = None

    def hyperparameters_for(self, n_train: int) -> dict[str, Value]:
        """The hyperparameters on `n_train` train rows."""
        if self.most_steps is None:
            return self.hyperparameters
        return cut(self.hyperparameters, self.lengths, rows_of_a_search(n_train), self.most_steps)

    def cells(self) -> Iterator[Cell]:
        """Every cell of the method."""
        return _cells(sorted(self.augmentations), sorted(self.backbones), [self.method], self.bits, self.seeds)


class MethodSearchParams(_Selection):
    """What the stage `search` reads of one method: how it is fitted now and as its authors say, and what may be tried.

    `cutoffs`: k of each data set; `space` is empty where a method has nothing to search.
    """

    fit: FitParams
    official: dict[str, Value]
    budget: Budget
    space: dict[str, Space]
    cutoffs: dict[str, int | None]


class SearchReportParams(_Selection):
    """What the report of a profile's search reads: the budget, and the code of each method that was searched."""

    base_seed: int
    budget: Budget
    methods: dict[str, str]


class EvaluateParams(_Selection):
    """What the stage `evaluate` reads: the rules, the cut-off of each data set, and all cells of the group.

    `left_out`: methods that are not fitted on some backbones, with these.
    """

    rules: EvaluationParams
    cutoffs: dict[str, int | None]
    backbones: list[str]
    methods: list[str]
    bits: list[int]
    seeds: list[int]
    keep_codes: list[int]
    left_out: dict[str, list[str]]

    def cells(self) -> Iterator[Cell]:
        """Every cell of the group."""
        cells = _cells(sorted(self.cutoffs), self.backbones, self.methods, self.bits, self.seeds)
        return (cell for cell in cells if cell.backbone not in self.left_out.get(cell.method, ()))


def _cells(
    datasets: list[str], backbones: list[str], methods: list[str], bits: list[int], seeds: list[int]
) -> Iterator[Cell]:
    for dataset in datasets:
        for backbone in backbones:
            for method in methods:
                for n_bits in bits:
                    for seed in seeds:
                        yield Cell(dataset, backbone, method, n_bits, seed)


def fetch_params(params: Params, profile: str) -> FetchParams:
    """What `fetch` reads for a profile."""
    blocks = {name: params.datasets[name] for name in sorted(params.profile(profile).datasets)}
    return FetchParams(datasets={n: DatasetSource(kind=b.kind, options=b.load_options) for n, b in blocks.items()})


def split_params(params: Params, profile: str) -> SplitParams:
    """What `split` reads for a profile."""
    datasets = sorted(params.profile(profile).datasets)
    return SplitParams(
        base_seed=params.base_seed, protocols={name: params.datasets[name].protocol for name in datasets}
    )


def backbone_params(params: Params, profile: str) -> BackboneParams:
    """What `backbones` reads for a profile."""
    return BackboneParams(**_of_backbones(params, profile))


def feature_params(params: Params, profile: str) -> FeatureParams:
    """What `features` reads for a profile."""
    chosen = params.profile(profile)
    trainings = (chosen.backbone_training, *chosen.backbone_training_of.values())
    return FeatureParams(
        **_of_backbones(params, profile),
        views=chosen.views,
        view_tokens=chosen.view_tokens and "frozen" in trainings,
    )


def fit_params(params: Params, profile: str, group: Group, method: str) -> FitParams:
    """What `fit` reads of a method, or of an ablation, for a profile.

    It has no code length in a profile that leaves it out, and lacks the backbones on which it cannot be fitted. Lengths
    of training are cut to the most steps of the profile; those of official settings, where it has no limit, to the most
    steps of the search.
    """
    chosen, is_official = params.profile(profile), group == "official"
    block = params.official_method(method, profile) if is_official else params.method(method, profile)
    own = params.augmentation_of(method, profile)
    runs = [method] if method in params.names(profile, group) else []
    left_out = left_out_of(params, profile, runs).get(method, {})
    backbones = _of_backbones(params, profile)
    backbones["backbones"] = {name: spec for name, spec in backbones["backbones"].items() if name not in left_out}
    if own is not None:
        backbones["augmentations"] = dict.fromkeys(backbones["augmentations"], own)
    return FitParams(
        **backbones,
        group=group,
        method=method,
        code=block.code,
        hyperparameters={name: entry.value for name, entry in sorted(block.hyperparameters.items())},
        bits=sorted(params.bits(profile, group)) if runs else [],
        seeds=sorted(chosen.seeds),
        precision=chosen.precision,
        checkpoint_layers=chosen.checkpoint_layers,
        left_out=left_out,
        backbone_training=params.backbone_training_of(method, profile),
        **_cut(params, profile, group, method),
    )


def _cut(params: Params, profile: str, group: Group, method: str) -> dict[str, Any]:
    """Which lengths of training of a method are cut, and to how many steps."""
    if group != "official" and params.profile(profile).most_steps is None:
        return {"lengths": [], "most_steps": None}
    space = params.search.spaces.get(params.lineage(method)[0], {})
    return {"lengths": lengths_of(space), "most_steps": int(params.budget_of(profile).steps.high)}


def search_params(params: Params, profile: str, method: str) -> MethodSearchParams:
    """What `search` reads of a method for a profile; one that is fitted nowhere in it has nothing to search."""
    fit = fit_params(params.before_search(profile), profile, "methods", method)
    space = params.search.spaces.get(method, {}) if fit.bits and fit.backbones else {}
    return MethodSearchParams(
        fit=fit,
        official=params.settings(method, profile)["official"],
        budget=params.budget_of(profile),
        space={name: space[name] for name in sorted(space)},
        cutoffs={name: params.datasets[name].k for name in sorted(params.profile(profile).datasets)},
    )


def search_report_params(params: Params, profile: str) -> SearchReportParams:
    """What the report of the search of a profile reads."""
    searched = {
        name: block.code for name, block in params.methods.items() if search_params(params, profile, name).space
    }
    return SearchReportParams(base_seed=params.base_seed, budget=params.budget_of(profile), methods=searched)


def evaluate_params(params: Params, profile: str, group: Group) -> EvaluateParams:
    """What `evaluate` reads for a group of a profile; codes of official settings are kept in artefacts alone."""
    chosen, names = params.profile(profile), params.names(profile, group)
    return EvaluateParams(
        rules=params.evaluation.model_copy(update={"ranks": sorted(params.evaluation.ranks)}),
        cutoffs={name: params.datasets[name].k for name in sorted(chosen.datasets)},
        backbones=sorted(chosen.backbones),
        methods=sorted(names),
        bits=sorted(params.bits(profile, group)),
        seeds=sorted(chosen.seeds),
        keep_codes=[] if group == "official" else sorted(chosen.keep_codes),
        left_out={name: sorted(on) for name, on in left_out_of(params, profile, names).items()},
    )


def _of_backbones(params: Params, profile: str) -> dict[str, Any]:
    chosen = params.profile(profile)
    augmentations = {name: params.datasets[name].augmentation for name in sorted(chosen.datasets)}
    return {
        "base_seed": params.base_seed,
        "device": chosen.device,
        "backbones": {name: untitled(name, params.backbones[name]) for name in sorted(chosen.backbones)},
        "augmentations": {name: params.augmentations[augmentation] for name, augmentation in augmentations.items()},
    }


def untitled(name: str, spec: BackboneSpec) -> BackboneSpec:
    """A backbone with its name for a title."""
    return spec.model_copy(update={"title": name})


def values_of(spec: BackboneSpec) -> Mapping[str, Any]:
    """What of a backbone decides its features of images, its weights aside."""
    return spec.model_dump(mode="json", exclude={"title", "weights", "texts"})


class MethodTexts(_Selection):
    """What the report says of a method beside its numbers; its `lengths` of training are cut to `most_steps`, where
    that is not None."""

    code: str
    lengths: list[str]
    most_steps: int | None
    hyperparameters: dict[str, Hyperparameter]
    under_study: bool
    label: str | None
    against: str | None
    backbone_is_trained: bool


class ReportParams(_Selection):
    """What the report reads: titles, sources and notes, and the order of rows and columns.

    `variants`: of the ablations, by the method that they change; `left_out`: methods that are not fitted on some
    backbones, with these and why.
    """

    base_seed: int
    methods: dict[str, MethodTexts]
    dataset_titles: dict[str, str]
    backbone_titles: dict[str, str]
    bits: list[int]
    seeds: list[int]
    controls: list[str]
    references: list[str]
    variants: dict[str, list[str]]
    left_out: dict[str, dict[str, str]]

    def cells(self) -> Iterator[Cell]:
        """Every cell that the report shows."""
        cells = _cells([*self.dataset_titles], [*self.backbone_titles], [*self.methods], self.bits, self.seeds)
        return (cell for cell in cells if cell.backbone not in self.left_out.get(cell.method, ()))


def report_params(params: Params, profile: str, group: Group) -> ReportParams:
    """What the report of a group reads: of the methods, of the ablations beside the methods that they change, or of
    all methods with official settings beside the searched ones."""
    chosen = params.profile(profile)
    variants: dict[str, list[str]] = {}
    ablations = params.names(profile, "ablations")
    for name in ablations:
        variants.setdefault(params.lineage(name)[0], []).append(name)
    shown = params.names(profile, "methods")
    if group == "ablations":
        wanted = {*variants, *(str(params.ablations[name].against) for name in ablations)}
        shown = [*(name for name in shown if name in wanted), *ablations]
    block_of = params.official_method if group == "official" else params.method
    blocks = {name: block_of(name, profile) for name in shown}
    return ReportParams(
        base_seed=params.base_seed,
        methods={
            name: MethodTexts(
                code=b.code,
                **_cut(params, profile, group, name),
                hyperparameters=b.hyperparameters,
                under_study=b.under_study,
                label=b.label,
                against=b.against,
                backbone_is_trained=params.backbone_training_of(name, profile) is not None,
            )
            for name, b in blocks.items()
        },
        dataset_titles={name: params.datasets[name].title for name in chosen.datasets},
        backbone_titles={name: params.backbones[name].title for name in chosen.backbones},
        bits=params.bits(profile, group),
        seeds=list(chosen.seeds),
        controls=[name for name in params.controls if name in shown],
        references=[name for name in params.references if name in shown],
        variants=variants if group == "ablations" else {},
        left_out=left_out_of(params, profile, shown),
    )
