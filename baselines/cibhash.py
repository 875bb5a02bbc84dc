"""Unsupervised Hashing with Contrastive Information Bottleneck."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from hashbench.learning.binarize import straight_through_sign
from hashbench.learning.contrast import nt_xent
from hashbench.learning.hyperparameters import Count, Positive
from hashbench.learning.networks import HeadMethod, hash_head
from hashbench.learning.training import Recipe, Training
from hashbench.learning.views import images_of
from hashbench.types import Paper, TrainView

_EPSILON = 1e-8


def bernoulli_kl(probabilities: Tensor, reference: Tensor) -> Tensor:
    """KL(p || q) between independent Bernoulli bits, summed over the K bits: (n,), from p, q (n, K) in [0, 1].

    No gradient flows into the reference q. 1e-8 is added inside each logarithm.
    """
    p, q = probabilities, reference.detach()
    one = p * ((p + _EPSILON).log() - (q + _EPSILON).log())
    zero = (1 - p) * ((1 - p + _EPSILON).log() - (1 - q + _EPSILON).log())
    return (one + zero).sum(dim=1)


def cibhash_terms(logits1: Tensor, logits2: Tensor, temperature: float, bottleneck: float) -> dict[str, Tensor]:
    """The two terms of the objective from the head's outputs on two views, (n, K) each; see `CIBHash`."""
    p1, p2 = torch.sigmoid(logits1), torch.sigmoid(logits2)
    codes1, codes2 = straight_through_sign(p1 - 0.5), straight_through_sign(p2 - 0.5)
    kl = (bernoulli_kl(p1, p2).mean() + bernoulli_kl(p2, p1).mean()) / 2
    return {"contrastive": nt_xent(codes1, codes2, temperature), "bottleneck": bottleneck * kl}


class CIBHash(HeadMethod):
    """CIBHash (Qiu, Su, Ou, Yu, Chen, IJCAI 2021): contrast between codes, with an information bottleneck.

    For each batch, the bit probabilities of two views of n images, P1 and P2 (n, K): the sigmoid of the head. Codes B1
    and B2 are the straight-through sign of P - 1/2. The objective is

        `nt_xent`(B1, B2, temperature) + bottleneck * (KL(P1 || P2) + KL(P2 || P1)) / 2,

    KL summed over bits, averaged over images, without gradient into its second argument. Minimised by Adam. An item's
    code is the sign of the head. `standardise` puts a fixed layer that centres features and gives them unit scale
    before the head.
    """

    title: ClassVar[str] = "CIBHash"
    paper: ClassVar[Paper] = Paper(
        key="qiu2021cibhash",
        authors="Zexuan Qiu and Qinliang Su and Zijing Ou and Jianxing Yu and Changyou Chen",
        title="Unsupervised Hashing with Contrastive Information Bottleneck",
        venue="International Joint Conference on Artificial Intelligence (IJCAI)",
        year=2021,
        url="https://arxiv.org/abs/2105.06138",
    )
    needs: ClassVar[frozenset[str]] = frozenset({"pooled", "views"})
    deviations: ClassVar[tuple[str, ...]] = (
        "Codes are thresholded at probability 1/2 as in the official code; the paper samples them.",
        "The last epoch is used; the official code keeps the best epoch on one half of the test images, drawn without "
        "regard to classes, and searches for the other half.",
        "Views are drawn as the data set's augmentation says; the official code changes colours with probability 0.7, "
        "not 0.8, and blurs over 3 pixels.",
    )
    if_frozen: ClassVar[tuple[str, ...]] = (
        "Views are drawn from a fixed number of pre-extracted ones of the frozen backbone, with its dropout off; the "
        "official code augments afresh and leaves the dropout of VGG-16 on.",
    )

    def __init__(
        self,
        *,
        temperature: Positive,
        bottleneck: Positive,
        hidden: Count,
        standardise: bool,
        learning_rate: Positive,
        batch_size: Count,
        epochs: Count,
    ) -> None:
        self.temperature = temperature
        self.bottleneck = bottleneck
        self.hidden = hidden
        self.standardise = standardise
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.epochs = epochs

    def network(self, n_features: int, n_bits: int, generator: torch.Generator) -> nn.Module:
        """See `HeadMethod`."""
        return hash_head(n_features, self.hidden, n_bits, generator, self.standardise)

    def training(
        self, head: nn.Module, train: TrainView, n_bits: int, generator: torch.Generator, device: str
    ) -> Iterator[Training]:
        """See `HeadMethod.training`."""
        images = images_of(train, device)

        def loss_terms(first: Tensor, second: Tensor) -> Mapping[str, Tensor]:
            return cibhash_terms(head(first), head(second), self.temperature, self.bottleneck)

        yield Training(
            head,
            lambda batch: images.two(batch, generator),
            loss_terms,
            len(train),
            Recipe("adam", self.learning_rate, self.batch_size, self.epochs),
            generator,
            f"{self.title} {n_bits} bits",
        )
