"""Backbones: networks of timm, frozen, with weights that are pinned by checksum or revision."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from hashbench.errors import HashbenchError
from hashbench.features.augment import augment
from hashbench.features.resample import Images, resample
from hashbench.features.specs import Augmentation, BackboneSpec, PublishedWeights
from hashbench.features.weights import tensors_digest
from hashbench.settings import places, settings
from hashbench.types import Array

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Description(NamedTuple):
    """What a backbone says of m images: `pooled` float32 (m, d) and the patch `tokens` float32 (m, p, d_t)."""

    pooled: Tensor
    tokens: Tensor


class Backbone(nn.Module):
    """A network of timm in eval mode and frozen, and the preprocessing that it expects.

    It has no classifier, unless this is what projects its features (`pool: projected`).
    """

    network: Any

    def __init__(self, network: Any, spec: BackboneSpec) -> None:
        super().__init__()
        if spec.pool == "cls" and not getattr(network, "num_prefix_tokens", 0):
            raise HashbenchError(f"{spec.model} has no class token; its pool may be avg or pre_logits, not cls")
        self.network, self.spec = network, spec
        # oneDNN's and cuDNN's convolutions are fastest with the channels innermost.
        self.to(memory_format=torch.channels_last)
        self.eval().requires_grad_(False)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def prepare(self, images: Images) -> Tensor:
        """Images as the network expects them, not augmented: see `prepare`."""
        return prepare(images, self.spec, self.device)

    def forward(self, pictures: Tensor) -> Description:
        """Pooled feature and patch tokens of normalised pictures (m, 3, size, size)."""
        dtype = _DTYPES[self.spec.precision]
        with torch.autocast(pictures.device.type, dtype=dtype, enabled=dtype != torch.float32):
            maps, earlier = self._maps(pictures)
            tokens = (self._patches(maps) if earlier is None else earlier.flatten(2).mT).float()
            if self.spec.pool == "avg":
                pooled = self._patches(maps).float().mean(dim=1)
            elif self.spec.pool == "cls":
                pooled = maps[:, 0]
            else:
                pooled = self.network.forward_head(maps, pre_logits=self.spec.pool == "pre_logits")
        return Description(pooled.float(), tokens)

    def _maps(self, pictures: Tensor) -> tuple[Tensor, Tensor | None]:
        """The last feature maps, and those of the stride that tokens are taken from, if that is another."""
        maps: Any
        earlier: list[Tensor] = []
        if self.spec.token_stride is None:
            maps = self.network.forward_features(pictures)
        else:
            maps, earlier = self.network.forward_intermediates(pictures, [self._token_level(self.spec.token_stride)])
        if not isinstance(maps, Tensor):
            raise HashbenchError(
                f"{self.spec.model} gives {len(maps)} feature maps of different scales, which no pool joins; take "
                "another backbone"
            )
        return maps, earlier[0] if earlier else None

    def _token_level(self, stride: int) -> int:
        """The place of the last feature maps of a stride among all that timm names."""
        strides = [level["reduction"] for level in getattr(self.network, "feature_info", [])]
        if stride not in strides or not hasattr(self.network, "forward_intermediates"):
            known = ", ".join(map(str, sorted(set(strides)))) or "none"
            raise HashbenchError(f"{self.spec.model} has no feature maps of token_stride {stride} (it has {known})")
        return max(place for place, each in enumerate(strides) if each == stride)

    def _patches(self, maps: Tensor) -> Tensor:
        """Feature maps as tokens (m, p, d_t), without class or register tokens."""
        if maps.ndim == 3:
            return maps[:, getattr(self.network, "num_prefix_tokens", 0) :]
        if getattr(self.network, "output_fmt", "NCHW") == "NHWC":
            return maps.flatten(1, 2)
        return maps.flatten(2).mT


def prepare(images: Images, spec: BackboneSpec, device: str | torch.device) -> Tensor:
    """Images as the network of `spec` expects them, not augmented: float32 (m, 3, size, size).

    `images`: uint8 (m, h, w, 3), or m arrays (h, w, 3) of different sizes.
    """
    sizes = np.array([image.shape[:2] for image in images], dtype=np.float32)
    sides = np.repeat(spec.crop_pct * sizes.min(axis=1, keepdims=True), 2, axis=1)
    windows = np.concatenate([(sizes - sides) / 2, sides], axis=1)
    return normalise(resample(images, windows, spec.size, spec.interpolation, device), spec)


def prepare_view(
    images: Images,
    rows: Array,
    views: Array | int,
    spec: BackboneSpec,
    recipe: Augmentation,
    seed: int,
    device: str | torch.device,
) -> Tensor:
    """Augmented views as the network of `spec` expects them: float32 (m, 3, size, size); see `augment`."""
    pictures = augment(
        images,
        rows,
        views,
        recipe=recipe,
        seed=seed,
        size=spec.size,
        interpolation=spec.interpolation,
        device=device,
    )
    return normalise(pictures, spec)


def normalise(pictures: Tensor, spec: BackboneSpec) -> Tensor:
    """Scale pictures (m, 3, size, size) from [0, 1] by the mean and deviation that the network was trained with."""
    mean, std = (torch.tensor(values, device=pictures.device)[:, None, None] for values in (spec.mean, spec.std))
    return ((pictures - mean) / std).contiguous(memory_format=torch.channels_last)


def load_backbone(
    spec: BackboneSpec, weights: Path, device: str = "cpu", rates: Mapping[str, float] | None = None
) -> Backbone:
    """Build the network and fill it with `weights`: what `published_weights` found, or what pretraining left.

    `rates` are further arguments of timm's constructor, which change no weight.
    Raises HashbenchError where timm does not know the model or the weights are not those of this model.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    network = new_network(spec.model_copy(update={"arguments": {**spec.arguments, **(rates or {})}}))
    try:
        state = load_file(weights)
    except (OSError, SafetensorError) as error:
        raise HashbenchError(f"{weights} cannot be read as safetensors ({error}); fetch it again") from None
    if spec.pool != "projected":
        state = _without_classifier(network, state)
    _fill(network, state, f"{weights} does not hold the weights of {spec.model}")
    return Backbone(network, spec).to(device)


