"""The rows and stored views that a method trains on: on its device, or mapped from disk."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hashbench.errors import HashbenchError
from hashbench.learning.inputs import features_of
from hashbench.types import Array, TrainView


def train_rows(train: TrainView, name: str, device: str) -> Tensor:
    """The array `name` of all train rows: a float32 tensor on `device`."""
    return _float(features_of(train, name)).to(device)


class StoredViews:
    """Stored views (v, m, ...) of the train rows on `device`. On a CPU only the rows asked for are read from disk."""

    def __init__(self, train: TrainView, name: str, device: str) -> None:
        self._array = features_of(train, name)
        self._device = torch.device(device)
        self._resident = None if self._device.type == "cpu" else torch.from_numpy(self._array).to(self._device)

    def two(self, batch: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Two different random views of each image of `batch` (n,): float32 (n, ...) each."""
        first, second = draw_view_pairs(len(self._array), len(batch), generator)
        return self._of(first, batch), self._of(second, batch)

    def one(self, batch: Tensor, generator: torch.Generator) -> Tensor:
        """A random view of each image of `batch` (n,): float32 (n, ...)."""
        return self._of(torch.randint(len(self._array), batch.shape, generator=generator), batch)

    def _of(self, views: Tensor, batch: Tensor) -> Tensor:
        if self._resident is not None:
            return self._resident[views.to(self._device), batch.to(self._device)].float()
        return _float(self._array[views.numpy(), batch.numpy()])


def draw_view_pairs(n_views: int, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """For each of n images two different views out of `n_views`, uniformly: int64 (n,), int64 (n,)."""
    if n_views < 2:
        raise HashbenchError(f"contrastive methods need at least 2 views an image, this run has {n_views}")
    first = torch.randint(n_views, (n,), generator=generator)
    step = torch.randint(1, n_views, (n,), generator=generator)
    return first, (first + step) % n_views


def _float(array: Array) -> Tensor:
    # A copy: what is mapped from disk is read-only.
    return torch.from_numpy(np.array(array, dtype=np.float32, order="C"))
