"""Networks whose weights come from a generator of their own, and the base of methods that are one such network."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from hashbench.learning.finetuning import TrainedBackbone
from hashbench.learning.inputs import features_of, needs_of, require_bits
from hashbench.learning.session import Session
from hashbench.learning.standardise import input_layer, standardise_by
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


def hash_head(
    n_features: int, hidden: int, n_bits: int, generator: torch.Generator, standardise: bool = True
) -> nn.Sequential:
    """The hash head of contrastive methods: (m, n_features) -> `input_layer`, Linear, ReLU, Linear -> (m, n_bits)."""
    return nn.Sequential(
        input_layer(n_features, standardise),
        linear(n_features, hidden, generator),
        nn.ReLU(),
        linear(hidden, n_bits, generator),
    )


_BACKBONE = "backbone."  # before the names of the backbone's weights in a state


class HeadMethod(ABC):
    """A method whose code is the sign of a small network applied to one feature vector of an image.

    A subclass says which network (`network`) and how it is trained (`training`); fitting, encoding, saving and loading
    are here. `encodes` names the feature that goes through the network at inference.

    Where a run trains the backbone, `images_of` gives pictures in place of stored features, and a copy of the backbone
    that is trained along describes them before the loss sees them; `if_frozen` are the deviations of any other run.
    `trains_backbone` is False for a method whose published form takes features as they are; `stored` names the views
    that it reads from disk in either case.
    """

    title: ClassVar[str]
    paper: ClassVar[Paper]
    deviations: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[frozenset[str]] = frozenset({"pooled"})
    encodes: ClassVar[Literal["pooled", "token_mean", "clip_pooled"]] = "pooled"
    if_frozen: ClassVar[tuple[str, ...]] = ()
    trains_backbone: ClassVar[bool] = True
    stored: ClassVar[frozenset[str]] = frozenset()

    head: nn.Module
    _shape: tuple[int, int]
    _backbone: TrainedBackbone | None = None

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
        if not self.trains_backbone:
            train = replace(train, backbone=None)
        # Token views are too large to be looked through first; the training loop stops at a loss that is not finite.
        for name in sorted(needs_of(self, train.backbone is not None) & {"pooled", "token_mean", "views"}):
            features_of(train, name)
        generator = torch_generator(seed)
        features = torch.from_numpy(np.array(features_of(train, self.encodes)))
        self.head, self._shape = self.network(features.shape[1], n_bits, generator), (features.shape[1], n_bits)
        standardise_by(features, self.head)
        trainings = self.training(self.head.to(device).train(), train, n_bits, generator, device)
        self._backbone = None
        if train.backbone is None:
            return trainings
        self._backbone = self._new_backbone()
        return map(partial(self._backbone.joined, backbone=train.backbone), trainings)

    def _new_backbone(self) -> TrainedBackbone:
        return TrainedBackbone("tokens" if "view_tokens" in self.needs else "pooled")

    def features_now(self, items: ItemView) -> Array:
        """The features that the head sees of `items` (m, d): stored ones, or those of the backbone as it is trained.

        Embeddings of a vision-language model are stored ones in either case.
        """
        if self._backbone is not None and self.encodes != "clip_pooled":
            return self._backbone.describe(items, self.encodes)
        return features_of(items, self.encodes)

    def encode(self, items: ItemView) -> Array:
        """See `Method.encode`."""
        return sign_bits(self.head, self.features_now(items))

    def state_dict(self) -> dict[str, Array]:
        """See `Method.state_dict`."""
        state = {name: value.detach().cpu().numpy() for name, value in self.head.state_dict().items()}
        backbone = {} if self._backbone is None else self._backbone.state_dict()
        return {
            **state,
            **{_BACKBONE + name: value for name, value in backbone.items()},
            "shape": np.array(self._shape, dtype=np.int64),
        }

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """See `Method.load_state_dict`."""
        n_features, n_bits = (int(size) for size in state["shape"])
        backbone = {n.removeprefix(_BACKBONE): value for n, value in state.items() if n.startswith(_BACKBONE)}
        self._backbone = self._new_backbone() if backbone else None
        if self._backbone is not None:
            self._backbone.load_state_dict(backbone)
        head = self.network(n_features, n_bits, torch_generator(0))
        own = {name: value for name, value in state.items() if name != "shape" and not name.startswith(_BACKBONE)}
        head.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in own.items()})
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