def new_network(spec: BackboneSpec, seed: int = 0) -> Any:
    """The timm network with timm's initial weights, without classifier unless this is what projects its features.

    The global generator ends as it began.
    """
    import timm

    if not timm.is_model(spec.model):
        near = timm.list_models(f"*{spec.model.split('_')[0]}*")[:5]
        hint = f"; timm has {', '.join(near)}, ..." if near else ""
        raise HashbenchError(f"timm knows no model called '{spec.model}'{hint} (all: timm.list_models())")
    try:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            arguments = dict[str, Any](spec.arguments)
            if spec.pool != "projected":
                arguments["num_classes"] = 0
            return timm.create_model(spec.model, **arguments)
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        raise HashbenchError(f"timm cannot build {spec.model} with arguments {spec.arguments}: {error}") from None


def _without_classifier(network: Any, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """`state` without the classifier that `network` lacks, if that is in it."""
    names = network.pretrained_cfg.get("classifier") or ()
    classifiers = tuple(f"{name}." for name in ([names] if isinstance(names, str) else names))
    return {key: value for key, value in state.items() if not key.startswith(classifiers)}


def _fill(network: Any, state: dict[str, Tensor], complaint: str) -> None:
    """Load `state`, which must hold what `network` has, no more and no less."""
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise HashbenchError(f"{complaint}: {' '.join(str(error).split())[:300]}") from None


def published_weights(weights: PublishedWeights) -> Path:
    """The file that holds `weights`: from a folder of the user's, from `embedded/`, or else downloaded.

    Raises HashbenchError where it is nowhere, or is not the one that the checksums name.
    """
    folders = settings().weights_folders
    path = next((path for path in places(folders, weights.file) if path.is_file()), None)
    if path is None:
        path = _download(weights, f"put {weights.file} into {' or '.join(map(str, folders))}")
    _check(path, weights)
    return path


def _check(path: Path, weights: PublishedWeights) -> None:
    checksums = {_sha256: weights.sha256, tensors_digest: weights.tensors_sha256}
    given = {digest: value for digest, value in checksums.items() if value is not None}
    if given and all(digest(path) != value for digest, value in given.items()):
        found, value = _sha256(path), weights.sha256 or f"that of the tensors {weights.tensors_sha256}"
        raise HashbenchError(f"{path}: sha256 is {found}, not {value} as params.yaml says; fetch it again")


def _download(weights: PublishedWeights, remedy: str) -> Path:
    from huggingface_hub import hf_hub_download

    if weights.hub is None:
        raise HashbenchError(f"backbone weights {weights.file} are missing; {remedy}")
    if settings().offline:
        raise HashbenchError(
            f"backbone weights {weights.file} are missing and HASHBENCH_OFFLINE forbids to download them; "
            f"{remedy} (it is {weights.url})"
        )
    try:
        return Path(hf_hub_download(weights.hub, "model.safetensors", revision=weights.revision))
    except Exception as error:  # huggingface_hub lets errors of several HTTP libraries through
        reason = " ".join(str(error).split())[:200]
        place = f"{weights.hub} at {weights.revision or 'main'}"
        raise HashbenchError(f"{place} cannot be downloaded ({reason}); {remedy}") from None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
