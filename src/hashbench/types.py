"""The types that every part of hashbench shares: frozen, validated on construction, no I/O.

Letters used in shapes: n images, n_tr train rows, n_q queries, n_db database rows, d features, p patches,
v augmented views, c classes, b bits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from hashbench.errors import HashbenchError

Array = npt.NDArray[Any]


def _freeze(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True)
class Split:
    """Which rows of a data set are queries, database and train rows, and what every row shows.

    `query` (n_q,), `database` (n_db,), `train` (n_tr,): int64 row numbers, each without repeats, in seeded shuffled
    order, so that a position never encodes a label. Query and database are disjoint, as are query and train.
    `labels`: bool (n, c); a single-label data set is one-hot, so relevance is always 'shares a label'.

    Raises HashbenchError where one of these does not hold.
    """

    name: str
    query: Array
    database: Array
    train: Array
    labels: Array

    def __post_init__(self) -> None:
        if self.labels.ndim != 2 or self.labels.dtype != np.bool_:
            raise HashbenchError(
                f"split {self.name}: labels must be bool (n, classes), got {self.labels.dtype} {self.labels.shape}"
            )
        for part in ("query", "database", "train"):
            rows = getattr(self, part)
            if rows.ndim != 1 or rows.dtype != np.int64 or len(rows) == 0:
                raise HashbenchError(f"split {self.name}: {part} must be a non-empty int64 vector of row numbers")
            if rows.min() < 0 or rows.max() >= len(self.labels):
                raise HashbenchError(
                    f"split {self.name}: {part} names rows outside the {len(self.labels)} of the data set"
                )
            if len(np.unique(rows)) != len(rows):
                raise HashbenchError(f"split {self.name}: {part} names a row twice")
            object.__setattr__(self, part, _freeze(rows))
        object.__setattr__(self, "labels", _freeze(self.labels))
        for part in ("database", "train"):
            shared = np.intersect1d(self.query, getattr(self, part)).size
            if shared:
                raise HashbenchError(f"split {self.name}: {shared} rows are both query and {part}")

    @cached_property
    def digest(self) -> str:
        """First 12 hex digits of the sha256 over rows and labels: two splits are equal exactly if theirs are."""
        sha = hashlib.sha256()
        for array in (self.query, self.database, self.train, self.labels):
            sha.update(str(array.shape).encode())
            sha.update(np.ascontiguousarray(array).tobytes())
        return sha.hexdigest()[:12]


@runtime_checkable
class TrainableBackbone(Protocol):
    """A run's backbone as a method may fine-tune it: a fresh copy of the network and its training augmentation."""

    @property
    def learning_rate(self) -> float:
        """That of the backbone, whatever the rest of the method learns at."""

    def build(self) -> Any:
        """A new torch module with the run's weights: images float32 (m, 3, s, s) -> pooled (m, d), tokens (m, p, d_t).

        Weights that the run does not train need no gradient.
        """

    def augment(self, images: Array, rows: Array, view: int) -> Any:
        """View number `view` of uint8 images (m, h, w, 3) whose row numbers are `rows`: float32 (m, 3, s, s).

        The same (row, view) gives the same pixels; draw a fresh view by a fresh number.
        """

    def prepare(self, images: Array) -> Any:
        """The same images without augmentation, as the network expects them: float32 (m, 3, s, s)."""


@dataclass(frozen=True)
class ItemView:
    """Rows of one data set as a method may see them. Arrays may be memory-mapped; all are read-only.

    `rows` int64 (m,); `pooled` float32 (m, d); `token_mean` float32 (m, d_t), the mean of the patch tokens (the same
    array as `pooled` where the backbone pools by averaging); `images` uint8 (m, h, w, 3); `backbone`: given where the
    run trains a copy of it for each method; `clip_pooled` float32 (m, e): embeddings of the images by a vision-language
    model, in the space where it embeds texts too. `embedded_by`: for each `clip_` field, the model and the digest of
    its weights. What a run does not provide is None. There is no label field: methods are blind to labels by type.
    """

    rows: Array
    pooled: Array | None = None
    token_mean: Array | None = None
    images: Array | None = None
    backbone: TrainableBackbone | None = None
    clip_pooled: Array | None = None
    embedded_by: Mapping[str, str] = field(default_factory=dict)
    _provides: ClassVar[tuple[str, ...]] = ("pooled", "token_mean", "images", "backbone", "clip_pooled")

    def __post_init__(self) -> None:
        for name in ("rows", *self._provides):
            array = getattr(self, name)
            if isinstance(array, np.ndarray):
                object.__setattr__(self, name, _freeze(array))
        for name in ("pooled", "token_mean", "images", "clip_pooled"):
            array = getattr(self, name)
            if array is not None and len(array) != len(self.rows):
                raise HashbenchError(f"{name} has {len(array)} rows where {len(self.rows)} were named")

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def provides(self) -> frozenset[str]:
        """The names of what this view can give, to compare with a method's `needs`."""
        return frozenset(name for name in self._provides if getattr(self, name) is not None)


