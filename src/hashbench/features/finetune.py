"""A run's backbone as a method may train its own copy of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from hashbench.errors import HashbenchError
from hashbench.features.backbones import Backbone, load_backbone, prepare, prepare_view
from hashbench.features.folding import folded
from hashbench.features.resample import Images
from hashbench.features.specs import Augmentation, BackboneSpec, BackboneTraining, Rates
from hashbench.types import Array


class TrainedCopy(Backbone):
    """A copy of a backbone that is trained: pictures (m, 3, s, s) -> pooled features and patch tokens.

    Layers that are not trained have no gradient; BatchNorm keeps the statistics of the weights where `training` says
    so, whatever the mode, and is folded into the convolutions before it where the network is made like that.
    """

    def __init__(self, network: Any, spec: BackboneSpec, training: BackboneTraining) -> None:
        keeps_statistics = training.batch_norm == "evaluation"
        super().__init__(folded(network, spec.size) if keeps_statistics else network, spec)
        self._keeps_statistics = keeps_statistics
        trained = _trained_weights(network, spec, training.last_layers)
        for name, weight in self.network.named_parameters():
            weight.requires_grad_(name in trained)

    def train(self, mode: bool = True) -> Self:
        """As of any module, but for the layers of BatchNorm that keep their statistics."""
        super().train(mode)
        if mode and self._keeps_statistics:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self


def _trained_weights(network: Any, spec: BackboneSpec, last_layers: int | None) -> set[str]:
    from timm.models import group_parameters

    layer_of: dict[str, int] = group_parameters(network, network.group_matcher(), reverse=True)
    n_layers = max(layer_of.values()) + 1
    if last_layers is not None and last_layers > n_layers:
        raise HashbenchError(f"{spec.model} has {n_layers} groups of layers; last_layers must be 1 to {n_layers}")
    first = 0 if last_layers is None else n_layers - last_layers
    return {name for name, layer in layer_of.items() if layer >= first}


@dataclass(frozen=True)
class FineTuning:
    """The `TrainableBackbone` of a run: backbone and `weights` file, how it is trained, augmentation and its `seed`.

    `rates` are those of `training` for this backbone.
    `checkpoint_layers` recomputes activations layer by layer in the backward pass: same result, less memory.
    """

    spec: BackboneSpec
    weights: Path
    training: BackboneTraining
    rates: Rates
    recipe: Augmentation
    seed: int
    device: str = "cpu"
    checkpoint_layers: bool = False

    @property
    def learning_rate(self) -> float:
        """That of the backbone."""
        return self.training.learning_rate

    def build(self) -> TrainedCopy:
        """A new copy with the run's weights, to be trained."""
        frozen = load_backbone(self.spec, self.weights, self.device, self.rates)
        frozen.network.set_grad_checkpointing(self.checkpoint_layers)
        return TrainedCopy(frozen.network, self.spec, self.training)

    def augment(self, images: Images, rows: Array, view: int) -> Tensor:
        """View number `view` of uint8 images (m, h, w, 3) of the rows `rows` (m,): float32 (m, 3, s, s), normalised.

        The same as view number `view` of the same row and seed in pre-extracted features.
        """
        return prepare_view(images, rows, view, self.spec, self.recipe, self.seed, self.device)

    def prepare(self, images: Images) -> Tensor:
        """The same images without augmentation: float32 (m, 3, s, s), normalised."""
        return prepare(images, self.spec, self.device)
