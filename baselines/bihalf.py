"""Bi-half Net: every bit is 1 for exactly one half of each training batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from hashbench.learning.cosine_error import pairwise_cosine_error
from hashbench.learning.hyperparameters import Count, Damping, NotNegative, Positive, Share
from hashbench.learning.networks import HeadMethod, linear
from hashbench.learning.training import Recipe, Training
from hashbench.learning.views import images_of, train_rows
from hashbench.types import Paper, TrainView


class _BiHalfLayer(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(outputs: Tensor, gamma: float) -> Tensor:
        upper = outputs.argsort(dim=0, descending=True, stable=True)[: len(outputs) // 2]
        return torch.full_like(outputs, -1).scatter(0, upper, 1)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
        ctx.save_for_backward(inputs[0], output)
        ctx.gamma = inputs[1]

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        outputs, codes = ctx.saved_tensors
        return grad_outputs[0] + ctx.gamma * (outputs - codes) / outputs.numel(), None


def bi_half(outputs: Tensor, gamma: float) -> Tensor:
    """Codes whose every bit is +1 for the floor(N / 2) largest `outputs` (N, b) of the batch and -1 for the others.

    The nearest codes with half of each bit up (optimal transport, section 3 of the paper); of equal outputs the first
    rows are up. Backward: the gradient of the codes plus gamma / (N b) (outputs - codes), a pull towards the codes
    that is no part of the loss's value.
    """
    codes: Tensor = _BiHalfLayer.apply(outputs, gamma)
    return codes


class BiHalf(HeadMethod):
    """Bi-half Net (Li, van Gemert, AAAI 2021).

    One linear layer gives U (N, b) of a batch of features x (N, d); B = bi_half(U), in training only. The loss over
    the pairs of the batch's two halves, i and i + N/2:

        mean_i (cos(b_i, b_{i + N/2}) - cos(x_i, x_{i + N/2}))².

    The code of an image is sign(u): no other image influences it. The learning rate is multiplied by `decay` after
    every `decay_epochs` epochs.
    """

    title: ClassVar[str] = "BiHalf"
    paper: ClassVar[Paper] = Paper(
        key="li2021deep",
        authors="Yunqiang Li and Jan van Gemert",
        title="Deep Unsupervised Image Hashing by Maximizing Bit Entropy",
        venue="AAAI Conference on Artificial Intelligence",
        year=2021,
        url="https://doi.org/10.1609/aaai.v35i3.16296",
    )
    if_frozen: ClassVar[tuple[str, ...]] = (
        "Features are extracted once with dropout off; the published code leaves dropout on in its frozen network, so "
        "that both the input and the target cosines are noisy there.",
    )

    def __init__(
        self,
        *,
        gamma: NotNegative,
        learning_rate: Positive,
        momentum: Damping,
        weight_decay: NotNegative,
        batch_size: Count,
        epochs: Count,
        decay: Share,
        decay_epochs: Count,
    ) -> None:
        self.gamma = gamma
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.epochs = epochs
        self.decay = decay
        self.decay_epochs = decay_epochs

    def network(self, n_features: int, n_bits: int, generator: torch.Generator) -> nn.Module:
        """See `HeadMethod.network`."""
        return linear(n_features, n_bits, generator)

    def training(
        self, head: nn.Module, train: TrainView, n_bits: int, generator: torch.Generator, device: str
    ) -> Iterator[Training]:
        """See `HeadMethod.training`."""
        images, frozen = images_of(train, device), train_rows(train, "pooled", device)

        def loss_terms(rows: Tensor, targets: Tensor) -> dict[str, Tensor]:
            return {"similarity": pairwise_cosine_error(bi_half(head(rows), self.gamma), targets)}

        recipe = Recipe(
            "sgd",
            self.learning_rate,
            self.batch_size,
            self.epochs,
            schedule="step",
            decay=self.decay,
            decay_epochs=self.decay_epochs,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
        )
        yield Training(
            head,
            lambda batch: (images.plain(batch), frozen[batch]),
            loss_terms,
            len(train),
            recipe,
            generator,
            f"{self.title} {n_bits} bits",
        )
