"""MLS3RDUH: cosine neighbours that a diffusion along the manifold confirms or refutes are the targets."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hashbench.learning.hyperparameters import Count, Damping, NotNegative, Positive, Share
from hashbench.learning.networks import HeadMethod, linear
from hashbench.learning.standardise import input_layer
from hashbench.learning.training import Recipe, Training
from hashbench.learning.views import images_of, train_rows
from hashbench.types import Paper, TrainView


class MLS3RDUH(HeadMethod):
    """Manifold-based Local Semantic Similarity Structure Reconstruction (Tu, Mao, Wei, IJCAI 2020).

    Before training, `reconstructed_similarity` gives S_ij in [-1, 1] of all train pairs. The head is a linear layer
    and tanh, h in (-1, 1)^b; the loss of a batch of N:

        mean_ij log cosh(h_iᵀh_j / b - S_ij).

    `standardise` puts a fixed layer that centres features and gives them unit scale before the head.
    """

    title: ClassVar[str] = "MLS3RDUH"
    paper: ClassVar[Paper] = Paper(
        key="tu2020mls3rduh",
        authors="Rong-Cheng Tu and Xian-Ling Mao and Wei Wei",
        title="MLS3RDUH: Deep Unsupervised Hashing via Manifold based Local Semantic Similarity Structure "
        "Reconstructing",
        venue="International Joint Conference on Artificial Intelligence (IJCAI)",
        year=2020,
        url="https://doi.org/10.24963/ijcai.2020/479",
    )
    deviations: ClassVar[tuple[str, ...]] = (
        "The similarities are computed from features extracted with dropout off; the published code leaves it on.",
    )
    if_frozen: ClassVar[tuple[str, ...]] = (
        "Only the hash layer is trained, on frozen features; the paper trains the whole network.",
    )

    def __init__(
        self,
        *,
        cosine_neighbours: Share,
        diffusion_neighbours: Share,
        diffusion: Damping,
        standardise: bool,
        learning_rate: Positive,
        weight_decay: NotNegative,
        batch_size: Count,
        epochs: Count,
    ) -> None:
        self.cosine_neighbours = cosine_neighbours
        self.diffusion_neighbours = diffusion_neighbours
        self.diffusion = diffusion
        self.standardise = standardise
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.epochs = epochs

    def network(self, n_features: int, n_bits: int, generator: torch.Generator) -> nn.Module:
        """See `HeadMethod.network`."""
        return nn.Sequential(
            input_layer(n_features, self.standardise), linear(n_features, n_bits, generator), nn.Tanh()
        )

    def training(
        self, head: nn.Module, train: TrainView, n_bits: int, generator: torch.Generator, device: str
    ) -> Iterator[Training]:
        """See `HeadMethod.training`."""
        images, features = images_of(train, device), train_rows(train, "pooled", device)
        targets = reconstructed_similarity(
            features,
            cosine_k=max(1, int(self.cosine_neighbours * len(features))),
            diffusion_k=max(1, int(self.diffusion_neighbours * len(features))),
            diffusion=self.diffusion,
        )

        def loss_terms(rows: Tensor, wanted: Tensor) -> dict[str, Tensor]:
            return {"pairs": log_cosh_loss(head(rows), wanted)}

        yield Training(
            head,
            lambda batch: (images.plain(batch), targets[batch][:, batch]),
            loss_terms,
            len(features),
            Recipe("sgd", self.learning_rate, self.batch_size, self.epochs, weight_decay=self.weight_decay),
            generator,
            f"{self.title} {n_bits} bits",
        )


@torch.no_grad()
def reconstructed_similarity(features: Tensor, *, cosine_k: int, diffusion_k: int, diffusion: float) -> Tensor:
    """S in [-1, 1] (n, n), symmetric, of `features` (n, d): section 3.2 of the paper.

    With C the cosines, each item has its `cosine_k` nearest others by C and its `diffusion_k` nearest by the diffusion
    on the graph of mutual cosine neighbours. A cosine neighbour that is a diffusion neighbour too has s = 1, one that
    is not has s = 0, in both directions, 1 before 0; all other pairs keep s = max(C, 0). S = 2s - 1.
    """
    unit = F.normalize(features, dim=1)
    cosines = unit @ unit.T
    near = neighbours(cosines.clone().fill_diagonal_(-torch.inf), cosine_k)
    graph = torch.where(near & near.T & (cosines > 1e-4), cosines, 0)
    kept = graph.any(dim=1)
    # An item without a mutual neighbour has no place on the graph: it keeps its cosines, and is nobody's neighbour.
    near &= kept[:, None] & kept
    confirmed = torch.zeros_like(near)
    confirmed[kept.outer(kept)] = neighbours(diffused(graph[kept][:, kept], diffusion), diffusion_k).flatten()

    similar, dissimilar = near & confirmed, near & ~confirmed
    targets = cosines.clamp(min=0)
    targets[dissimilar | dissimilar.T] = 0
    targets[similar | similar.T] = 1
    return 2 * targets - 1


def neighbours(similarities: Tensor, k: int) -> Tensor:
    """For each row of `similarities` (n, n) its k largest entries: bool (n, n)."""
    nearest = similarities.topk(min(k, len(similarities)), dim=1).indices
    return torch.zeros_like(similarities, dtype=torch.bool).scatter_(1, nearest, True)


def diffused(graph: Tensor, diffusion: float) -> Tensor:
    """(1 - a) (I - a D^-½ G D^-½)^-1 with a = `diffusion` in [0, 1) and D = diag(G 1), of a symmetric graph G (n, n).

    `graph` has no negative entry and no row of zeros, so the matrix is positive definite: inverted by Cholesky.
    """
    scale = graph.sum(dim=1).rsqrt()
    matrix = (scale[:, None] * graph * scale).mul_(-diffusion)
    matrix.diagonal().add_(1)
    return torch.cholesky_inverse(torch.linalg.cholesky(matrix)).mul_(1 - diffusion)


def log_cosh_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """mean_ij log cosh(h_iᵀh_j / b - S_ij) of `outputs` h (N, b) and `targets` S (N, N)."""
    errors = (outputs @ outputs.T / outputs.shape[1] - targets).abs()
    # log cosh e = |e| + log(1 + exp(-2|e|)) - log 2, which does not overflow.
    return (errors + F.softplus(-2 * errors) - math.log(2)).mean()
