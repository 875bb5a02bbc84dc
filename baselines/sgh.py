"""SGH: codes from which a linear decoder rebuilds the feature."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hashbench.learning.binarize import binary_neuron
from hashbench.learning.hyperparameters import Count, NotNegative, Positive
from hashbench.learning.networks import HeadMethod
from hashbench.learning.standardise import Standardise
from hashbench.learning.training import Recipe, Training
from hashbench.learning.views import train_rows
from hashbench.types import Paper, TrainView


class SGH(HeadMethod):
    """Stochastic Generative Hashing (Dai, Guo, Kumar, He, Song, ICML 2017).

    Encoder l = xW + c (N, b), bits h = 1[σ(l) >= 1/2] with the gradient of σ(l). Decoder x̂ = (hU) ⊙ |s| + m with
    scale s and shift m (d), which start at the variance and mean of the train features. The loss of a batch, in sums:

        ½ Σ (x̂ - x)² + alpha Σ CE(h, σ(l)) + ½ beta (‖U‖² + ‖W‖²),    CE(h, p) = -h log p - (1 - h) log(1 - p).
    """

    title: ClassVar[str] = "SGH"
    paper: ClassVar[Paper] = Paper(
        key="dai2017stochastic",
        authors="Bo Dai and Ruiqi Guo and Sanjiv Kumar and Niao He and Le Song",
        title="Stochastic Generative Hashing",
        venue="International Conference on Machine Learning (ICML)",
        year=2017,
        url="https://proceedings.mlr.press/v70/dai17a.html",
    )
    trains_backbone: ClassVar[bool] = False
    deviations: ClassVar[tuple[str, ...]] = (
        "Training bits are thresholded at 1/2, as in the published code; the paper draws the threshold at random.",
        "Features pass through a fixed layer that centres them and gives them unit scale.",
        "The sign of the cross-entropy term follows the published code, which makes bits confident; in the paper's "
        "minimum description length objective the entropy of the bits enters with the opposite sign.",
    )

    def __init__(
        self, *, alpha: NotNegative, beta: NotNegative, learning_rate: Positive, batch_size: Count, epochs: Count
    ) -> None:
        self.alpha = alpha
        self.beta = beta
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.epochs = epochs

    def network(self, n_features: int, n_bits: int, generator: torch.Generator) -> nn.Module:
        """See `HeadMethod.network`."""
        encoder: nn.Linear = nn.utils.skip_init(nn.Linear, n_features, n_bits)  # type: ignore[no-untyped-call]
        nn.init.normal_(encoder.weight, std=1 / math.sqrt(n_features), generator=generator)
        nn.init.normal_(encoder.bias, generator=generator)
        return nn.Sequential(Standardise(n_features), encoder)

    def training(
        self, head: nn.Module, train: TrainView, n_bits: int, generator: torch.Generator, device: str
    ) -> Iterator[Training]:
        """See `HeadMethod.training`."""
        assert isinstance(head, nn.Sequential)
        standardise, encoder = head
        assert isinstance(encoder, nn.Linear)
        features = standardise(train_rows(train, "pooled", device))
        decoder = LinearDecoder(features, n_bits, generator)

        def loss_terms(rows: Tensor) -> dict[str, Tensor]:
            logits = encoder(rows)
            bits = binary_neuron(logits)
            squares = encoder.weight.square().sum() + decoder.weight.square().sum()
            return {
                "reconstruction": (decoder(bits) - rows).square().sum() / 2,
                "confidence": self.alpha * F.binary_cross_entropy_with_logits(logits, bits, reduction="sum"),
                "weights": self.beta / 2 * squares,
            }

        yield Training(
            nn.ModuleList([head, decoder]),
            lambda batch: (features[batch],),
            loss_terms,
            len(features),
            Recipe("adam", self.learning_rate, self.batch_size, self.epochs),
            generator,
            f"{self.title} {n_bits} bits",
        )


class LinearDecoder(nn.Module):
    """x̂ = (hU) ⊙ |s| + m for bits h (N, b); U ~ N(0, 1/b), s and m the variance and mean of `features` (n, d)."""

    def __init__(self, features: Tensor, n_bits: int, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_bits, features.shape[1], generator=generator) / math.sqrt(n_bits))
        self.scale = nn.Parameter(features.var(dim=0, correction=0).clamp(min=1e-7))
        self.shift = nn.Parameter(features.mean(dim=0))

    def forward(self, bits: Tensor) -> Tensor:
        """Reconstructions (N, d) of `bits` (N, b)."""
        return bits @ self.weight * self.scale.abs() + self.shift
