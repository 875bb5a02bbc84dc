"""A run that trains its backbone: tiny networks of timm, their weights on disk, and pictures of three kinds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from hashbench.features.backbones import load_backbone, new_network
from hashbench.features.finetune import FineTuning
from hashbench.features.specs import Augmentation, BackboneSpec, BackboneTraining
from hashbench.types import Array, ItemView, TrainView

N_TRAIN, N_VIEWS = 26, 3

BLOCK: dict[str, Any] = {
    "title": "tiny",
    "weights": {"file": "tiny.safetensors"},
    "interpolation": "bilinear",
    "mean": [0.5, 0.5, 0.5],
    "std": [0.25, 0.25, 0.25],
    "pool": "avg",
    "precision": "fp32",
}
# Convolutions and BatchNorm, with tokens of another width than the pooled feature; and attention with dropout.
CONVOLUTIONS = {**BLOCK, "model": "test_efficientnet", "size": 32, "token_stride": 16}
TRANSFORMER = {
    **BLOCK,
    "model": "test_vit",
    "arguments": {"img_size": 16, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2},
    "size": 16,
}
RECIPE = Augmentation(
    crop_scale=(0.6, 1),
    crop_ratio=(0.9, 1.1),
    flip=0.5,
    jitter=0.5,
    brightness=0.2,
    contrast=0.2,
    saturation=0.2,
    hue=0.05,
    grey=0.1,
    blur=0,
    blur_sigma=(0.1, 1),
    blur_width=3,
)


@dataclass(frozen=True)
class TrainedRun:
    """What methods get of a run that trains the backbone, and the file of the run's own weights."""

    train: TrainView
    items: ItemView
    weights: Path

    @property
    def frozen(self) -> TrainView:
        """The same run with its backbone frozen."""
        return replace(self.train, backbone=None)

    def backbone(self) -> FineTuning:
        """The run's backbone."""
        assert isinstance(self.train.backbone, FineTuning)
        return self.train.backbone


@pytest.fixture(autouse=True)
def _one_core():
    """Tests share a machine; single-threaded they neither wait for each other nor round differently."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pictures(n: int, seed: int) -> Array:
    """Pictures of three kinds with noise: uint8 (n, 20, 20, 3)."""
    coarse = np.random.default_rng(0).integers(0, 256, (3, 5, 5, 3))
    kinds = coarse.repeat(4, axis=1).repeat(4, axis=2)
    noise = np.random.default_rng(seed).normal(0, 20, (n, 20, 20, 3))
    return np.clip(kinds[np.arange(n) % 3] + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., TrainedRun]:
    """`make_run(block, batch_norm="evaluation", ...)`: a run on the backbone of `block`, trained as the rest says."""

    def make(block: dict[str, Any], **training: Any) -> TrainedRun:
        spec = BackboneSpec.read("backbones.tiny", block)
        path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
        save_file({name: value.contiguous() for name, value in new_network(spec, seed=3).state_dict().items()}, path)
        said = BackboneTraining(**{"learning_rate": 1e-3, "batch_norm": "evaluation", **training})
        backbone = FineTuning(spec, path, said, RECIPE, seed=9)
        images, rows = pictures(N_TRAIN, 1), np.arange(100, 100 + N_TRAIN)
        frozen = load_backbone(spec, path)
        with torch.no_grad():
            pooled, tokens = frozen(frozen.prepare(images))
            views = [frozen(backbone.augment(images, rows, view)) for view in range(N_VIEWS)]
        train = TrainView(
            rows,
            pooled=pooled.numpy(),
            token_mean=tokens.mean(dim=1).numpy(),
            images=images,
            backbone=backbone,
            views=torch.stack([view.pooled for view in views]).numpy(),
            view_tokens=torch.stack([view.tokens for view in views]).numpy(),
        )
        return TrainedRun(train, items_of(backbone, 11), path)

    return make


def items_of(backbone: FineTuning, n: int) -> ItemView:
    """Pictures that are not among the train rows, with their stored features."""
    images = pictures(n, 2)
    frozen = load_backbone(backbone.spec, backbone.weights)
    with torch.no_grad():
        pooled, tokens = frozen(frozen.prepare(images))
    return ItemView(
        np.arange(n),
        pooled=pooled.numpy(),
        token_mean=tokens.mean(dim=1).numpy(),
        images=images,
        backbone=backbone,
    )


@pytest.fixture(scope="session")
def convolutions(make_run: Callable[..., TrainedRun]) -> TrainedRun:
    """A run that trains convolutions, with the statistics of BatchNorm as they are."""
    return make_run(CONVOLUTIONS)


@pytest.fixture(scope="session")
def transformer(make_run: Callable[..., TrainedRun]) -> TrainedRun:
    """A run that trains a transformer with dropout and drop path."""
    return make_run(TRANSFORMER, rates={"proj_drop_rate": 0.2, "drop_path_rate": 0.2})
