"""SSDH: pairs that are clearly near or clearly far in feature space become labels for the codes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import torch
from scipy.spatial.distance import squareform  # type: ignore[import-untyped]
from torch import Tensor, nn

from hashbench.learning.hyperparameters import Count, NotNegative, Positive
from hashbench.learning.networks import HeadMethod, linear
from hashbench.learning.standardise import input_layer
from hashbench.learning.structure import cosine_distances, half_gaussians
from hashbench.learning.training import Recipe, Training
from hashbench.learning.views import images_of, train_rows
from hashbench.types import Array, Paper, TrainView


class SSDH(HeadMethod):
    """Semantic Structure-based unsupervised Deep Hashing (Yang et al., IJCAI 2018).

    Before training, half Gaussians (mean m, standard deviation s) are fitted to the left and right of the mode of the
    cosine distances D of all train pairs. S_ij = +1 where D_ij < m_l - alpha s_l, -1 where D_ij > m_r + beta s_r, and
    0, ignored, elsewhere. The head is a linear layer and tanh, h in (-1, 1)^b; the loss of a batch of N:

        mean_ij |S_ij| (h_iᵀh_j / b - S_ij)².

    `standardise` puts a fixed layer that centres features and gives them unit scale before the head.
    """

    title: ClassVar[str] = "SSDH"
    paper: ClassVar[Paper] = Paper(
        key="yang2018semantic",
        authors="Erkun Yang and Cheng Deng and Tongliang Liu and Wei Liu and Dacheng Tao",
        title="Semantic Structure-based Unsupervised Deep Hashing",
        venue="International Joint Conference on Artificial Intelligence (IJCAI)",
        year=2018,
        url="https://doi.org/10.24963/ijcai.2018/148",
    )
    deviations: ClassVar[tuple[str, ...]] = (
        "Distances are those between two different images; the published code also counts the zero distance of each "
        "image to itself.",
        "The histogram covers distances from 0 to 2 in bins of 0.01, not 0 to 1: features that may be negative reach "
        "cosines below 0.",
        "The hash layer starts from PyTorch's default; the published code draws it with a standard deviation of 0.001.",
    )
    if_frozen: ClassVar[tuple[str, ...]] = (
        "Only the hash layer is trained, on frozen features without dropout; the paper trains the whole VGG network.",
    )

    def __init__(
        self,
        *,
        alpha: NotNegative,
        beta: NotNegative,
        standardise: bool,
        learning_rate: Positive,
        adam_epsilon: Positive,
        batch_size: Count,
        epochs: Count,
    ) -> None:
        self.alpha = alpha
        self.beta = beta
        self.standardise = standardise
        self.learning_rate = learning_rate
        self.adam_epsilon = adam_epsilon
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
        labels = torch.from_numpy(pseudo_labels(features.cpu().numpy(), self.alpha, self.beta)).to(features.device)
        near, far = (float((labels == value).float().mean()) for value in (1, -1))

        def loss_terms(rows: Tensor, wanted: Tensor) -> dict[str, Tensor]:
            return {"pairs": structure_loss(head(rows), wanted)}

        yield Training(
            head,
            lambda batch: (images.plain(batch), labels[batch][:, batch].float()),
            loss_terms,
            len(features),
            Recipe("adam", self.learning_rate, self.batch_size, self.epochs, epsilon=self.adam_epsilon),
            generator,
            f"{self.title} {n_bits} bits",
            remarks=(f"{near:.2%} of the pairs are labelled similar, {far:.2%} dissimilar",),
        )


def pseudo_labels(features: Array, alpha: float, beta: float) -> Array:
    """S of the class's docstring for `features` (n, d): int8 (n, n) in {-1, 0, 1}, symmetric."""
    distances = cosine_distances(features)
    mean_left, std_left, mean_right, std_right = half_gaussians(squareform(distances, checks=False))
    near = distances < mean_left - alpha * std_left
    far = distances > mean_right + beta * std_right
    return near.astype(np.int8) - far.astype(np.int8)


def structure_loss(outputs: Tensor, labels: Tensor) -> Tensor:
    """mean_ij |S_ij| (h_iᵀh_j / b - S_ij)² of `outputs` h (N, b) and `labels` S (N, N)."""
    similarities = outputs @ outputs.T / outputs.shape[1]
    return (labels.abs() * (similarities - labels).square()).mean()
