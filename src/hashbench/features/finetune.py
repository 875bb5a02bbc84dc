"""A run's backbone as a method may train its own copy of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from hashbench.features.backbones import Backbone, load_backbone, prepare, prepare_view
from hashbench.features.resample import Images
from hashbench.features.specs import Augmentation, BackboneSpec
from hashbench.types import Array


@dataclass(frozen=True)
class FineTuning:
    """The `TrainableBackbone` of a run: backbone and `weights` file, augmentation and its `seed`, and the device.

    `checkpoint_layers` recomputes activations layer by layer in the backward pass: same result, less memory.
    """

    spec: BackboneSpec
    weights: Path
    recipe: Augmentation
    seed: int
    device: str = "cpu"
    checkpoint_layers: bool = False

    def build(self) -> Backbone:
        """A new copy with the run's weights, to be trained: normalised images (m, 3, s, s) -> tokens (m, p, d_t)."""
        backbone = load_backbone(self.spec, self.weights, self.device).requires_grad_(True)
        backbone.network.set_grad_checkpointing(self.checkpoint_layers)
        return backbone

    def augment(self, images: Images, rows: Array, view: int) -> Tensor:
        """View number `view` of uint8 images (m, h, w, 3) of the rows `rows` (m,): float32 (m, 3, s, s), normalised.

        The same as view number `view` of the same row and seed in pre-extracted features.
        """
        return prepare_view(images, rows, view, self.spec, self.recipe, self.seed, self.device)

    def prepare(self, images: Images) -> Tensor:
        """The same images without augmentation: float32 (m, 3, s, s), normalised."""
        return prepare(images, self.spec, self.device)
