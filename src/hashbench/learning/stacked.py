"""Equal networks with weights of their own, computed together or alone: the parts of a training loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

if TYPE_CHECKING:
    from hashbench.learning.training import Training


class Part(Protocol):
    """Some of the trainings of a loop; `places` are their numbers there, `weights` what the optimiser moves."""

    weights: dict[str, Tensor]

    def begin_epoch(self) -> None:
        """Let each training do what it does before an epoch."""

    def draw(self, batches: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """What its trainings draw for their batches, out of the batches of all places."""

    def terms(self, *drawn: Tensor) -> dict[int, Mapping[str, Tensor]]:
        """The loss terms of each of its trainings, by place, of what `draw` gave."""

    def clip(self, norm: float) -> None:
        """Bound the norm of each training's gradient."""

    def state(self) -> dict[str, Tensor]:
        """All that a checkpoint needs."""

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Become what `state` was taken from."""

    def write_back(self) -> None:
        """Leave the trained weights in the trainings' own networks."""


class Alone:
    """One training, by its own network."""

    def __init__(self, training: Training, place: int) -> None:
        self._training, self._place = training, place
        self.weights: dict[str, Tensor] = {
            name: w for name, w in training.network.named_parameters() if w.requires_grad
        }

    def begin_epoch(self) -> None:
        """See `Part`."""
        if self._training.before_epoch is not None:
            self._training.before_epoch()

    def draw(self, batches: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """See `Part`."""
        return self._training.draw(batches[self._place])

    def terms(self, *drawn: Tensor) -> dict[int, Mapping[str, Tensor]]:
        """See `Part`."""
        return {self._place: self._training.loss_terms(*drawn)}

    def clip(self, norm: float) -> None:
        """See `Part`."""
        torch.nn.utils.clip_grad_norm_(self.weights.values(), norm)

    def state(self) -> dict[str, Tensor]:
        """See `Part`."""
        return dict(self._training.network.state_dict())

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """See `Part`."""
        self._training.network.load_state_dict(state)

    def write_back(self) -> None:
        """See `Part`."""


class Stacked:
    """Several trainings of networks of the same shape, as one network whose weights have a first axis for them.

    One kernel then works for all of them, which is what keeps a GPU busy with heads as small as these. Equal to
    training them one by one, up to the rounding of batched matrix products.
    """

    def __init__(self, trainings: Sequence[Training], places: Sequence[int]) -> None:
        self._trainings, self._places = trainings, places
        # All go through the first one's functions, which only its own modules and `draw` distinguish from the others'.
        objective = _Objective(trainings[0])
        self.weights, self._buffers = stack_module_state([_Objective(training) for training in trainings])

        def terms_of(weights: dict[str, Tensor], buffers: dict[str, Tensor], *drawn: Tensor) -> dict[str, Tensor]:
            found: dict[str, Tensor] = functional_call(objective, (weights, buffers), drawn)
            return found

        self._terms = vmap(terms_of)

    def begin_epoch(self) -> None:
        """See `Part`."""
        hooks = [training.before_epoch for training in self._trainings if training.before_epoch is not None]
        if hooks:
            self.write_back()
            for hook in hooks:
                hook()
            own = [_Objective(training).state_dict() for training in self._trainings]
            self.load_state({name: torch.stack([state[name] for state in own]) for name in own[0]})

    def draw(self, batches: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """See `Part`."""
        drawn = [t.draw(batches[place]) for t, place in zip(self._trainings, self._places, strict=True)]
        return tuple(map(torch.stack, zip(*drawn, strict=True)))

    def terms(self, *drawn: Tensor) -> dict[int, Mapping[str, Tensor]]:
        """See `Part`."""
        stacked = self._terms(self.weights, self._buffers, *drawn)
        return {
            place: {name: values[number] for name, values in stacked.items()}
            for number, place in enumerate(self._places)
        }

    def clip(self, norm: float) -> None:
        """See `Part`."""
        gradients = [weight.grad for weight in self.weights.values() if weight.grad is not None]
        norms = torch.stack([gradient.flatten(1).norm(dim=1) for gradient in gradients]).norm(dim=0)
        factors = (norm / (norms + 1e-6)).clamp(max=1)
        for gradient in gradients:
            gradient.mul_(factors.view(-1, *(1,) * (gradient.ndim - 1)))

    def state(self) -> dict[str, Tensor]:
        """See `Part`."""
        return {**self.weights, **self._buffers}

    @torch.no_grad()
    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """See `Part`."""
        for name, value in self.state().items():
            value.copy_(state[name])

    @torch.no_grad()
    def write_back(self) -> None:
        """See `Part`."""
        for number, training in enumerate(self._trainings):
            own = {name: value[number] for name, value in self.state().items()}
            _Objective(training).load_state_dict(own)


class _Objective(nn.Module):
    """The loss terms of a training as a module that owns all its weights, so that these can be exchanged."""

    def __init__(self, training: Training) -> None:
        super().__init__()
        self.network = training.network
        self._loss_terms = training.loss_terms

    def forward(self, *drawn: Tensor) -> dict[str, Tensor]:
        return dict(self._loss_terms(*drawn))
