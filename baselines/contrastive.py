"""A plain contrastive hash: the control that shows what the ideas of other contrastive methods add."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from hashbench.learning.binarize import straight_through_sign
from hashbench.learning.contrast import nt_xent, one_sided_contrast
from hashbench.learning.hyperparameters import Count, Positive
from hashbench.learning.networks import HeadMethod, hash_head
from hashbench.learning.training import Recipe, Training
from hashbench.learning.views import images_of
from hashbench.types import Paper, TrainView


class Contrastive(HeadMethod):
    """Contrastive hash: NT-Xent (Chen, Kornblith, Norouzi, Hinton, ICML 2020, eq. 1) on straight-through codes.

    For each batch, the codes of two views of n images, B1 and B2 (n, K): the straight-through sign of tanh(head(x)).
    The objective is `nt_xent`(B1, B2, temperature) and nothing else; with `negatives` from the `other_view` alone,
    `one_sided_contrast`. Minimised by Adam with a cosine schedule. An item's code is the sign of the head.
    """

    title: ClassVar[str] = "Contrastive"
    paper: ClassVar[Paper] = Paper(
        key="chen2020simclr",
        authors="Ting Chen and Simon Kornblith and Mohammad Norouzi and Geoffrey Hinton",
        title="A Simple Framework for Contrastive Learning of Visual Representations",
        venue="International Conference on Machine Learning (ICML)",
        year=2020,
        url="https://arxiv.org/abs/2002.05709",
    )
    needs: ClassVar[frozenset[str]] = frozenset({"pooled", "views"})
    deviations: ClassVar[tuple[str, ...]] = (
        "A control of this benchmark, not a published method: the paper learns real-valued features, here its loss "
        "acts on codes.",
    )
    if_frozen: ClassVar[tuple[str, ...]] = (
        "The backbone is frozen and views are drawn from a fixed number of pre-extracted ones, not augmented afresh.",
    )

    def __init__(
        self,
        *,
        negatives: Literal["both_views", "other_view"],
        temperature: Positive,
        hidden: Count,
        learning_rate: Positive,
        batch_size: Count,
        epochs: Count,
    ) -> None:
        self._contrast = nt_xent if negatives == "both_views" else one_sided_contrast
        self.temperature = temperature
        self.hidden = hidden
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.epochs = epochs

    def network(self, n_features: int, n_bits: int, generator: torch.Generator) -> nn.Module:
        """See `HeadMethod`."""
        return hash_head(n_features, self.hidden, n_bits, generator)

    def training(
        self, head: nn.Module, train: TrainView, n_bits: int, generator: torch.Generator, device: str
    ) -> Iterator[Training]:
        """See `HeadMethod.training`."""
        images = images_of(train, device)

        def loss_terms(first: Tensor, second: Tensor) -> Mapping[str, Tensor]:
            codes1, codes2 = (straight_through_sign(torch.tanh(head(view))) for view in (first, second))
            return {"contrastive": self._contrast(codes1, codes2, self.temperature)}

        yield Training(
            head,
            lambda batch: images.two(batch, generator),
            loss_terms,
            len(train),
            Recipe("adam", self.learning_rate, self.batch_size, self.epochs, schedule="cosine"),
            generator,
            f"{self.title} {n_bits} bits",
        )
