"""CIMON: semantic guidance by thresholded distances, refined by clusters, shared between two views."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from scipy.linalg import qr, svd  # type: ignore[import-untyped]
from scipy.sparse import diags_array  # type: ignore[import-untyped]
from scipy.sparse.linalg import eigsh  # type: ignore[import-untyped]
from scipy.special import ndtr  # type: ignore[import-untyped]
from sklearn.neighbors import kneighbors_graph  # type: ignore[import-untyped]
from torch import Tensor, nn

from hashbench.learning.contrast import nt_xent
from hashbench.learning.hyperparameters import Count, Damping, Natural, NotNegative, Positive
from hashbench.learning.networks import HeadMethod, hash_head, linear
from hashbench.learning.standardise import input_layer
from hashbench.learning.structure import cosine_distances, half_gaussians
from hashbench.learning.training import Recipe, Training
from hashbench.learning.views import StoredViews, images_of
from hashbench.types import Array, Paper, TrainView


def confidence(distances: Array, threshold: float) -> Array:
    """How sure the sign of each pair is by its distance alone: 0 at the threshold, towards 1 away from it.

    `distances` D (n, n) in [0, 2], `threshold` T. With the Gaussian distribution functions Fl and Fr of the two sides
    of the mode of D (`half_gaussians`): (Fl(T) - Fl(D)) / Fl(T) where D <= T, (Fr(D) - Fr(T)) / (1 - Fr(T)) beyond,
    clipped to [0, 1]; 1 where a side has no spread. Returns (n, n).
    """
    mean_left, std_left, mean_right, std_right = map(np.float64, half_gaussians(distances))
    is_near, found = distances <= threshold, np.empty(distances.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        left_of_threshold = ndtr((threshold - mean_left) / std_left)
        right_of_threshold = ndtr((threshold - mean_right) / std_right)
        found[is_near] = 1 - ndtr((distances[is_near] - mean_left) / std_left) / left_of_threshold
        further = ndtr((distances[~is_near] - mean_right) / std_right) - right_of_threshold
        found[~is_near] = further / (1 - right_of_threshold)
    clipped: Array = np.clip(np.nan_to_num(found, nan=1), 0, 1)
    return clipped


def guidance(features: Array, clusters: Array, threshold: float) -> Array:
    """Signed weights W * S of all pairs, float32 (n, n), from one view's features (n, d) and cluster labels (n,).

    S is +1 where the cosine distance is at most `threshold`, else -1. W is `confidence` where S agrees with whether
    the pair shares a cluster, else 0.
    """
    distances = cosine_distances(features)
    signs = np.where(distances <= threshold, 1, -1).astype(np.int8)
    agrees = (signs > 0) == (clusters[:, None] == clusters[None, :])
    weighted: Array = (confidence(distances, threshold) * agrees * signs).astype(np.float32)
    return weighted


def guided_loss(outputs: Tensor, signed_weights: Tensor) -> Tensor:
    """(1 / N^2) sum_ij W_ij (outputs_i . outputs_j / K - S_ij)^2, from outputs (N, K) and W * S (N, N). A scalar."""
    likeness = outputs @ outputs.T / outputs.shape[1]
    return (signed_weights.abs() * (likeness - signed_weights.sign()).square()).mean()


class CIMON(HeadMethod):
    """CIMON (Luo et al., IJCAI 2021): two views guide each other's pairwise similarities, beside contrast.

    Once, from one random view each of all n images and again from another: `guidance` W S (n, n) by cosine distance
    and spectral clustering. Then for each batch, outputs V1, V2 (N, K) of tanh(head) on two random views; the
    objective is

        sum over a, t in {1, 2} of `guided_loss`(V_a, (W S)_t) + contrast * `nt_xent`(V1, V2, temperature).

    Minimised by SGD with momentum. An item's code is the sign of the head: a linear layer, behind one of `hidden` units
    unless that is 0. `standardise` puts a fixed layer that centres features and gives them unit scale before it.
    """

    title: ClassVar[str] = "CIMON"
    paper: ClassVar[Paper] = Paper(
        key="luo2021cimon",
        authors=(
            "Xiao Luo and Daqing Wu and Zeyu Ma and Chong Chen and Minghua Deng and Jinwen Ma and Zhongming Jin and "
            "Jianqiang Huang and Xian-Sheng Hua"
        ),
        title="CIMON: Towards High-quality Hash Codes",
        venue="International Joint Conference on Artificial Intelligence (IJCAI)",
        year=2021,
        url="https://arxiv.org/abs/2010.07804",
    )
    needs: ClassVar[frozenset[str]] = frozenset({"pooled", "views"})
    stored: ClassVar[frozenset[str]] = frozenset({"views"})
    deviations: ClassVar[tuple[str, ...]] = (
        "Guidance comes from the pooled feature of the run's backbone, not from fc7 of VGG-16 before its ReLU, so the "
        "distance threshold is another one.",
        "Spectral clustering works on the graph of 10 nearest neighbours, not on a dense Gaussian kernel.",
    )
    if_frozen: ClassVar[tuple[str, ...]] = (
        "The backbone is frozen and views are drawn from a fixed number of pre-extracted ones; the official code "
        "trains VGG-16 end to end on fresh augmentations.",
    )

    def __init__(
        self,
        *,
        threshold: Annotated[float, Field(ge=0, le=2)],
        clusters: Count,
        contrast: NotNegative,
        temperature: Positive,
        hidden: Natural,
        standardise: bool,
        learning_rate: Positive,
        momentum: Damping,
        weight_decay: NotNegative,
        batch_size: Count,
        epochs: Count,
    ) -> None:
        self.threshold = threshold
        self.clusters = clusters
        self.contrast = contrast
        self.temperature = temperature
        self.hidden = hidden
        self.standardise = standardise
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.epochs = epochs

    def network(self, n_features: int, n_bits: int, generator: torch.Generator) -> nn.Module:
        """See `HeadMethod`."""
        if self.hidden == 0:
            inputs = input_layer(n_features, self.standardise)
            return nn.Sequential(inputs, linear(n_features, n_bits, generator), nn.Tanh())
        head = hash_head(n_features, self.hidden, n_bits, generator, self.standardise)
        return nn.Sequential(head, nn.Tanh())

    def training(
        self, head: nn.Module, train: TrainView, n_bits: int, generator: torch.Generator, device: str
    ) -> Iterator[Training]:
        """See `HeadMethod.training`."""
        images, stored = images_of(train, device), StoredViews(train, "views", device)
        of_all = stored.two(torch.arange(len(train)), generator)
        guides = [self._guide(view.cpu().numpy(), generator).to(view.device) for view in of_all]

        def draw(batch: Tensor) -> tuple[Tensor, ...]:
            return *images.two(batch, generator), *(guide[batch][:, batch] for guide in guides)

        def loss_terms(first: Tensor, second: Tensor, guide1: Tensor, guide2: Tensor) -> Mapping[str, Tensor]:
            outputs = head(first), head(second)
            guided = [guided_loss(output, guide) for output in outputs for guide in (guide1, guide2)]
            return {
                "guided": torch.stack(guided).sum(),
                "contrastive": self.contrast * nt_xent(*outputs, self.temperature),
            }

        recipe = Recipe(
            "sgd",
            self.learning_rate,
            self.batch_size,
            self.epochs,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
        )
        yield Training(head, draw, loss_terms, len(train), recipe, generator, f"{self.title} {n_bits} bits")

    def _guide(self, features: Array, generator: torch.Generator) -> Tensor:
        seed = int(torch.randint(2**31, (), generator=generator))
        return torch.from_numpy(guidance(features, spectral_clusters(features, self.clusters, seed), self.threshold))


def spectral_clusters(features: Array, n_clusters: int, seed: int) -> Array:
    """Cluster label of each row of `features` (n, d), by direction: int (n,).

    The partition of scikit-learn's SpectralClustering on the graph of 10 nearest neighbours with `cluster_qr` (Damle,
    Minden and Ying, Information and Inference 2019), which takes the subspace and not its basis into account. That
    factorises the graph's Laplacian; multiplying by the graph finds the same subspace in a fifth of the time.
    """
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    nearest = kneighbors_graph(unit, min(10, len(unit)), include_self=True)
    graph = ((nearest + nearest.T) / 2).tolil()
    graph.setdiag(0)
    scale = 1 / np.sqrt(np.asarray(graph.sum(axis=1)).ravel())
    k, start = min(n_clusters, len(unit) - 1), np.random.default_rng(seed).uniform(-1, 1, len(unit))
    _, vectors = eigsh(diags_array(scale) @ graph.tocsr() @ diags_array(scale), k=k, which="LA", v0=start)
    embedding = scale[:, None] * vectors
    _, pivots = qr(embedding.T, mode="r", pivoting=True)
    left, _, right = svd(embedding[pivots[:k]].T)
    labels: Array = np.abs(embedding @ (left @ right)).argmax(axis=1)
    return labels
