"""The one training loop of every gradient-trained method, and the drawing of its batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from hashbench.errors import HashbenchError
from hashbench.progress import track
from hashbench.types import Array, FitLog

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler


def minimise(
    loss_terms: Callable[[Tensor], Mapping[str, Tensor]],
    optimizer: Optimizer,
    *,
    n_items: int,
    batch_size: int,
    epochs: int,
    generator: torch.Generator,
    scheduler: LRScheduler | None = None,
    clip_norm: float | None = None,
    description: str = "training",
) -> FitLog:
    """Descend the sum of `loss_terms(batch)` over `epochs` shuffled passes.

    `batch` is an int64 tensor (n,) of positions in 0..n_items-1. An incomplete last batch is left out, unless it is
    the only one. `scheduler` steps once an epoch. Each term's mean over the epoch's batches becomes a curve.

    Raises HashbenchError at the first loss that is not finite, naming epoch, batch and terms.
    """
    size = min(batch_size, n_items)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    curves: dict[str, list[float]] = {}
    for epoch in track(range(epochs), description):
        order = torch.randperm(n_items, generator=generator)
        sums: dict[str, Tensor] = {}
        n_batches = n_items // size
        for number in range(n_batches):
            terms = loss_terms(order[number * size : (number + 1) * size])
            loss = torch.stack(list(terms.values())).sum()
            if not torch.isfinite(loss):
                values = ", ".join(f"{name} {float(value.detach()):.4g}" for name, value in terms.items())
                raise HashbenchError(
                    f"{description}: the loss is not finite in epoch {epoch}, batch {number} ({values}); "
                    "lower the learning rate in params.yaml"
                )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            if clip_norm is not None:
                torch.nn.utils.clip_grad_norm_(parameters, clip_norm)
            optimizer.step()
            for name, value in terms.items():
                sums[name] = sums.get(name, torch.zeros(())) + value.detach().cpu()
        for name, total in sums.items():
            curves.setdefault(name, []).append(float(total) / n_batches)
        if scheduler is not None:
            scheduler.step()
    return FitLog(curves)


def draw_view_pairs(n_views: int, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """For each of n images two different views out of `n_views`, uniformly: int64 (n,), int64 (n,)."""
    if n_views < 2:
        raise HashbenchError(f"contrastive methods need at least 2 views an image, this run has {n_views}")
    first = torch.randint(n_views, (n,), generator=generator)
    step = torch.randint(1, n_views, (n,), generator=generator)
    return first, (first + step) % n_views


def two_views(views: Array, batch: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two different random views of each image of `batch`, as float32 tensors (n, ...).

    `views` (v, m, ...) may be memory-mapped: only the rows asked for are read.
    """
    rows = batch.numpy()
    first, second = (drawn.numpy() for drawn in draw_view_pairs(len(views), len(batch), generator))
    return _float(views[first, rows]), _float(views[second, rows])


def _float(array: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
