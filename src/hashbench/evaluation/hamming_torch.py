"""The same counts as `hamming.count`, on a GPU (or any torch device): matrix products instead of population counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hashbench.evaluation.packing import PackedItems
from hashbench.types import Array

if TYPE_CHECKING:
    import torch

_PAIRS_AT_A_TIME = 1 << 24
_QUERIES_AT_A_TIME = 1024


def count(query: PackedItems, database: PackedItems, n_bits: int, device: str) -> Array:
    """Pairs at each distance: int64 (n_q, b + 1, 2), last axis (not relevant, relevant).

    Exactly those of `hamming.count`: products of -1 and +1 (and of 0 and 1 for labels) sum to integers that float32,
    and TF32 with its float32 sums, hold exactly. Memory: the packed items, the counts, and a block of 2^24 pairs.
    """
    import torch

    tensors = [torch.from_numpy(array.view(np.uint8)).to(device)
               for array in (query.codes, query.labels, database.codes, database.labels)]  # fmt: skip
    query_codes, query_labels, codes, labels = tensors
    counts = torch.zeros((len(query), 2 * (n_bits + 1)), dtype=torch.int64, device=device)
    columns = max(1, _PAIRS_AT_A_TIME // min(len(query), _QUERIES_AT_A_TIME))
    for start in range(0, len(database), columns):
        block = slice(start, start + columns)
        signs, classes = 2 * _bits(codes[block]) - 1, _bits(labels[block])
        for first in range(0, len(query), _QUERIES_AT_A_TIME):
            part = slice(first, first + _QUERIES_AT_A_TIME)
            # Bits beyond the last are equal everywhere, so that the padded length cancels out of the distance.
            keys = signs.shape[1] - (2 * _bits(query_codes[part]) - 1) @ signs.T  # 2 * distance
            keys += (_bits(query_labels[part]) @ classes.T) > 0
            ones = torch.ones((), dtype=torch.int64, device=device).expand(keys.shape)
            counts[part].scatter_add_(1, keys.long(), ones)
    return counts.reshape(len(query), n_bits + 1, 2).cpu().numpy()


def _bits(packed: torch.Tensor) -> torch.Tensor:
    """float32 0 and 1 (n, 8 w) of bytes uint8 (n, w)."""
    import torch

    places = torch.arange(8, dtype=torch.uint8, device=packed.device)
    return ((packed[:, :, None] >> places) & 1).reshape(len(packed), -1).to(torch.float32)
