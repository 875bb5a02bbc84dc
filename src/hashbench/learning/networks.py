"""Networks whose weights come from a generator of their own, and the base of methods that are one such network."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from hashbench.learning.inputs import features_of, require_bits
from hashbench.learning.session import Session
from hashbench.learning.standardise import Standardise, standardise_by
from hashbench.learning.training import Training, minimise
from hashbench.seeding import torch_generator
from hashbench.types import Array, FitLog, ItemView, Paper, TrainView


def linear(n_in: int, n_out: int, generator: torch.Generator, bias: bool = True) -> nn.Linear:
    """A linear layer with PyTorch's default initialisation, U(-1/sqrt(n_in), 1/sqrt(n_in)), drawn from `generator`."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, n_in, n_out, bias=bias)  # type: ignore[no-untyped-call]
    bound = 1 / math.sqrt(n_in)
    nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
    if bias:
        nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    return layer


def hash_head(n_features: int, hidden: int, n_bits: int, generator: torch.Generator) -> nn.Module:
    """The hash head that contrastive methods share: standardised features -> Linear, ReLU, Linear -> (m, n_bits)."""
    return nn.Sequential(
        Standardise(n_features),
        linear(n_features, hidden, generator),
        nn.ReLU(),
        linear(hidden, n_bits, generator),
    )


class HeadMethod(ABC):
    """A method whose code is the sign of a small network applied to one feature vector of an image.

    A subclass says which network (`network`) and how it is trained (`training`); fitting, encoding, saving and loading
    are here. `encodes` names the feature that goes through the network at inference.
    """

    title: ClassVar[str]
    paper: ClassVar[Paper]
    deviations: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[frozenset[str]] = frozenset({"pooled"})
    encodes: ClassVar[str] = "pooled"

    head: nn.Module
    _shape: tuple[int, int]

    @abstractmethod
    def network(self, n_features: int, n_bits: int, generator: torch.Generator) -> nn.Module:
        """A new network (m, n_features) -> (m, n_bits) whose sign is the code."""

    @abstractmethod
    def training(
        self, head: nn.Module, train: TrainView, n_bits: int, generator: torch.Generator, device: str
    ) -> Iterator[Training]:
        """Yield what to train of `head`, once or in turn; what follows a `yield` runs when that is trained."""

    def fit(self, train: TrainView, n_bits: int, seed: int, session: Session) -> FitLog:
        """See `Method.fit`."""
        return fit_side_by_side([self], train, [n_bits], [seed], session)[0]

    def begin(self, train: TrainView, n_bits: int, seed: int, device: str) -> Iterator[Training]:
        """A new head on `device` for the features of `train`, and what to train of it."""
        require_bits(n_bits)
        # Token views are too large to be looked through first; the training loop stops at a loss that is not finite.
        for name in sorted(self.needs & {"pooled", "token_mean", "views"}):
            features_of(train, name)
        generator = torch_generator(seed)
        features = torch.from_numpy(np.array(features_of(train, self.encodes)))
        self.head, self._shape = self.network(features.shape[1], n_bits, generator), (features.shape[1], n_bits)
        standardise_by(features, self.head)
        return self.training(self.head.to(device).train(), train, n_bits, generator, device)

    def encode(self, items: ItemView) -> Array:
        """See `Method.encode`."""
        return sign_bits(self.head, features_of(items, self.encodes))

    def state_dict(self) -> dict[str, Array]:
        """See `Method.state_dict`."""
        state = {name: value.detach().cpu().numpy() for name, value in self.head.state_dict().items()}
        return {**state, "shape": np.array(self._shape, dtype=np.int64)}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """See `Method.load_state_dict`."""
        n_features, n_bits = (int(size) for size in state["shape"])
        head = self.network(n_features, n_bits, torch_generator(0))
        head.load_state_dict(
            {name: torch.from_numpy(np.array(value)) for name, value in state.items() if name != "shape"}
        )
        self.head, self._shape = head.eval(), (n_features, n_bits)


def fit_side_by_side(
    methods: Sequence[HeadMethod], train: TrainView, n_bits: Sequence[int], seeds: Sequence[int], session: Session
) -> list[FitLog]:
    """Fit equal methods, each with its code length and seed, in one pass over the train rows.

    Up to rounding the same as one `fit` after the other; heads of one code length share their matrix products.
    """
    cells = zip(methods, n_bits, seeds, strict=True)
    started = [method.begin(train, b, seed, session.device) for method, b, seed in cells]
    phases: list[list[FitLog]] = []
    for trainings in zip(*started, strict=True):
        phases.append(minimise(trainings, session, phases))
    for method in methods:
        method.head.eval()
    return [_joined([logs[place] for logs in phases]) for place in range(len(methods))]


def _joined(logs: Sequence[FitLog]) -> FitLog:
    curves = {name: values for log in logs for name, values in log.curves.items()}
    return FitLog(curves, tuple(remark for log in logs for remark in log.remarks))


_ROWS_AT_ONCE = 1024


def sign_bits(head: nn.Module, features: Array) -> Array:
    """Bits head(x) >= 0 of every row of `features` (m, d): bool (m, b)."""
    bits: Array = outputs_of(head, features) >= 0
    return bits


@torch.inference_mode()
def outputs_of(head: nn.Module, features: Array) -> Array:
    """head(x) of every row of `features` (m, d): float32 (m, b).

    Rows pass through in blocks of one fixed size, the last one filled up with zeros: matrix products round
    differently at different sizes, and a code must not depend on which other items are encoded with it.
    """
    device = next((weight.device for weight in head.parameters()), torch.device("cpu"))
    blocks = []
    for start in range(0, len(features), _ROWS_AT_ONCE):
        block = np.asarray(features[start : start + _ROWS_AT_ONCE], dtype=np.float32)
        padded = np.zeros((_ROWS_AT_ONCE, block.shape[1]), dtype=np.float32)
        padded[: len(block)] = block
        outputs: Tensor = head(torch.from_numpy(padded).to(device))
        blocks.append(outputs[: len(block)].float().cpu().numpy())
    return np.concatenate(blocks)
