"""The one training loop of every gradient-trained method.

A method says what is trained (`Training`) and how (`Recipe`); the loop owns optimiser, schedule, order of the batches,
checkpoints and stopping. Equal methods of several code lengths and seeds can be trained side by side.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from hashbench.errors import HashbenchError
from hashbench.learning.session import Session, Stopped
from hashbench.learning.stacked import Alone, Part, Stacked
from hashbench.progress import track
from hashbench.types import FitLog


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    `optimizer`: adam, adamw or sgd, with `momentum` for sgd, `epsilon` for the others. The learning rate of an epoch
    is `learning_rate` times: 1 (`constant`), half a cosine from 1 to 0 (`cosine`), or `decay` to the power of how many
    times `decay_epochs` have passed (`step`). `clip_norm` bounds the norm of the gradient. An epoch's incomplete last
    batch is left out, unless it is the only one or `keeps_last_batch`.
    """

    optimizer: Literal["adam", "adamw", "sgd"]
    learning_rate: float
    batch_size: int
    epochs: int
    schedule: Literal["constant", "cosine", "step"] = "constant"
    decay: float = 0.1
    decay_epochs: int = 1
    momentum: float = 0.0
    weight_decay: float = 0.0
    epsilon: float = 1e-8
    clip_norm: float | None = None
    keeps_last_batch: bool = False

    def batches(self, n_items: int) -> int:
        """How many batches an epoch of `n_items` has."""
        size = min(self.batch_size, n_items)
        return -(-n_items // size) if self.keeps_last_batch else n_items // size

    def rate(self, epoch: int) -> float:
        """The learning rate of epoch 0, 1, ..."""
        factors = {
            "constant": 1.0,
            "cosine": (1 + math.cos(math.pi * epoch / self.epochs)) / 2,
            "step": self.decay ** (epoch // max(1, self.decay_epochs)),
        }
        return self.learning_rate * factors[self.schedule]

    def make_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """The optimiser of parameter groups, in the one-kernel form that PyTorch has for it."""
        if self.optimizer == "sgd":
            return torch.optim.SGD(
                groups, self.learning_rate, self.momentum, weight_decay=self.weight_decay, fused=True
            )
        make = torch.optim.AdamW if self.optimizer == "adamw" else torch.optim.Adam
        return make(groups, self.learning_rate, eps=self.epsilon, weight_decay=self.weight_decay, fused=True)


@dataclass(frozen=True)
class Training:
    """What is trained.

    `network` holds every weight to train. `draw(batch)` gives, for an int64 tensor of positions in 0..n_items-1, the
    tensors that a step needs, and makes every random draw, from `generator`; `loss_terms(*drawn)` computes the terms
    whose sum descends, and draws nothing. `rate_of(name)` is a factor on the learning rate of a weight.
    `before_epoch()` runs before each epoch, while `network` holds the weights of that moment; what it changes in the
    network's buffers holds from then on.
    """

    network: nn.Module
    draw: Callable[[Tensor], tuple[Tensor, ...]]
    loss_terms: Callable[..., Mapping[str, Tensor]]
    n_items: int
    recipe: Recipe
    generator: torch.Generator
    description: str
    rate_of: Callable[[str], float] = lambda name: 1.0
    before_epoch: Callable[[], None] | None = None
    remarks: tuple[str, ...] = ()


def minimise(trainings: Sequence[Training], session: Session, earlier: Sequence[Sequence[FitLog]] = ()) -> list[FitLog]:
    """Descend the loss of each training over its recipe's epochs of shuffled batches, all of them step by step.

    The trainings are of one method and one recipe. Each term's mean over an epoch's batches becomes a curve. `earlier`
    is what earlier calls of the same fits returned: a checkpoint tells by their number which call it was written in.

    Raises HashbenchError at the first loss that is not finite, naming epoch, batch and terms, and `Stopped` where the
    session asks for it.
    """
    recipe = trainings[0].recipe
    for training in trainings:
        training.network.to(session.device)
    parts = _parts(trainings)
    loop = _Loop(session, trainings, parts, recipe, [[dict(log.curves) for log in logs] for logs in earlier])
    if not loop.resume():
        for epoch in track(range(loop.epoch, recipe.epochs), trainings[0].description):
            loop.run_epoch(epoch)
        loop.save(finished=True)
    for part in parts:
        part.write_back()
    return [FitLog(curves, training.remarks) for training, curves in zip(trainings, loop.curves, strict=True)]


def _parts(trainings: Sequence[Training]) -> list[Part]:
    """Trainings whose weights have the same shapes are stacked; a training of its own shape goes alone."""
    alike: dict[Any, list[int]] = {}
    for place, training in enumerate(trainings):
        shapes = tuple(weight.shape for weight in training.network.parameters())
        alike.setdefault(shapes, []).append(place)
    parts: list[Part] = []
    for places in alike.values():
        members = [trainings[place] for place in places]
        parts.append(Alone(members[0], places[0]) if len(places) == 1 else Stacked(members, places))
    return parts


@dataclass
class _Loop:
    """The state of a `minimise`: all that a checkpoint holds."""

    session: Session
    trainings: Sequence[Training]
    parts: list[Part]
    recipe: Recipe
    earlier: list[list[dict[str, Sequence[float]]]]
    epoch: int = 0
    batch: int = 0
    orders: list[Tensor] = field(default_factory=list)
    sums: list[dict[str, Tensor]] = field(default_factory=list)
    curves: list[dict[str, list[float]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.curves = [{} for _ in self.trainings]
        rate_of = self.trainings[0].rate_of
        weights = [item for part in self.parts for item in part.weights.items()]
        groups = [{"params": [weight], "factor": rate_of(name)} for name, weight in weights]
        self.optimizer = self.recipe.make_optimizer(groups)
        self._saved_at = time.monotonic()

    def run_epoch(self, epoch: int) -> None:
        """Go through the batches of an epoch that are left."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate(epoch) * group["factor"]
        if not self.orders:
            for part in self.parts:
                part.begin_epoch()
            self.orders = [torch.randperm(t.n_items, generator=t.generator) for t in self.trainings]
            self.sums = [{} for _ in self.trainings]
        n_items = self.trainings[0].n_items
        size = min(self.recipe.batch_size, n_items)
        n_batches = self.recipe.batches(n_items)
        while self.batch < n_batches:
            self._step([order[self.batch * size : (self.batch + 1) * size] for order in self.orders])
            self.batch += 1
            if self.session.checkpoint is not None:
                self._save_now_and_then()
            if self.session.stopping():
                self.save()
                raise Stopped
        for curves, sums in zip(self.curves, self.sums, strict=True):
            for name, total in sums.items():
                curves.setdefault(name, []).append(float(total) / n_batches)
        self.epoch, self.batch, self.orders = epoch + 1, 0, []

    def _step(self, batches: list[Tensor]) -> None:
        device = torch.device(self.session.device)
        terms: dict[int, Mapping[str, Tensor]] = {}
        for part in self.parts:
            drawn = part.draw(batches)
            with torch.autocast(device.type, torch.bfloat16, enabled=self.session.precision == "bf16"):
                terms |= part.terms(*drawn)
        losses = torch.stack([torch.stack(list(terms[place].values())).sum() for place in range(len(self.trainings))])
        if not torch.isfinite(losses).all():
            self._report_not_finite(losses, terms)
        self.optimizer.zero_grad(set_to_none=True)
        losses.sum().backward()  # type: ignore[no-untyped-call]
        if self.recipe.clip_norm is not None:
            for part in self.parts:
                part.clip(self.recipe.clip_norm)
        self.optimizer.step()
        for place, sums in enumerate(self.sums):
            for name, value in terms[place].items():
                sums[name] = sums[name] + value.detach() if name in sums else value.detach()
            if self.session.watch is not None:
                step = self.epoch * self.recipe.batches(self.trainings[0].n_items) + self.batch
                values = {name: float(value.detach()) for name, value in terms[place].items()}
                self.session.watch(self.trainings[place].description, step, values)

    def _report_not_finite(self, losses: Tensor, terms: Mapping[int, Mapping[str, Tensor]]) -> None:
        place = int((~torch.isfinite(losses)).nonzero()[0])
        values = ", ".join(f"{name} {float(value.detach()):.4g}" for name, value in terms[place].items())
        raise HashbenchError(
            f"{self.trainings[place].description}: the loss is not finite in epoch {self.epoch}, batch {self.batch} "
            f"({values}); lower the learning rate in params.yaml"
        )

    def _save_now_and_then(self) -> None:
        if time.monotonic() - self._saved_at >= self.session.seconds_between_checkpoints:
            self.save()

    def save(self, finished: bool = False) -> None:
        """Write the checkpoint, if the session has one and there is anything to lose."""
        if self.session.checkpoint is None:
            return
        arrays: dict[str, Tensor] = {}
        for number, part in enumerate(self.parts):
            arrays |= {f"weights/{number}/{name}": value for name, value in part.state().items()}
        slots = self.optimizer.state_dict()["state"]
        for number, slot in slots.items():
            arrays |= {f"optimizer/{number}/{name}": value for name, value in slot.items() if value is not None}
        for place, training in enumerate(self.trainings):
            arrays[f"generator/{place}"] = training.generator.get_state()
        for place, order in enumerate(self.orders):
            arrays[f"order/{place}"] = order
            arrays |= {f"sum/{place}/{name}": value for name, value in self.sums[place].items()}
        copies = {name: value.detach().cpu().numpy() for name, value in arrays.items()}
        position = {"epoch": self.epoch, "batch": self.batch, "finished": finished}
        self.session.checkpoint.write(copies, {**position, "curves": self.curves, "earlier": self.earlier})
        self._saved_at = time.monotonic()

    def resume(self) -> bool:
        """Take up the session's checkpoint, if it is of this call or of a later one; whether this call had ended."""
        found = self.session.checkpoint.read() if self.session.checkpoint is not None else None
        phase = len(self.earlier)
        if found is None or len(found[1]["earlier"]) < phase:
            return False
        arrays, said = found
        if len(said["earlier"]) > phase:
            self.curves = said["earlier"][phase]
            return True
        tensors = {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}
        for number, part in enumerate(self.parts):
            part.load_state(_below(tensors, f"weights/{number}/"))
        state = self.optimizer.state_dict()
        state["state"] = {
            number: _below(tensors, f"optimizer/{number}/")
            for number in range(len(state["param_groups"]))
            if _below(tensors, f"optimizer/{number}/")
        }
        self.optimizer.load_state_dict(state)
        for weight, slots in self.optimizer.state.items():
            for name, value in slots.items():
                if value.shape == weight.shape:
                    # Fused kernels go through memory from end to end: what they read lies there as the weight does.
                    slots[name] = torch.empty_like(weight).copy_(value)
        for place, training in enumerate(self.trainings):
            training.generator.set_state(tensors[f"generator/{place}"])
        self.orders = [tensors[f"order/{place}"] for place in range(len(self.trainings)) if f"order/{place}" in tensors]
        self.sums = [
            {name: value.to(self.session.device) for name, value in _below(tensors, f"sum/{place}/").items()}
            for place in range(len(self.trainings))
        ]
        self.epoch, self.batch, self.curves = said["epoch"], said["batch"], said["curves"]
        return bool(said["finished"])


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
