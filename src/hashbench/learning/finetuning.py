"""A copy of the run's backbone, trained along with a method's own network by whatever loss the method has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from hashbench.errors import HashbenchError
from hashbench.learning.inputs import features_of
from hashbench.learning.training import Training
from hashbench.learning.views import Pictures
from hashbench.types import Array, ItemView, TrainableBackbone

_AT_ONCE = 64  # images that are described together when nothing is trained
_OWN, _BACKBONE = "0.", "1."  # the method's network and the backbone, in the network that is trained

Kind = Literal["pooled", "tokens"]


class TrainedBackbone:
    """A method's own copy of the backbone: built where training begins, or where a loaded state is first used.

    `kind`: what of a picture the loss sees: its pooled feature (n, d) or its patch tokens (n, p, d_t).
    """

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._network: nn.Module | None = None
        self._loaded: dict[str, Array] = {}

    def joined(self, training: Training, backbone: TrainableBackbone) -> Training:
        """`training` with the backbone in front of it: trained along, at a learning rate of its own.

        The pictures that it draws are described before its loss sees them, all in one pass. What the backbone leaves
        out at random (dropout, drop path) is drawn from the training's generator too.
        """
        network = self._built(backbone).train()
        factor = backbone.learning_rate / training.recipe.learning_rate

        def draw(batch: Tensor) -> tuple[Tensor, ...]:
            return *training.draw(batch), torch.randint(2**62, (), generator=training.generator)

        def loss_terms(*drawn: Tensor) -> Mapping[str, Tensor]:
            *given, seed = drawn
            return training.loss_terms(*self._described(network, given, int(seed)))

        def rate_of(name: str) -> float:
            return factor if name.startswith(_BACKBONE) else training.rate_of(name.removeprefix(_OWN))

        both = nn.ModuleList([training.network, network])
        return replace(training, network=both, draw=draw, loss_terms=loss_terms, rate_of=rate_of)

    def _described(self, network: nn.Module, drawn: list[Tensor], seed: int) -> list[Tensor]:
        pictures = [each for each in drawn if isinstance(each, Pictures)]
        if not pictures:
            return drawn
        together = torch.cat([each.as_subclass(Tensor) for each in pictures])
        with _random_draws_from(seed, together.device):
            pooled, tokens = network(together)
        features = (pooled if self._kind == "pooled" else tokens).split([len(each) for each in pictures])
        of_pictures = iter(features)
        return [next(of_pictures) if isinstance(each, Pictures) else each for each in drawn]

    @torch.no_grad()
    def describe(self, view: ItemView, name: Literal["pooled", "token_mean"]) -> Array:
        """The features of a view's images by the network as it is now: float32 (m, d).

        Images pass in blocks of one size, so that a feature does not depend on which others are described with it.
        """
        backbone, images = backbone_of(view), features_of(view, "images")
        network = self._built(backbone)
        was_training, found = network.training, []
        network.eval()
        for start in range(0, len(images), _AT_ONCE):
            block = images[start : start + _AT_ONCE]
            padded = np.zeros((_AT_ONCE, *images.shape[1:]), dtype=images.dtype)
            padded[: len(block)] = block
            pooled, tokens = network(backbone.prepare(padded))
            features = pooled if name == "pooled" else tokens.mean(dim=1)
            found.append(features[: len(block)].float().cpu().numpy())
        network.train(was_training)
        return np.concatenate(found)

    def _built(self, backbone: TrainableBackbone) -> nn.Module:
        if self._network is None:
            network: nn.Module = backbone.build()
            if self._loaded:
                network.load_state_dict({name: torch.from_numpy(value) for name, value in self._loaded.items()})
            self._network = network
        return self._network

    def state_dict(self) -> dict[str, Array]:
        """What was trained."""
        if self._network is None:
            return dict(self._loaded)
        return {name: value.detach().cpu().numpy() for name, value in self._network.state_dict().items()}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Become what was trained; the network is built when it is first used, by the backbone of what it is given."""
        self._loaded, self._network = {name: np.array(value) for name, value in state.items()}, None


def backbone_of(view: ItemView) -> TrainableBackbone:
    """The backbone of a view. Raises HashbenchError where it has none."""
    if view.backbone is None:
        raise HashbenchError(
            "a method whose backbone was trained encodes images by that backbone, and this run's is frozen; set "
            "`backbone_training` of its profile"
        )
    return view.backbone


@contextmanager
def _random_draws_from(seed: int, device: torch.device) -> Iterator[None]:
    """Let what draws from torch's global generators draw from this seed, and leave them as they were."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