@dataclass(frozen=True)
class TrainView(ItemView):
    """An `ItemView` of the train rows, plus augmented views of them.

    `views` float32 (v, m, d): pooled features of v augmented views of every train image; `view_tokens` float16 or
    float32 (v, m, p, d_t): their patch tokens. Of a vision-language model: `clip_views` float32 (v, m, e) embeds the
    same views, `clip_concepts` (c, e) prompts that name one concept each, `clip_nouns` (w, e) generic nouns.
    """

    views: Array | None = None
    view_tokens: Array | None = None
    clip_views: Array | None = None
    clip_concepts: Array | None = None
    clip_nouns: Array | None = None
    _provides: ClassVar[tuple[str, ...]] = (
        *ItemView._provides,
        *("views", "view_tokens", "clip_views", "clip_concepts", "clip_nouns"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("views", "view_tokens", "clip_views"):
            array = getattr(self, name)
            if array is not None and array.shape[1] != len(self.rows):
                raise HashbenchError(f"{name} has {array.shape[1]} rows where {len(self.rows)} were named")


@dataclass(frozen=True)
class Codes:
    """Binary codes, packed eight bits a byte, first bit highest; a last partial byte is filled with zeros.

    `packed` uint8 (m, ceil(b / 8)), `n_bits` = b in [1, 1024], `rows` int64 (m,). `logits` float32 (m, b), where a
    method gives them: the real values of which the bits are the signs. Built by `Codes.pack`.
    """

    packed: Array
    n_bits: int
    rows: Array
    logits: Array | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.n_bits <= 1024:
            raise HashbenchError(f"codes must have 1 to 1024 bits, got {self.n_bits}")
        if self.packed.dtype != np.uint8 or self.packed.shape != (len(self.rows), -(-self.n_bits // 8)):
            raise HashbenchError(
                f"packed codes of {len(self.rows)} items and {self.n_bits} bits must be uint8 "
                f"({len(self.rows)}, {-(-self.n_bits // 8)}), got {self.packed.dtype} {self.packed.shape}"
            )
        object.__setattr__(self, "packed", _freeze(self.packed))
        object.__setattr__(self, "rows", _freeze(self.rows))
        if self.logits is not None:
            self._check_logits(self.logits)
            object.__setattr__(self, "logits", _freeze(self.logits))

    def _check_logits(self, logits: Array) -> None:
        wanted = (len(self.rows), self.n_bits)
        if logits.dtype != np.float32 or logits.shape != wanted or not np.isfinite(logits).all():
            raise HashbenchError(f"logits must be finite float32 {wanted}, got {logits.dtype} {logits.shape}")
        # Either bit may go with 0: a method may compute in float64 what rounds to it.
        if (np.where(self.unpack(), logits, -logits) < 0).any():
            raise HashbenchError("logits contradict the bits: a bit is 1 where its logit is above 0, 0 where below")

    @classmethod
    def pack(cls, bits: Array, rows: Array | None = None, logits: Array | None = None) -> Codes:
        """Pack bool bits (m, b); `rows` defaults to 0..m-1.

        >>> Codes.pack(np.array([[True, False, True]])).packed
        array([[160]], dtype=uint8)
        """
        if bits.ndim != 2 or bits.dtype != np.bool_:
            raise HashbenchError(f"bits must be bool (items, bits), got {bits.dtype} {bits.shape}")
        rows = np.arange(len(bits), dtype=np.int64) if rows is None else rows
        return cls(np.packbits(bits, axis=1), bits.shape[1], rows, logits)

    def unpack(self) -> Array:
        """The bits, bool (m, b)."""
        return np.unpackbits(self.packed, axis=1, count=self.n_bits).astype(np.bool_)

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Paper:
    """Where a method comes from: what `hashbench cite` prints. `key` is the BibTeX key; `url` is where to read it."""

    key: str
    authors: str
    title: str
    venue: str
    year: int
    url: str


@dataclass(frozen=True)
class FitLog:
    """What a fit reports of itself: one list per named curve (one value an epoch or iteration), and remarks."""

    curves: Mapping[str, list[float]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
