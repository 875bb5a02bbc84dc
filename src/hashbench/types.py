"""The types that every part of hashbench shares: frozen, validated on construction, no I/O.

Letters used in shapes: n images, n_tr train rows, n_q queries, n_db database rows, d features, p patches,
v augmented views, c classes, b bits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

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

    def build(self) -> Any:
        """A new torch module with the run's weights: images float32 (m, 3, s, s) -> patch tokens (m, p, d)."""

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
    array as `pooled` where the backbone pools by averaging); `images` uint8 (m, h, w, 3); `backbone`: given where a
    method may train its own copy. What a run does not provide is None. There is no label field: methods are blind to
    labels by type.
    """

    rows: Array
    pooled: Array | None = None
    token_mean: Array | None = None
    images: Array | None = None
    backbone: TrainableBackbone | None = None
    _provides: ClassVar[tuple[str, ...]] = ("pooled", "token_mean", "images", "backbone")

    def __post_init__(self) -> None:
        for name in ("rows", *self._provides):
            array = getattr(self, name)
            if isinstance(array, np.ndarray):
                object.__setattr__(self, name, _freeze(array))
        for name in ("pooled", "token_mean", "images"):
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
    float32 (v, m, p, d_t): their patch tokens.
    """

    views: Array | None = None
    view_tokens: Array | None = None
    _provides: ClassVar[tuple[str, ...]] = (*ItemView._provides, "views", "view_tokens")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("views", "view_tokens"):
            array = getattr(self, name)
            if array is not None and array.shape[1] != len(self.rows):
                raise HashbenchError(f"{name} has {array.shape[1]} rows where {len(self.rows)} were named")


