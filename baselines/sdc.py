"""Unsupervised Hashing with Similarity Distribution Calibration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import beta  # type: ignore[import-untyped]
from torch import Tensor, nn

from hashbench.learning.binarize import sign
from hashbench.learning.hyperparameters import Count, NotNegative, Positive
from hashbench.learning.networks import HeadMethod, linear
from hashbench.learning.training import Recipe, Training
from hashbench.learning.views import images_of, train_rows
from hashbench.types import Paper, TrainView


def calibrated_similarities(n_pairs: int, a: float, b: float) -> Tensor:
    """Quantiles of Beta(a, b), stretched to [-1, 1], at (2 r - 1) / (2 P) for ranks r = 1..P: float32 (n_pairs,)."""
    levels = (2 * np.arange(1, n_pairs + 1) - 1) / (2 * n_pairs)
    return torch.from_numpy(2 * beta.ppf(levels, a, b) - 1).float()


def calibration_loss(outputs: Tensor, features: Tensor, targets: Tensor) -> Tensor:
    """Mean absolute difference between the cosines of outputs and the targets of their ranks. A scalar.

    Pairs (i, i + P) of `outputs` (n, K) and `features` (n, d), P = n // 2; a last row without partner is left out.
    The pair with the r-th smallest cosine of features has the target `targets`[r] (P,).
    """
    pairs = len(targets)
    ranks = F.cosine_similarity(features[:pairs], features[pairs : 2 * pairs]).argsort()
    similarities = F.cosine_similarity(outputs[:pairs], outputs[pairs : 2 * pairs])
    return F.l1_loss(similarities[ranks], targets.to(similarities))


class SDC(HeadMethod):
    """Similarity Distribution Calibration (Ng et al., BMVC 2023), its base form without contrast or augmentation.

    For each batch of n images: outputs V (n, K) of the head Linear(d, d), GELU, Linear(d, K), BatchNorm; pairs
    (i, i + n / 2). Ranked by the cosine of their features, the pairs' cosines of outputs shall follow Beta(a, b) on
    [-1, 1]. The objective is

        `calibration_loss`(V, X, targets) + quantisation * mean_i (1 - cos(V[i], sign V[i])).

    Minimised by Adam, the learning rate falling to a tenth after 80 % of the epochs. An item's code is sign(V) with
    the running statistics of BatchNorm.
    """

    title: ClassVar[str] = "SDC"
    paper: ClassVar[Paper] = Paper(
        key="ng2023sdc",
        authors=(
            "Kam Woh Ng and Xiatian Zhu and Jiun Tian Hoe and Chee Seng Chan and Tianyu Zhang and Yi-Zhe Song and "
            "Tao Xiang"
        ),
        title="Unsupervised Hashing with Similarity Distribution Calibration",
        venue="British Machine Vision Conference (BMVC)",
        year=2023,
        url="https://arxiv.org/abs/2302.07669",
    )
    deviations: ClassVar[tuple[str, ...]] = (
        "The hidden layer is as wide as the feature, as in the official code; the paper's supplement says 4096, the "
        "width of its VGG-16 features.",
        "The last epoch is used; the official code reports the best epoch on the queries.",
    )

    def __init__(
        self,
        *,
        a: Positive,
        b: Positive,
        quantisation: NotNegative,
        learning_rate: Positive,
        weight_decay: NotNegative,
        batch_size: Count,
        epochs: Count,
    ) -> None:
        self.a = a
        self.b = b
        self.quantisation = quantisation
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.epochs = epochs

    def network(self, n_features: int, n_bits: int, generator: torch.Generator) -> nn.Module:
        """See `HeadMethod`."""
        return nn.Sequential(
            linear(n_features, n_features, generator),
            nn.GELU(),
            linear(n_features, n_bits, generator),
            nn.BatchNorm1d(n_bits),
        )

    def training(
        self, head: nn.Module, train: TrainView, n_bits: int, generator: torch.Generator, device: str
    ) -> Iterator[Training]:
        """See `HeadMethod.training`."""
        images, frozen = images_of(train, device), train_rows(train, "pooled", device)
        targets = calibrated_similarities(min(self.batch_size, len(train)) // 2, self.a, self.b).to(frozen.device)

        def loss_terms(rows: Tensor, frozen_rows: Tensor) -> Mapping[str, Tensor]:
            outputs = head(rows)
            return {
                "calibration": calibration_loss(outputs, frozen_rows, targets),
                "quantisation": self.quantisation * (1 - F.cosine_similarity(outputs, sign(outputs))).mean(),
            }

        recipe = Recipe(
            "adam",
            self.learning_rate,
            self.batch_size,
            self.epochs,
            schedule="step",
            decay_epochs=int(0.8 * self.epochs),
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
