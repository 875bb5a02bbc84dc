"""HashSIM: contrast between bits, and codes as similar as the features of each view."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from hashbench.learning.bit_contrast import hashsim_terms, target_similarities
from hashbench.learning.hyperparameters import Count, Damping, NotNegative, Positive
from hashbench.learning.networks import HeadMethod, linear
from hashbench.learning.standardise import Standardise
from hashbench.learning.training import Recipe, Training
from hashbench.learning.views import StoredViews, images_of
from hashbench.types import Paper, TrainView


class HashSIM(HeadMethod):
    """HashSIM (Luo, Ma, Cheng, Deng, IEEE Signal Processing Letters 2022).

    Before training, one view F1 and another F2 (n, d) of each image are drawn; their `target_similarities` S1 and S2
    stay as they are. The head is a linear layer and tanh. For each batch, its outputs V1 and V2 (N, K) in (-1, 1) on
    two fresh views minimise

        `bit_contrast`(V1, V2, temperature) + `pair_loss`(V1, S1) + `pair_loss`(V2, S2)

    by SGD. An item's code is the sign of the head.
    """

    title: ClassVar[str] = "HashSIM"
    paper: ClassVar[Paper] = Paper(
        key="luo2022hashsim",
        authors="Xiao Luo and Zeyu Ma and Wei Cheng and Minghua Deng",
        title="Improve Deep Unsupervised Hashing via Structural and Intrinsic Similarity Learning",
        venue="IEEE Signal Processing Letters",
        year=2022,
        url="https://ieeexplore.ieee.org/document/9705618",
    )
    needs: ClassVar[frozenset[str]] = frozenset({"pooled", "views"})
    stored: ClassVar[frozenset[str]] = frozenset({"views"})
    deviations: ClassVar[tuple[str, ...]] = (
        "Features pass through a fixed layer that centres them and gives them unit scale.",
    )
    if_frozen: ClassVar[tuple[str, ...]] = (
        "Only the hash layer is trained, on frozen features; the official code trains all of VGG-16, with its dropout "
        "on, and passes its feature through a ReLU first.",
        "Views are drawn from a fixed number of pre-extracted ones; the official code augments afresh.",
    )

    def __init__(
        self,
        *,
        temperature: Positive,
        learning_rate: Positive,
        momentum: Damping,
        weight_decay: NotNegative,
        batch_size: Count,
        epochs: Count,
    ) -> None:
        self.temperature = temperature
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.epochs = epochs

    def network(self, n_features: int, n_bits: int, generator: torch.Generator) -> nn.Module:
        """See `HeadMethod.network`."""
        return nn.Sequential(Standardise(n_features), linear(n_features, n_bits, generator), nn.Tanh())

    def training(
        self, head: nn.Module, train: TrainView, n_bits: int, generator: torch.Generator, device: str
    ) -> Iterator[Training]:
        """See `HeadMethod.training`."""
        images, stored = images_of(train, device), StoredViews(train, "views", device)
        fixed1, fixed2 = stored.two(torch.arange(len(train)), generator)

        def draw(batch: Tensor) -> tuple[Tensor, ...]:
            # The entries of a batch are computed as they are needed: all n x n of them would be the same numbers.
            targets = (target_similarities(fixed[batch]) for fixed in (fixed1, fixed2))
            return *images.two(batch, generator), *targets

        def loss_terms(first: Tensor, second: Tensor, similarity1: Tensor, similarity2: Tensor) -> Mapping[str, Tensor]:
            return hashsim_terms(head(first), head(second), similarity1, similarity2, self.temperature)

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
            draw,
            loss_terms,
            len(train),
            recipe,
            generator,
            f"{self.title} {n_bits} bits",
        )
