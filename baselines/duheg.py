"""DUH-EG: codes of images learn from what generic nouns say of them, by a vision-language model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from hashbench.learning.external_guidance import alike, duheg_terms, noun_guidance
from hashbench.learning.external_text import ExternalTextMethod
from hashbench.learning.hyperparameters import AtMost, Count, Natural, NotNegative, Positive
from hashbench.learning.networks import linear
from hashbench.learning.texts import TextKind
from hashbench.learning.training import Recipe, Training
from hashbench.learning.views import StoredViews, train_rows
from hashbench.types import Paper, TrainView


class DUHEG(ExternalTextMethod):
    """Deep Unsupervised Hashing via External Guidance (Song et al., ICML 2025).

    Before training, each train image is described by the mean of the nouns near to it (`noun_guidance`); images are
    positives of each other where their descriptions are `alike`. Two heads of Linear, BatchNorm, ReLU, Linear, tanh
    hash images and descriptions to (-1, 1)^K. For each batch in two views the objective is the sum of `duheg_terms`.
    Minimised by Adam. An item's code is the sign of the image head of its embedding.
    """

    title: ClassVar[str] = "DUH-EG"
    paper: ClassVar[Paper] = Paper(
        key="song2025duheg",
        authors="Qihong Song and Xiting Liu and Hongyuan Zhu and Joey Tianyi Zhou and Xi Peng and Peng Hu",
        title="Deep Unsupervised Hashing via External Guidance",
        venue="International Conference on Machine Learning (ICML)",
        year=2025,
        url="https://proceedings.mlr.press/v267/song25h.html",
    )
    needs: ClassVar[frozenset[str]] = frozenset({"clip_pooled", "clip_views", "clip_nouns"})
    encodes: ClassVar[Literal["pooled", "token_mean", "clip_pooled"]] = "clip_pooled"
    trains_backbone: ClassVar[bool] = False
    embeddings: ClassVar[tuple[str, ...]] = ("clip_pooled", "clip_views", "clip_nouns")
    texts: ClassVar[TextKind] = "noun"
    deviations: ClassVar[tuple[str, ...]] = (
        "It is told what generic nouns say of the train images, which no method without texts is.",
        "Which nouns those are is the run's choice; the official code clusters those of WordNet by a k-means that "
        "cannot be repeated, and its selection is not released.",
        "Two of the stored views are drawn anew in every epoch; the official code has two, in fixed roles.",
        "Guidance is computed in float32; the official code uses half precision.",
        "Codes are the signs of the head's outputs; the official evaluation ranks by the real outputs.",
    )

    def __init__(
        self,
        *,
        guidance_temperature: Positive,
        threshold: Annotated[float, Field(ge=-1, lt=1)],
        temperature: Positive,
        hidden: Count,
        learning_rate: Positive,
        lowest_learning_rate: Annotated[NotNegative, AtMost("learning_rate")],
        warmup_epochs: Natural,
        batch_size: Count,
        epochs: Count,
    ) -> None:
        self.guidance_temperature = guidance_temperature
        self.threshold = threshold
        self.temperature = temperature
        self.hidden = hidden
        self.recipe = WarmupCosine(
            "adam",
            learning_rate,
            batch_size,
            epochs,
            lowest=lowest_learning_rate,
            warmup_epochs=warmup_epochs,
        )

    def network(self, n_features: int, n_bits: int, generator: torch.Generator) -> nn.Module:
        """See `HeadMethod.network`."""
        return nn.Sequential(
            UnitNorm(),
            linear(n_features, self.hidden, generator),
            nn.BatchNorm1d(self.hidden),
            nn.ReLU(),
            linear(self.hidden, n_bits, generator),
            nn.Tanh(),
        )

    def training(
        self, head: nn.Module, train: TrainView, n_bits: int, generator: torch.Generator, device: str
    ) -> Iterator[Training]:
        """See `HeadMethod.training`."""
        images, nouns = (train_rows(train, field, device) for field in ("clip_pooled", "clip_nouns"))
        guidance = noun_guidance(images, nouns, self.guidance_temperature)
        views = StoredViews(train, "clip_views", device)
        text_head = self.network(guidance.shape[1], n_bits, generator).to(device)

        def draw(batch: Tensor) -> tuple[Tensor, ...]:
            described = guidance[batch]
            return *views.two(batch, generator), described, alike(described, self.threshold)

        def loss_terms(first: Tensor, second: Tensor, described: Tensor, positive: Tensor) -> Mapping[str, Tensor]:
            return duheg_terms(head(first), head(second), text_head(described), positive, self.temperature)

        yield Training(
            nn.ModuleList([head, text_head]),
            draw,
            loss_terms,
            len(train),
            self.recipe,
            generator,
            f"{self.title} {n_bits} bits",
        )


class UnitNorm(nn.Module):
    """Each row divided by its norm."""

    def forward(self, rows: Tensor) -> Tensor:
        """`rows` (m, d), each of norm 1; a row of zeros stays."""
        return F.normalize(rows, dim=1)


@dataclass(frozen=True)
class WarmupCosine(Recipe):
    """From the `lowest` learning rate up to the full one in `warmup_epochs` even steps, and down by half a cosine."""

    lowest: float = 0.0
    warmup_epochs: int = 0

    def rate(self, epoch: int) -> float:
        """See `Recipe.rate`."""
        if epoch < self.warmup_epochs:
            share = epoch / self.warmup_epochs
        else:
            passed = (epoch - self.warmup_epochs) / (self.epochs - self.warmup_epochs)
            share = (1 + math.cos(math.pi * passed)) / 2
        return self.lowest + (self.learning_rate - self.lowest) * share
