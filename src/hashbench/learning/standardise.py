"""A fixed first layer that brings features of any backbone to one place and scale."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Standardise(nn.Module):
    """(x - mean) / scale: mean (d) of the train features, scale the root mean square of all their centred entries.

    One scale for all dimensions, so that angles about the mean stay as they are; a learning rate then means the same on
    every backbone. Does nothing until `measure` is called; has no parameters to train.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(1))

    def measure(self, features: Tensor) -> None:
        """Set mean and scale from train features (n, d); the scale of features without any spread is 1."""
        self.mean.copy_(features.mean(dim=0))
        spread = (features - self.mean).square().mean().sqrt()
        self.scale.copy_(spread if spread > 0 else torch.ones(()))

    def forward(self, features: Tensor) -> Tensor:
        """Standardised features, (m, d) as given."""
        return (features - self.mean) / self.scale


def input_layer(n_features: int, standardise: bool) -> nn.Module:
    """What a head sees of features (m, n_features): brought to one place and scale by `Standardise`, or as they are."""
    return Standardise(n_features) if standardise else nn.Identity()


def standardise_by(features: Tensor, head: nn.Module) -> None:
    """Measure the `Standardise` layer of `head`, if it has one, on train features (n, d)."""
    for module in head.modules():
        if isinstance(module, Standardise):
            module.measure(features)
