"""What surrounds a fit and is no part of a method: where it runs, its checkpoint, who watches, whether it shall stop.

Whoever calls `fit` gives it. A plain `Session()` fits on the CPU in float32 and leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from hashbench.types import Array


class Checkpoint(Protocol):
    """Where the state of an unfinished fit is kept."""

    def read(self) -> tuple[Mapping[str, Array], Mapping[str, Any]] | None:
        """The arrays and the JSON values of the last `write`; None where there is none of the same fit."""

    def write(self, arrays: Mapping[str, Array], about: Mapping[str, Any]) -> None:
        """Replace the checkpoint, atomically."""


@dataclass(frozen=True)
class Session:
    """How fits run.

    `device`: a torch device; `precision`: `bf16` computes the loss under autocast, weights stay float32; `checkpoint`
    is written every `seconds_between_checkpoints` and when `stopping()` says so; `watch(description, step, terms)`
    gets the terms of the loss of every step.
    """

    device: str = "cpu"
    precision: Literal["fp32", "bf16"] = "fp32"
    checkpoint: Checkpoint | None = None
    seconds_between_checkpoints: float = 30.0
    watch: Callable[[str, int, Mapping[str, float]], None] | None = None
    stopping: Callable[[], bool] = lambda: False


class Stopped(KeyboardInterrupt):
    """A fit ended early because its session asked for it; its checkpoint is written."""
