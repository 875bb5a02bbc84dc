"""Extraction of features, block by block, in an order and with results that do not depend on who does it.

Batches are shared out to threads that each read, decode, resize and run the network on their own, one core apiece. On
a CPU that beats giving all cores to one batch at a time, and no thread waits for the slowest at every layer. Every
batch has one fixed size, the last one filled up, so an image's feature is the same bits whatever is extracted with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hashbench.errors import HashbenchError
from hashbench.features.backbones import Backbone, Description, prepare_view
from hashbench.features.resample import Images
from hashbench.features.specs import Augmentation
from hashbench.progress import track
from hashbench.types import Array

BLOCK = 512
# On a CPU the activations of 16 images still fit the caches; a GPU wants to be kept busy.
_BATCH = {"cpu": 16, "cuda": 256}

Reader = Callable[[Array], Images]
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Block(NamedTuple):
    """Features of the positions start..stop-1, by the name that `ItemView` and `TrainView` give them."""

    start: int
    stop: int
    arrays: dict[str, Array]


def feature_shapes(backbone: Backbone) -> dict[str, tuple[int, ...]]:
    """The shape of one image's `pooled`, `token_mean`, `views` and `view_tokens`."""
    size = backbone.spec.size
    with torch.inference_mode():
        pooled, tokens = backbone(torch.zeros(1, 3, size, size, device=backbone.device))
    width, (patches, token_width) = pooled.shape[1], tokens.shape[1:]
    return {"pooled": (width,), "token_mean": (token_width,), "views": (width,), "view_tokens": (patches, token_width)}


def extract(backbone: Backbone, read: Reader, rows: Array, start: int = 0) -> Iterator[Block]:
    """Features of `rows` (m,), from position `start` on: `pooled` float32 (n, d), `token_mean` float32 (n, d_t).

    `read(rows)` gives uint8 (n, h, w, 3) or n arrays (h, w, 3) of different sizes; several threads call it at a time.
    Raises HashbenchError where a feature is not finite.
    """

    def arrays(positions: range) -> dict[str, Array]:
        chosen = rows[positions.start : positions.stop]
        pooled, tokens = _describe(backbone, backbone.prepare(read(chosen)))
        return _checked(backbone, chosen, pooled=pooled.cpu().numpy(), token_mean=tokens.mean(dim=1).cpu().numpy())

    return _blocks(backbone, arrays, len(rows), start, "features")


def extract_views(
    backbone: Backbone, read: Reader, rows: Array, recipe: Augmentation, n_views: int, seed: int, start: int = 0
) -> Iterator[Block]:
    """Features of views 0..n_views-1 of `rows` (m,), from position `start` on: `views` float32 (n, d) and
    `view_tokens` float16 (n, p, d_t).

    Position j * m + i is view j of rows[i], so n_views * m positions reshape to (n_views, m, ...). `read` as for
    `extract`; the same seed and row give the same view at any time. Raises HashbenchError where a feature is not
    finite.
    """

    def arrays(positions: range) -> dict[str, Array]:
        views, places = np.divmod(np.array(positions), len(rows))
        chosen = rows[places]
        pictures = prepare_view(read(chosen), chosen, views, backbone.spec, recipe, seed, backbone.device)
        pooled, tokens = _describe(backbone, pictures)
        return _checked(backbone, chosen, views=pooled.cpu().numpy(), view_tokens=tokens.half().cpu().numpy())

    return _blocks(backbone, arrays, n_views * len(rows), start, "augmented views")


def _describe(backbone: Backbone, pictures: Tensor) -> Description:
    n = len(pictures)
    missing = _BATCH[pictures.device.type] - n
    pooled, tokens = backbone(F.pad(pictures, (0, 0, 0, 0, 0, 0, 0, missing)))
    return Description(pooled[:n], tokens[:n])


def _checked(backbone: Backbone, rows: Array, **arrays: Array) -> dict[str, Array]:
    for name, array in arrays.items():
        finite = np.isfinite(array).reshape(len(rows), -1).all(axis=1)
        if not finite.all():
            raise HashbenchError(
                f"{backbone.spec.title}: {name} of row {rows[~finite][0]} is not finite in "
                f"{backbone.spec.precision}; look at the image, or set precision: fp32 in params.yaml"
            )
    return arrays


def _blocks(
    backbone: Backbone, arrays: Callable[[range], dict[str, Array]], n: int, start: int, what: str
) -> Iterator[Block]:
    """Work through positions start..n-1 in batches, and join batches into blocks that end at multiples of BLOCK."""

    @torch.inference_mode()
    def work(positions: range) -> tuple[range, dict[str, Array]]:
        return positions, arrays(positions)

    batches = list(_batches(start, n, _BATCH[backbone.device.type]))
    finished = _in_parallel(work, batches)
    parts: list[dict[str, Array]] = []
    for positions, part in track(finished, f"{backbone.spec.title}: {what}", total=len(batches)):
        parts.append(part)
        if positions.stop % BLOCK == 0 or positions.stop == n:
            joined = {name: np.concatenate([part[name] for part in parts]) for name in part}
            yield Block(positions.stop - len(next(iter(joined.values()))), positions.stop, joined)
            parts = []


def _batches(start: int, n: int, size: int) -> Iterator[range]:
    while start < n:
        stop = min(start + size, (start // BLOCK + 1) * BLOCK, n)
        yield range(start, stop)
        start = stop


def _in_parallel(work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """The results of `work`, in the order of `items`, by as many threads as torch has, a few items ahead."""
    threads = torch.get_num_threads()
    waiting: deque[Future[_Result]] = deque()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        torch.set_num_threads(threads)
