"""Views with the embeddings of a made-up vision-language model, for tests of the methods that need one."""

from __future__ import annotations

from typing import Any

import numpy as np

from hashbench.types import Array, ItemView, TrainView

MODEL = "made-up CLIP, sha256 0123456789ab"
WIDTH = 24


class JointSpace:
    """A model that embeds rows of eight clusters (n, 40) and the names of clusters near to each other."""

    def __init__(self, centres: Array) -> None:
        rng = np.random.default_rng(5)
        self._map = rng.normal(size=(centres.shape[1], WIDTH))
        self._middle = centres.mean(axis=0)
        names = self.embed(np.maximum(centres, 0)) + 0.05 * rng.normal(size=(len(centres), WIDTH))
        self.concepts = np.concatenate([names, rng.normal(size=(4, WIDTH))]).astype(np.float32)
        self.nouns = rng.normal(size=(60, WIDTH)).astype(np.float32)

    def embed(self, rows: Array) -> Array:
        """Unit embeddings of rows (..., 40): float32 (..., WIDTH)."""
        embedded = (rows - self._middle) @ self._map
        unit: Array = (embedded / np.linalg.norm(embedded, axis=-1, keepdims=True)).astype(np.float32)
        return unit

    def train_view(self, rows: Array, **changes: Any) -> TrainView:
        """All that a run with this model provides of its train rows."""
        shifts = np.random.default_rng(3).normal(size=(2, *rows.shape)) * 0.2
        views = np.maximum(rows + shifts, 0).astype(np.float32)
        embeddings = {
            "clip_pooled": self.embed(rows),
            "clip_views": self.embed(views),
            "clip_concepts": self.concepts,
            "clip_nouns": self.nouns,
        }
        given = {"pooled": rows, "views": views, **embeddings, "embedded_by": dict.fromkeys(embeddings, MODEL)}
        return TrainView(np.arange(len(rows)), **{**given, **changes})

    def item_view(self, rows: Array) -> ItemView:
        """What it provides of other rows."""
        embedded = self.embed(rows)
        return ItemView(np.arange(len(rows)), pooled=rows, clip_pooled=embedded, embedded_by={"clip_pooled": MODEL})
