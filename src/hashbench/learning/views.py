"""What a method trains on: stored features of the train images and their views, or fresh pictures for its backbone."""

from __future__ import annotations

from functools import cached_property
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from hashbench.errors import HashbenchError
from hashbench.learning.inputs import features_of
from hashbench.types import Array, TrainableBackbone, TrainView


class Pictures(Tensor):
    """Normalised pictures (n, 3, s, s) that a trained backbone describes before the loss sees them."""


class Images(Protocol):
    """The train images as a training draws them: by the numbers of a batch (n,), each as features or as `Pictures`."""

    def plain(self, batch: Tensor) -> Tensor:
        """The images as they are."""

    def one(self, batch: Tensor, generator: torch.Generator) -> Tensor:
        """A random view of each image."""

    def two(self, batch: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Two different random views of each image."""


def images_of(train: TrainView, device: str, views: Literal["views", "view_tokens"] = "views") -> Images:
    """The train images for a training on `device`: pictures where the run trains the backbone, else stored features."""
    if train.backbone is not None:
        return FreshViews(train, train.backbone)
    return StoredViews(train, views, device)


def train_rows(train: TrainView, name: str, device: str) -> Tensor:
    """The array `name` of all train rows: a float32 tensor on `device`."""
    return _float(features_of(train, name)).to(device)


class StoredViews:
    """Stored views (v, m, ...) of the train rows on `device`. On a CPU only the rows asked for are read from disk."""

    def __init__(self, train: TrainView, name: Literal["views", "view_tokens", "clip_views"], device: str) -> None:
        self._train, self._name, self._device = train, name, torch.device(device)

    @cached_property
    def _plain(self) -> Tensor:
        return train_rows(self._train, "pooled", str(self._device))

    @cached_property
    def _array(self) -> Array:
        return features_of(self._train, self._name)

    @cached_property
    def _resident(self) -> Tensor | None:
        return None if self._device.type == "cpu" else torch.from_numpy(self._array).to(self._device)

    def plain(self, batch: Tensor) -> Tensor:
        """The pooled features of the images of `batch` (n,): float32 (n, d)."""
        return self._plain[batch]

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


class FreshViews:
    """Pictures of the train rows, augmented afresh at every call."""

    def __init__(self, train: TrainView, backbone: TrainableBackbone) -> None:
        self._rows, self._images, self._backbone = train.rows, features_of(train, "images"), backbone

    def plain(self, batch: Tensor) -> Pictures:
        """The images of `batch` (n,) without augmentation."""
        pictures: Tensor = self._backbone.prepare(self._images[batch.numpy()])
        return pictures.as_subclass(Pictures)

    def two(self, batch: Tensor, generator: torch.Generator) -> tuple[Pictures, Pictures]:
        """Two different random views of each image of `batch` (n,)."""
        first, second = (int(number) for number in draw_view_pairs(2**31, 1, generator))
        return self._of(batch, first), self._of(batch, second)

    def one(self, batch: Tensor, generator: torch.Generator) -> Pictures:
        """A random view of each image of `batch` (n,)."""
        return self._of(batch, int(torch.randint(2**31, (), generator=generator)))

    def _of(self, batch: Tensor, view: int) -> Pictures:
        chosen = batch.numpy()
        pictures: Tensor = self._backbone.augment(self._images[chosen], self._rows[chosen], view)
        return pictures.as_subclass(Pictures)


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
