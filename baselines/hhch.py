"""HHCH: contrast between hash codes in hyperbolic space, within a hierarchy of clusters that grows with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hashbench.learning.hierarchical_contrast import hhch_instance_loss, hhch_prototype_loss, hhch_quantisation
from hashbench.learning.hyperbolic import hyperbolic_hierarchy, poincare_points
from hashbench.learning.hyperparameters import AtMost, Count, Damping, Natural, NotNegative, Positive
from hashbench.learning.networks import HeadMethod, linear
from hashbench.learning.standardise import Standardise
from hashbench.learning.training import Recipe, Training
from hashbench.learning.views import images_of
from hashbench.types import Paper, TrainView


class HHCH(HeadMethod):
    """Hyperbolic Hierarchical Contrastive Hashing (Wei, Liu, Song, Xie, Zhou, IEEE TIP 2024).

    The head is Linear, Dropout, ReLU, Linear, tanh: h in (-1, 1)^K. While it is trained, `poincare_points` makes each h
    a point of the Poincaré ball. Before each epoch the points of all train images are clustered, and the centres twice
    again (`hyperbolic_hierarchy`). For each batch in two views the objective is

        `hhch_instance_loss` + `hhch_prototype_loss` + quantisation * `hhch_quantisation`.

    Minimised by Adam. An item's code is the sign of the head.
    """

    title: ClassVar[str] = "HHCH"
    paper: ClassVar[Paper] = Paper(
        key="wei2024exploring",
        authors="Rukai Wei and Yu Liu and Jingkuan Song and Yanzhao Xie and Ke Zhou",
        title="Exploring Hierarchical Information in Hyperbolic Space for Self-Supervised Image Hashing",
        venue="IEEE Transactions on Image Processing",
        year=2024,
        url="https://arxiv.org/abs/2212.08904",
    )
    needs: ClassVar[frozenset[str]] = frozenset({"pooled", "views"})
    deviations: ClassVar[tuple[str, ...]] = (
        "Where the paper and the official code differ, it is the code: k-means starts from random points, the "
        "quantisation is a mean square, the head has dropout, and both directions of the instance loss are averaged.",
        "There are at most half as many clusters as train rows, and coarser levels shrink in proportion.",
        "Features pass through a fixed layer that centres them and gives them unit scale.",
        "The last epoch is used; the official code reports the best epoch on the queries.",
    )
    if_frozen: ClassVar[tuple[str, ...]] = (
        "Views are drawn from a fixed number of pre-extracted ones, with the backbone's dropout off; the official code "
        "augments afresh and leaves the dropout of VGG-19 on.",
    )

    def __init__(
        self,
        *,
        temperature: Positive,
        curvature: Positive,
        clip_radius: Positive,
        quantisation: NotNegative,
        fine_clusters: Count,
        middle_clusters: Annotated[Count, AtMost("fine_clusters")],
        coarse_clusters: Annotated[Count, AtMost("middle_clusters")],
        kmeans_iterations: Count,
        hidden: Count,
        dropout: Damping,
        width: Count,
        learning_rate: Positive,
        decay: Positive,
        decay_epochs: Count,
        constant_epochs: Natural,
        batch_size: Count,
        epochs: Count,
    ) -> None:
        self.temperature = temperature
        self.curvature = curvature
        self.clip_radius = clip_radius
        self.quantisation = quantisation
        self.cluster_counts = (fine_clusters, middle_clusters, coarse_clusters)
        self.kmeans_iterations = kmeans_iterations
        self.hidden = hidden
        self.dropout = dropout
        self.width = width
        self.recipe = DelayedDecay(
            "adam",
            learning_rate,
            batch_size,
            epochs,
            schedule="step",
            decay=decay,
            decay_epochs=decay_epochs,
            constant_epochs=constant_epochs,
        )

    def network(self, n_features: int, n_bits: int, generator: torch.Generator) -> nn.Module:
        """See `HeadMethod.network`."""
        return nn.Sequential(
            Standardise(n_features),
            linear(n_features, self.hidden, generator),
            nn.ReLU(),
            linear(self.hidden, n_bits, generator),
            nn.Tanh(),
        )

    def training(
        self, head: nn.Module, train: TrainView, n_bits: int, generator: torch.Generator, device: str
    ) -> Iterator[Training]:
        """See `HeadMethod.training`."""
        assert isinstance(head, nn.Sequential)
        to_hidden, to_codes = head[:3], head[3:]
        images = images_of(train, device)
        projection = linear(n_bits, self.width, generator).to(device)
        hierarchy = Hierarchy(len(train), cluster_counts(self.cluster_counts, len(train)), self.width).to(device)

        def points_of(codes: Tensor) -> Tensor:
            return poincare_points(codes, projection.weight, projection.bias, self.curvature, self.clip_radius)

        @torch.no_grad()
        def rebuild() -> None:
            features = torch.from_numpy(np.array(self.features_now(train))).to(device)
            hierarchy.rebuild(points_of(head(features)), self.curvature, self.kmeans_iterations, generator)

        def draw(batch: Tensor) -> tuple[Tensor, ...]:
            kept = torch.rand((2, len(batch), self.hidden), generator=generator) >= self.dropout
            return *images.two(batch, generator), *(kept / (1 - self.dropout)).to(device), batch.to(device)

        def loss_terms(
            first: Tensor, second: Tensor, dropout1: Tensor, dropout2: Tensor, batch: Tensor
        ) -> Mapping[str, Tensor]:
            codes1, codes2 = to_codes(to_hidden(first) * dropout1), to_codes(to_hidden(second) * dropout2)
            p1, p2, clusters = points_of(codes1), points_of(codes2), hierarchy.clusters[batch]
            measure = self.curvature, self.temperature
            return {
                "instances": hhch_instance_loss(p1, p2, *measure, clusters),
                "prototypes": hhch_prototype_loss(p1, p2, hierarchy.centres, hierarchy.sizes, clusters, *measure),
                "quantisation": self.quantisation * hhch_quantisation(codes1, codes2),
            }

        yield Training(
            nn.ModuleList([head, projection, hierarchy]),
            draw,
            loss_terms,
            len(train),
            self.recipe,
            generator,
            f"{self.title} {n_bits} bits",
            before_epoch=rebuild,
        )


@dataclass(frozen=True)
class DelayedDecay(Recipe):
    """A step schedule that stays at the full learning rate for the first `constant_epochs`."""

    constant_epochs: int = 0

    def rate(self, epoch: int) -> float:
        """See `Recipe.rate`."""
        return super().rate(epoch if epoch >= self.constant_epochs else 0)


class Hierarchy(nn.Module):
    """The clusters of n train rows at L levels, as buffers, so that a checkpoint and stacked training hold them.

    `clusters` int64 (n, L), numbers among the `centres` (L, k, width), of which a level has the first `sizes` (L,).
    """

    clusters: Tensor
    centres: Tensor
    sizes: Tensor

    def __init__(self, n_items: int, counts: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.counts = counts
        self.register_buffer("clusters", torch.zeros((n_items, len(counts)), dtype=torch.int64))
        self.register_buffer("centres", torch.zeros((len(counts), max(counts), width)))
        self.register_buffer("sizes", torch.zeros(len(counts), dtype=torch.int64))

    def rebuild(self, points: Tensor, curvature: float, iterations: int, generator: torch.Generator) -> None:
        """Cluster the points (n, width) of all train rows anew."""
        levels, clusters = hyperbolic_hierarchy(points, self.counts, curvature, iterations, generator)
        self.clusters.copy_(clusters)
        for level, centres in enumerate(levels):
            self.centres[level] = F.pad(centres, (0, 0, 0, self.centres.shape[1] - len(centres)))
            self.sizes[level] = len(centres)


def cluster_counts(wanted: tuple[int, ...], n_items: int) -> tuple[int, ...]:
    """The `wanted` numbers of clusters, finest first, all in proportion if there are too few items for the finest.

    A cluster shall stand for two items or more.
    """
    share = min(1.0, n_items / 2 / wanted[0])
    return tuple(max(1, int(share * count)) for count in wanted)
