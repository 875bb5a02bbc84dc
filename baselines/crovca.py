"""CroVCA: the bits of each view are predicted from the other, and the batch's codes spread out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from hashbench.learning.batch_norm import BatchNorm
from hashbench.learning.coding_rate import crovca_terms
from hashbench.learning.hyperparameters import Count, NotNegative, Positive
from hashbench.learning.initialisation import truncated_normal_linear
from hashbench.learning.networks import HeadMethod, outputs_of
from hashbench.learning.training import Recipe, Training
from hashbench.learning.views import images_of
from hashbench.types import Array, ItemView, Paper, TrainView


class CroVCA(HeadMethod):
    """Cross-View Code Alignment (Moummad, Zaher, Goëau, Joly, 2025), probing frozen features.

    The head is Linear(d, d), ReLU, Linear(d, K), BatchNorm. For each batch, its outputs Z1 and Z2 (n, K) on two views,
    each normalised by itself, minimise

        coeff_alignment * `alignment_loss`(Z1, Z2) + coeff_coding * (`coding_rate`(Z1) + `coding_rate`(Z2)) / 2

    by AdamW with a cosine schedule. An item's code is the sign of the head with the running statistics of BatchNorm.
    """

    title: ClassVar[str] = "CroVCA"
    paper: ClassVar[Paper] = Paper(
        key="moummad2025crovca",
        authors="Ilyass Moummad and Kawtar Zaher and Hervé Goëau and Alexis Joly",
        title="Image Hashing via Cross-View Code Alignment in the Age of Foundation Models",
        venue="arXiv",
        year=2025,
        url="https://arxiv.org/abs/2510.27584",
    )
    needs: ClassVar[frozenset[str]] = frozenset({"pooled", "views"})
    deviations: ClassVar[tuple[str, ...]] = (
        "Codes are ranked by Hamming distance, as those of all methods; the authors rank binary database codes by the "
        "real-valued sigmoid outputs of a query, which is measured apart, as asymmetric.",
        "The learning rate falls by a cosine from epoch to epoch, down to 0; the official code lowers it at every "
        "step, down to 1e-6.",
        "The layer before BatchNorm has no bias, as BatchNorm cancels it; the official code has one, whose gradient is "
        "rounding noise.",
    )
    if_frozen: ClassVar[tuple[str, ...]] = (
        "Views are drawn from a fixed number of pre-extracted ones of the frozen backbone, augmented as for every "
        "method; the official code augments afresh, with solarisation, and fine-tunes the backbone by LoRA for the "
        "paper's data sets.",
    )

    def __init__(
        self,
        *,
        eps: Positive,
        coeff_alignment: NotNegative,
        coeff_coding: NotNegative,
        learning_rate: Positive,
        weight_decay: NotNegative,
        batch_size: Count,
        epochs: Count,
    ) -> None:
        self.eps = eps
        self.coeff_alignment = coeff_alignment
        self.coeff_coding = coeff_coding
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.epochs = epochs

    def network(self, n_features: int, n_bits: int, generator: torch.Generator) -> nn.Module:
        """See `HeadMethod.network`."""
        return nn.Sequential(
            truncated_normal_linear(n_features, n_features, 0.02, generator),
            nn.ReLU(),
            truncated_normal_linear(n_features, n_bits, 0.02, generator, bias=False),
            BatchNorm(n_bits),
        )

    def training(
        self, head: nn.Module, train: TrainView, n_bits: int, generator: torch.Generator, device: str
    ) -> Iterator[Training]:
        """See `HeadMethod.training`."""
        images = images_of(train, device)

        def loss_terms(first: Tensor, second: Tensor) -> Mapping[str, Tensor]:
            # One view after the other: BatchNorm then normalises each by its own mean and variance.
            return crovca_terms(head(first), head(second), self.eps, self.coeff_alignment, self.coeff_coding)

        recipe = Recipe(
            "adamw",
            self.learning_rate,
            self.batch_size,
            self.epochs,
            schedule="cosine",
            weight_decay=self.weight_decay,
        )
        yield Training(
            head,
            lambda batch: images.two(batch, generator),
            loss_terms,
            len(train),
            recipe,
            generator,
            f"{self.title} {n_bits} bits",
        )

    def logits(self, items: ItemView) -> Array:
        """See `GivesLogits.logits`."""
        return outputs_of(self.head, self.features_now(items))
