"""Small backbones, recipes and images that the tests of features share."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from hashbench.features.backbones import Backbone, load_backbone, new_network
from hashbench.features.specs import Augmentation, BackboneSpec

PER_CHANNEL = [0.5, 0.5, 0.5]


@pytest.fixture(autouse=True)
def _one_core():
    """Tests share a machine; single-threaded they neither wait for each other nor round differently."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def vit_block() -> dict:
    """A ViT of 16 patches as params.yaml would describe it."""
    arguments = {"img_size": 16, "patch_size": 4, "embed_dim": 32, "depth": 2, "num_heads": 2}
    return {
        "title": "small ViT",
        "model": "vit_tiny_patch16_224",
        "arguments": arguments,
        "weights": {"file": "small.safetensors"},
        "size": 16,
        "interpolation": "bicubic",
        "mean": PER_CHANNEL,
        "std": PER_CHANNEL,
        "pool": "avg",
        "precision": "fp32",
    }


@pytest.fixture
def save_network(tmp_path: Path):
    """Write the network of a spec with its initial weights, as a publisher would; returns the file and its sha256."""

    def save(spec: BackboneSpec, name: str = "small.safetensors") -> tuple[Path, str]:
        path = tmp_path / name
        save_file({key: value.contiguous() for key, value in new_network(spec, seed=3).state_dict().items()}, path)
        return path, hashlib.sha256(path.read_bytes()).hexdigest()

    return save


@pytest.fixture
def small_vit(vit_block: dict, save_network) -> Backbone:
    spec = BackboneSpec.read("backbones.small", vit_block)
    return load_backbone(spec, save_network(spec)[0])


@pytest.fixture
def recipe() -> Augmentation:
    """SimCLR's recipe with every part often switched on and off."""
    return Augmentation(
        crop_scale=(0.2, 1),
        crop_ratio=(3 / 4, 4 / 3),
        flip=0.5,
        jitter=0.8,
        brightness=0.4,
        contrast=0.4,
        saturation=0.4,
        hue=0.1,
        grey=0.2,
        blur=0.5,
        blur_sigma=(0.1, 2),
        blur_width=5,
    )


@pytest.fixture
def images() -> np.ndarray:
    """Forty pictures of smooth colour with hard edges: uint8 (40, 12, 12, 3)."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (40, 4, 4, 3), dtype=np.uint8)
    return coarse.repeat(3, axis=1).repeat(3, axis=2)
