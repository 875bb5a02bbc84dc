"""What backbones' weights and features are made from: written beside them, and held against params by `verify`."""

from __future__ import annotations

from typing import Any

from hashbench.config.selection import BackboneParams, FeatureParams, values_of
from hashbench.features.views import views_seed
from hashbench.fingerprint import program_of
from hashbench.seeding import run_seed
from hashbench.types import Split

Pair = tuple[str, str]  # data set, backbone


def weights_made_from(params: BackboneParams, pair: Pair, pixels: str, split: Split) -> dict[str, Any]:
    """Everything that decides the weights of a backbone that is trained here; `pixels`: digest of the images."""
    dataset, backbone = pair
    spec, program = params.backbones[backbone], program_of("hashbench.stages.backbones")
    return {
        "code": program.digest,
        "versions": program.versions,
        "backbone": dict(values_of(spec)),
        "recipe": spec.weights.model_dump(mode="json"),
        "augmentation": params.augmentations[dataset].model_dump(mode="json"),
        "pixels": pixels,
        "split": split.digest,
        "seed": run_seed(params.base_seed, "pretrain", dataset, backbone),
    }


def features_made_from(
    params: FeatureParams, pair: Pair, weights: str, pixels: str, split: Split
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Everything that decides the features of all rows, and of the views; `weights`, `pixels`: digests of these."""
    dataset, backbone = pair
    program = program_of("hashbench.stages.features")
    rows_from = {
        "code": program.digest,
        "versions": program.versions,
        "device": params.device,
        "backbone": dict(values_of(params.backbones[backbone])),
        "weights": weights,
        "pixels": pixels,
    }
    views_from = {
        **rows_from,
        "augmentation": params.augmentations[dataset].model_dump(mode="json"),
        "views": params.views,
        "seed": views_seed(params.base_seed, dataset),
        "split": split.digest,
    }
    return rows_from, views_from


def texts_made_from(weights: str, texts: str) -> dict[str, Any]:
    """Everything that decides the text embeddings of a backbone; `weights`, `texts`: digests of its and their files."""
    return {"weights": weights, "texts": texts}
