"""Made-up features of everything that a run can provide."""

from __future__ import annotations

from typing import Any

import numpy as np

from hashbench.types import Array, ItemView, TrainView

N_TRAIN, N_FEATURES, N_TOKEN_FEATURES, N_VIEWS, N_PATCHES = 160, 80, 40, 4, 4
ITEM_FIELDS = ("pooled", "token_mean", "images", "clip_pooled")


def features(n: int, seed: int) -> dict[str, Array]:
    """Everything that a run can provide of n images: five groups, non-negative pooled features as after a ReLU."""
    rng = np.random.default_rng(seed)
    groups = rng.integers(5, size=n)
    centres = np.random.default_rng(99)
    pooled_centres, token_centres = (centres.normal(size=(5, d)) for d in (N_FEATURES, N_TOKEN_FEATURES))

    def draw(spread: float, *shape: int, of: Array) -> Array:
        return (of + rng.normal(size=shape) * spread).astype(np.float32)

    base, token_base = pooled_centres[groups], token_centres[groups]
    pooled = np.maximum(draw(0.7, n, N_FEATURES, of=base) + 0.5, 0)
    tokens = draw(0.7, N_VIEWS, n, N_PATCHES, N_TOKEN_FEATURES, of=token_base[None, :, None])
    return {
        "pooled": pooled,
        "token_mean": draw(0.3, n, N_TOKEN_FEATURES, of=token_base),
        "images": rng.integers(256, size=(n, 8, 8, 3), dtype=np.uint8),
        "views": np.maximum(draw(0.3, N_VIEWS, n, N_FEATURES, of=pooled[None]), 0),
        "view_tokens": tokens.astype(np.float16),
        **joint_embeddings(token_base, centres),
    }


def joint_embeddings(rows: Array, rng: np.random.Generator) -> dict[str, Any]:
    """What a vision-language model says of images, here noisy `rows`, and of the names of some of them."""
    n, width = rows.shape
    shapes = {"clip_pooled": (n, width), "clip_views": (N_VIEWS, n, width)}
    images = {name: (rows + rng.normal(size=shape)).astype(np.float32) for name, shape in shapes.items()}
    texts = rng.normal(size=(12, width)).astype(np.float32)
    embeddings = {**images, "clip_concepts": texts, "clip_nouns": texts[::-1]}
    return {**embeddings, "embedded_by": dict.fromkeys(embeddings, "a made-up model")}


def train_view(n: int = N_TRAIN, seed: int = 0, **changes: Array | None) -> TrainView:
    return TrainView(np.arange(n), **{**features(n, seed), **changes})


def item_view(n: int = 37, seed: int = 1, **changes: Array | None) -> ItemView:
    return ItemView(np.arange(n), **{**{k: v for k, v in features(n, seed).items() if k in ITEM_FIELDS}, **changes})


def rows_of(items: ItemView, rows: Array) -> ItemView:
    return ItemView(items.rows[rows], **{field: getattr(items, field)[rows] for field in ITEM_FIELDS})
