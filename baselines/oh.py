"""OH: each image is recognised by its overview, what the hash codes say that it has in common with many others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from hashbench.learning.binarize import binary_neuron
from hashbench.learning.hyperparameters import Count, Damping, NotNegative, Positive, Share
from hashbench.learning.initialisation import glorot_linear
from hashbench.learning.networks import HeadMethod
from hashbench.learning.overview import OverviewState, oh_losses
from hashbench.learning.standardise import Standardise
from hashbench.learning.training import Recipe, Training
from hashbench.learning.views import images_of
from hashbench.types import Paper, TrainView


class OH(HeadMethod):
    """Overview Hashing (Yu, Shen, Zhang, ACM Multimedia 2023).

    On a = ReLU(linear(x)) (N, hidden) stand the bits b = 1[σ(linear(a)) >= 1/2] (N, K), with the gradient of σ, and
    the unit features c = norm(linear(a)) (N, width). A key network, a running mean of this query network, fills three
    queues with what it makes of passing images. An `overview` of an image mixes the queued features by their agreement
    with its bits. For each batch in two views, `oh_losses` is minimised by Adam: the cross-entropies of recognising an
    image's overview by its key among the queue, and by its second view among the batch. At inference only the bits'
    own layers are used.
    """

    title: ClassVar[str] = "OH"
    paper: ClassVar[Paper] = Paper(
        key="yu2023hashing",
        authors="Jiaguo Yu and Yuming Shen and Haofeng Zhang",
        title="Hashing One With All",
        venue="ACM International Conference on Multimedia (ACM MM)",
        year=2023,
        url="https://doi.org/10.1145/3581783.3611977",
    )
    needs: ClassVar[frozenset[str]] = frozenset({"pooled", "views"})
    deviations: ClassVar[tuple[str, ...]] = (
        "Only the layers on top of the features are trained; the official code trains all of ResNet-50.",
        "The queues hold a share of the train images, the one that 4096 are of the official code's 50,000: longer ones "
        "would mostly hold an image's own older keys as its negatives.",
        "Features pass through a fixed layer that centres them and gives them unit scale.",
        "The last epoch is used; the official code reports the best epoch on the queries.",
    )
    if_frozen: ClassVar[tuple[str, ...]] = (
        "Views are drawn from a fixed number of pre-extracted ones; the official code augments afresh.",
    )

    def __init__(
        self,
        *,
        temperature: Positive,
        momentum: Damping,
        context: NotNegative,
        queue_share: Share,
        hidden: Count,
        width: Count,
        learning_rate: Positive,
        adam_epsilon: Positive,
        batch_size: Count,
        epochs: Count,
    ) -> None:
        self.temperature = temperature
        self.momentum = momentum
        self.context = context
        self.queue_share = queue_share
        self.hidden = hidden
        self.width = width
        self.learning_rate = learning_rate
        self.adam_epsilon = adam_epsilon
        self.batch_size = batch_size
        self.epochs = epochs

    def network(self, n_features: int, n_bits: int, generator: torch.Generator) -> nn.Module:
        """See `HeadMethod.network`."""
        return nn.Sequential(
            Standardise(n_features),
            glorot_linear(n_features, self.hidden, generator),
            nn.ReLU(),
            glorot_linear(self.hidden, n_bits, generator),
        )

    def training(
        self, head: nn.Module, train: TrainView, n_bits: int, generator: torch.Generator, device: str
    ) -> Iterator[Training]:
        """See `HeadMethod.training`."""
        assert isinstance(head, nn.Sequential)
        query = QueryNetwork(head, glorot_linear(self.hidden, self.width, generator).to(device))
        length = max(1, round(self.queue_share * len(train)))
        memory = OverviewMemory(query, length, n_bits, self.width, generator).to(device)
        images = images_of(train, device)

        def encode(weights: Mapping[str, Tensor], features: Tensor) -> tuple[Tensor, Tensor]:
            encoded: tuple[Tensor, Tensor] = functional_call(query, dict(weights), (features,))
            return encoded

        def loss_terms(first: Tensor, second: Tensor) -> Mapping[str, Tensor]:
            losses, after = oh_losses(
                encode,
                dict(query.named_parameters()),
                memory.read(),
                first,
                second,
                self.temperature,
                self.momentum,
                self.context,
            )
            memory.write(after)
            return losses

        yield Training(
            nn.ModuleList([query, memory]),
            lambda batch: images.two(batch, generator),
            loss_terms,
            len(train),
            Recipe("adam", self.learning_rate, self.batch_size, self.epochs, epsilon=self.adam_epsilon),
            generator,
            f"{self.title} {n_bits} bits",
        )


class QueryNetwork(nn.Module):
    """Features (N, d) -> bits in {0, 1} (N, K), unit features (N, width); `head` without its last layer is shared."""

    def __init__(self, head: nn.Sequential, to_features: nn.Module) -> None:
        super().__init__()
        self.head = head
        self.to_features = to_features

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Bits and features of rows (N, d)."""
        shared = self.head[:-1](rows)
        return binary_neuron(self.head[-1](shared)), F.normalize(self.to_features(shared), dim=1)


_QUEUES = ("overviews", "bits", "features")


class OverviewMemory(nn.Module):
    """An `OverviewState` as buffers, so that a checkpoint holds it and networks that are stacked have one each.

    At first the key network equals the query network, and the queues of length Q hold N(0, 1) numbers.
    """

    def __init__(self, query: nn.Module, length: int, n_bits: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self._names = [name for name, _ in query.named_parameters()]
        for name, weight in query.named_parameters():
            self.register_buffer(_buffer(name), weight.detach().clone())
        for name, columns in zip(_QUEUES, (width, n_bits, width), strict=True):
            self.register_buffer(name, torch.randn((length, columns), generator=generator))

    def read(self) -> OverviewState:
        """The state as it is now."""
        key_weights = {name: self.get_buffer(_buffer(name)) for name in self._names}
        # The backward pass needs the queues that the step began with, and `write` comes before it.
        return OverviewState(key_weights, *(self.get_buffer(name).clone() for name in _QUEUES))

    @torch.no_grad()
    def write(self, state: OverviewState) -> None:
        """Keep `state`."""
        for name, weight in state.key_weights.items():
            self.get_buffer(_buffer(name)).copy_(weight)
        for name in _QUEUES:
            self.get_buffer(name).copy_(getattr(state, name))


def _buffer(name: str) -> str:
    return "key_" + name.replace(".", "_")
