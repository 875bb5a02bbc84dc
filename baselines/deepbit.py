"""DeepBit: bits that lose little by rounding, are evenly used, and survive a transformation of the image."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from hashbench.learning.binarize import straight_through_sign
from hashbench.learning.hyperparameters import Count, Damping, Natural, NotNegative, Positive, Share
from hashbench.learning.networks import HeadMethod
from hashbench.learning.standardise import input_layer
from hashbench.learning.training import Recipe, Training
from hashbench.learning.views import images_of
from hashbench.types import Paper, TrainView


class DeepBit(HeadMethod):
    """DeepBit (Lin, Lu, Chen, Zhou, CVPR 2016).

    Head f = ReLU(linear(x)) (N, b), bits b = 1[f >= 1/2] in training. The terms of a batch:

        K1 = 1/(2N) Σ_k (mean_i b_ik - ½)²      evenly used bits; gradient straight through from b to f
        K2 = 1/(2N) Σ_ik (b_ik - f_ik)²         quantisation; b is constant
        K3 = 1/(2N) Σ_i ‖f(x_i) - f(x'_i)‖²     invariance; x' is a transformed copy of image i

    Stage 1 minimises `evenness_weight` K1 + K2; stage 2 the same over both copies, plus `invariance_weight` K3. The
    learning rate is multiplied by `decay` after every `decay_epochs` epochs of stage 1, and every
    `invariance_decay_epochs` of stage 2. At inference the threshold is the mean of all entries of f over the train
    images. `standardise` puts a fixed layer that centres features and gives them unit scale before the head.
    """

    title: ClassVar[str] = "DeepBit"
    paper: ClassVar[Paper] = Paper(
        key="lin2016learning",
        authors="Kevin Lin and Jiwen Lu and Chu-Song Chen and Jie Zhou",
        title="Learning Compact Binary Descriptors with Unsupervised Deep Neural Networks",
        venue="IEEE Conference on Computer Vision and Pattern Recognition (CVPR)",
        year=2016,
        url="https://doi.org/10.1109/CVPR.2016.133",
    )
    needs: ClassVar[frozenset[str]] = frozenset({"pooled", "views"})
    deviations: ClassVar[tuple[str, ...]] = (
        "The transformed copy of an image is one of the run's augmented views, all of weight 1; the paper rotates "
        "images by up to 10 degrees and weights a copy by its angle.",
        "The gradients of K1 and K2 are those of the equations; the published layers write one scalar to every unit, "
        "with signs that cancel.",
        "Weights start with standard deviation 0.64 / sqrt(d), which is the published 0.01 at d = 4096.",
        "Dropout is off, and both stages have one batch size; the official code has 32 and 30.",
    )

    def __init__(
        self,
        *,
        learning_rate: Positive,
        epochs: Count,
        decay: Share,
        decay_epochs: Count,
        evenness_weight: NotNegative,
        invariance_weight: NotNegative,
        invariance_learning_rate: Positive,
        invariance_epochs: Natural,
        invariance_decay_epochs: Count,
        standardise: bool,
        momentum: Damping,
        weight_decay: NotNegative,
        batch_size: Count,
    ) -> None:
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.decay = decay
        self.decay_epochs = decay_epochs
        self.evenness_weight = evenness_weight
        self.invariance_weight = invariance_weight
        self.invariance_learning_rate = invariance_learning_rate
        self.invariance_epochs = invariance_epochs
        self.invariance_decay_epochs = invariance_decay_epochs
        self.standardise = standardise
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.batch_size = batch_size

    def network(self, n_features: int, n_bits: int, generator: torch.Generator) -> nn.Module:
        """See `HeadMethod.network`."""
        layer: nn.Linear = nn.utils.skip_init(nn.Linear, n_features, n_bits)  # type: ignore[no-untyped-call]
        nn.init.normal_(layer.weight, std=0.64 / math.sqrt(n_features), generator=generator)
        nn.init.zeros_(layer.bias)
        return nn.Sequential(input_layer(n_features, self.standardise), layer, nn.ReLU(), Threshold())

    def training(
        self, head: nn.Module, train: TrainView, n_bits: int, generator: torch.Generator, device: str
    ) -> Iterator[Training]:
        """See `HeadMethod.training`."""
        assert isinstance(head, nn.Sequential)
        outputs_of, threshold = head[:3], head[3]
        assert isinstance(threshold, Threshold)
        images = images_of(train, device)

        def even_and_rounded(rows: Tensor) -> dict[str, Tensor]:
            outputs = outputs_of(rows)
            return {"evenness": self.evenness_weight * evenness(outputs), "quantisation": quantisation(outputs)}

        def invariant(rows: Tensor, copies: Tensor) -> dict[str, Tensor]:
            outputs, outputs_of_copies = outputs_of(rows), outputs_of(copies)
            return {
                "evenness with copies": self.evenness_weight * (evenness(outputs) + evenness(outputs_of_copies)),
                "quantisation with copies": quantisation(outputs) + quantisation(outputs_of_copies),
                "invariance": self.invariance_weight * invariance(outputs, outputs_of_copies),
            }

        def stage(
            draw: Callable[[Tensor], tuple[Tensor, ...]],
            loss_terms: Callable[..., dict[str, Tensor]],
            learning_rate: float,
            epochs: int,
            decay_epochs: int,
        ) -> Training:
            recipe = Recipe(
                "sgd",
                learning_rate,
                self.batch_size,
                epochs,
                schedule="step",
                decay=self.decay,
                decay_epochs=decay_epochs,
                momentum=self.momentum,
                weight_decay=self.weight_decay,
            )
            return Training(
                head,
                draw,
                loss_terms,
                len(train),
                recipe,
                generator,
                f"{self.title} {n_bits} bits",
                # As published, the bias learns at twice the rate of the weights.
                rate_of=lambda name: 2.0 if name.endswith("bias") else 1.0,
            )

        yield stage(
            lambda batch: (images.plain(batch),),
            even_and_rounded,
            self.learning_rate,
            self.epochs,
            self.decay_epochs,
        )
        yield stage(
            lambda batch: (images.plain(batch), images.one(batch, generator)),
            invariant,
            self.invariance_learning_rate,
            self.invariance_epochs,
            self.invariance_decay_epochs,
        )
        with torch.no_grad():
            features = torch.from_numpy(np.array(self.features_now(train))).to(device)
            threshold.value.copy_(outputs_of(features).mean())


class Threshold(nn.Module):
    """f - threshold, for a threshold that is set after training and kept with the weights."""

    value: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("value", torch.zeros(1))

    def forward(self, outputs: Tensor) -> Tensor:
        """`outputs` less the threshold."""
        return outputs - self.value


def training_bits(outputs: Tensor) -> Tensor:
    """1[f >= 1/2] of `outputs` f (N, b), in {0, 1}; gradient straight through."""
    return (straight_through_sign(2 * outputs - 1) + 1) / 2


def evenness(outputs: Tensor) -> Tensor:
    """K1 of `outputs` f (N, b)."""
    return (training_bits(outputs).mean(dim=0) - 0.5).square().sum() / (2 * len(outputs))


def quantisation(outputs: Tensor) -> Tensor:
    """K2 of `outputs` f (N, b)."""
    return (training_bits(outputs).detach() - outputs).square().sum() / (2 * len(outputs))


def invariance(outputs: Tensor, outputs_of_copies: Tensor) -> Tensor:
    """K3 of the outputs (N, b) of images and of their transformed copies."""
    return (outputs - outputs_of_copies).square().sum() / (2 * len(outputs))