@dataclass(frozen=True)
class Codes:
    """Binary codes, packed eight bits a byte, first bit highest; a last partial byte is filled with zeros.

    `packed` uint8 (m, ceil(b / 8)), `n_bits` = b in [1, 1024], `rows` int64 (m,). Built by `Codes.pack`.
    """

    packed: Array
    n_bits: int
    rows: Array

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

    @classmethod
    def pack(cls, bits: Array, rows: Array | None = None) -> Codes:
        """Pack bool bits (m, b); `rows` defaults to 0..m-1.

        >>> Codes.pack(np.array([[True, False, True]])).packed
        array([[160]], dtype=uint8)
        """
        if bits.ndim != 2 or bits.dtype != np.bool_:
            raise HashbenchError(f"bits must be bool (items, bits), got {bits.dtype} {bits.shape}")
        rows = np.arange(len(bits), dtype=np.int64) if rows is None else rows
        return cls(np.packbits(bits, axis=1), bits.shape[1], rows)

    def unpack(self) -> Array:
        """The bits, bool (m, b)."""
        return np.unpackbits(self.packed, axis=1, count=self.n_bits).astype(np.bool_)

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class FitLog:
    """What a fit reports of itself: one list per named curve (one value an epoch or iteration), and remarks."""

    curves: Mapping[str, list[float]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class CodeStatistics:
    """How a set of codes uses its bits.

    `balance` (b,): share of ones of each bit; `entropy` (b,): its entropy in bits, in [0, 1]; `correlation` (b, b):
    Pearson correlation of the bits, 0 where a bit is constant; `distinct`: number of different codes;
    `largest_bucket`: how many items share the most common code.
    """

    balance: Array
    entropy: Array
    correlation: Array
    distinct: int
    largest_bucket: int


@dataclass(frozen=True)
class Evaluation:
    """Everything that one pass over the distances between queries and database tells; docs/evaluation.md defines it.

    Per query, float64 (n_q,): `ap` (expectation over random order inside ties, unless `order` says otherwise),
    `ap_optimistic` (relevant items first inside each tie), `ap_pessimistic` (last), `ndcg`; all NaN where the database
    holds nothing relevant (int64 `n_relevant` is 0 there).
    Means over queries: `precision_at`, `recall_at` at each of the int64 `ranks`; `radius_precision`, `radius_recall`
    float64 (b + 1,) within each Hamming radius 0..b; `precision_within_2`, where a query that finds nothing counts 0.
    `found_nothing_within_2`: the share of all queries that find nothing within radius 2.
    `relevant_histogram`, `other_histogram` int64 (b + 1,): pairs at each distance.
    `denominator` is the rule that AP@k follows, `empty` the rule that every mean over queries follows. `order`
    "database" or "argsort" replaces the expectation in `ap`, `ndcg`, `precision_at` and `recall_at`.
    """

    n_bits: int
    k: int | None
    denominator: str
    empty: Literal["zero", "nan"]
    n_relevant: Array
    ap: Array
    ap_optimistic: Array
    ap_pessimistic: Array
    ndcg: Array
    ranks: Array
    precision_at: Array
    recall_at: Array
    radius_precision: Array
    radius_recall: Array
    precision_within_2: float
    found_nothing_within_2: float
    relevant_histogram: Array
    other_histogram: Array
    order: Literal["random", "database", "argsort"] = "random"

    def _mean(self, values: Array) -> float:
        if self.empty == "zero":
            return float(np.nan_to_num(values).mean())
        return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")

    @property
    def map(self) -> float:
        """Mean of `ap`; a query without relevant items counts 0 (`empty` zero) or is left out (nan)."""
        return self._mean(self.ap)

    @property
    def map_optimistic(self) -> float:
        """The mAP of the order that puts relevant items first inside each tie."""
        return self._mean(self.ap_optimistic)

    @property
    def map_pessimistic(self) -> float:
        """The mAP of the order that puts relevant items last inside each tie."""
        return self._mean(self.ap_pessimistic)

    @property
    def mean_ndcg(self) -> float:
        """Mean of `ndcg`, by the same rule for queries without relevant items."""
        return self._mean(self.ndcg)


Source = Literal["paper", "official code", "third-party", "ours"]


class Hyperparameter(BaseModel):
    """A value and where it comes from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: bool | int | float | str | None
    source: Source
    note: str = ""


class Seconds(BaseModel):
    """Wall-clock seconds of one cell."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fit: float
    encode: float
    evaluate: float


class RunRecord(BaseModel):
    """One cell of a table: what was run, how, and what came out. The report reads these and the per-query files.

    `ranks`, `precision_at`, `recall_at`: expectations at these ranks; `radius_*`: one value for each Hamming radius
    0..b; `*_histogram`: pairs at each distance; `bit_balance`, `bit_entropy`: one value a bit; `bit_correlation`: mean
    absolute correlation of two different bits; `seed` is the repetition's number, `derived_seed` what it was turned
    into.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: str
    dataset: str
    dataset_title: str
    split: str
    split_digest: str
    n_query: int
    n_database: int
    n_train: int
    backbone: str
    backbone_title: str
    features_digest: str
    method: str
    method_title: str
    bits: int
    seed: int
    derived_seed: int
    k: int | None
    denominator: str
    empty: str
    ties: Literal["expectation over random order"] = "expectation over random order"
    map: float
    map_optimistic: float
    map_pessimistic: float
    map_ci95: tuple[float, float]
    ndcg: float
    ranks: list[int]
    precision_at: list[float]
    recall_at: list[float]
    radius_precision: list[float]
    radius_recall: list[float]
    precision_within_2: float
    found_nothing_within_2: float
    relevant_histogram: list[int]
    other_histogram: list[int]
    bit_balance: list[float]
    bit_entropy: list[float]
    bit_correlation: float
    distinct_codes: int
    largest_bucket: int
    hyperparameters: dict[str, Hyperparameter]
    deviations: list[str]
    curves: dict[str, list[float]]
    remarks: list[str]
    seconds: Seconds
    codes_sha256: str
    program_digest: str
    versions: dict[str, str]
    device: str
