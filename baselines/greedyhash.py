"""GreedyHash, unsupervised: signs whose cosines copy those of the features, with an identity gradient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor, nn

from hashbench.learning.binarize import straight_through_sign
from hashbench.learning.cosine_error import pairwise_cosine_error
from hashbench.learning.hyperparameters import Count, Damping, NotNegative, Positive
from hashbench.learning.networks import HeadMethod, linear
from hashbench.learning.standardise import input_layer
from hashbench.learning.training import Recipe, Training
from hashbench.learning.views import images_of, train_rows
from hashbench.types import Paper, TrainView


class GreedyHash(HeadMethod):
    """Greedy Hash (Su, Zhang, Han, Tian, NeurIPS 2018), the variant without labels.

    One linear layer gives h (N, b) of a batch of features x (N, d); b = sign(h), gradient passed straight through.
    The loss over the pairs of the batch's two halves, i and i + N/2, with penalty weight alpha:

        mean_i (cos(b_i, b_{i + N/2}) - cos(x_i, x_{i + N/2}))² + alpha mean_ik | |h_ik| - 1 |³.

    `standardise` puts a fixed layer that centres features and gives them unit scale before the linear layer; the
    cosines of x are those of the features as they are.
    """

    title: ClassVar[str] = "GreedyHash"
    paper: ClassVar[Paper] = Paper(
        key="su2018greedy",
        authors="Shupeng Su and Chao Zhang and Kai Han and Yonghong Tian",
        title="Greedy Hash: Towards Fast Optimization for Accurate Hash Coding in CNN",
        venue="Advances in Neural Information Processing Systems (NeurIPS)",
        year=2018,
        url="https://proceedings.neurips.cc/paper/2018/hash/13f3cf8c531952d72e5847c4183e6910-Abstract.html",
    )
    deviations: ClassVar[tuple[str, ...]] = (
        "The last epoch is used; the official code prints the best of every fifth epoch on the queries.",
    )
    if_frozen: ClassVar[tuple[str, ...]] = (
        "Features are extracted once with dropout off; the published code leaves dropout on in its frozen network, so "
        "that both the input and the target cosines are noisy there.",
    )

    def __init__(
        self,
        *,
        penalty_weight: NotNegative,
        standardise: bool,
        learning_rate: Positive,
        momentum: Damping,
        weight_decay: NotNegative,
        batch_size: Count,
        epochs: Count,
    ) -> None:
        self.penalty_weight = penalty_weight
        self.standardise = standardise
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.epochs = epochs

    def network(self, n_features: int, n_bits: int, generator: torch.Generator) -> nn.Module:
        """See `HeadMethod.network`."""
        return nn.Sequential(input_layer(n_features, self.standardise), linear(n_features, n_bits, generator))

    def training(
        self, head: nn.Module, train: TrainView, n_bits: int, generator: torch.Generator, device: str
    ) -> Iterator[Training]:
        """See `HeadMethod.training`."""
        images, frozen = images_of(train, device), train_rows(train, "pooled", device)

        def loss_terms(rows: Tensor, targets: Tensor) -> dict[str, Tensor]:
            outputs = head(rows)
            return {
                "similarity": pairwise_cosine_error(straight_through_sign(outputs), targets),
                "penalty": self.penalty_weight * (outputs.abs() - 1).abs().pow(3).mean(),
            }

        recipe = Recipe(
            "sgd",
            self.learning_rate,
            self.batch_size,
            self.epochs,
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
