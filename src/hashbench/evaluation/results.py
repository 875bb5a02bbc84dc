"""What an evaluation tells, and what statistics of codes do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hashbench.types import Array


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
class Ranked:
    """What rankings of a database tell, query by query; docs/evaluation.md defines it.

    Per query, float64 (n_q,): `ap` (expectation over random order inside ties), `ap_optimistic` (relevant items first
    inside each tie), `ap_pessimistic` (last), `ndcg`; all NaN where the database holds nothing relevant (int64
    `n_relevant` is 0 there). Means over queries: `precision_at`, `recall_at` at each of the int64 `ranks`.
    `denominator` is the rule that AP@k follows, `empty` the rule that every mean over queries follows.
    """

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


@dataclass(frozen=True)
class Evaluation(Ranked):
    """Everything that one pass over the Hamming distances between queries and database tells.

    Beside what `Ranked` has, means over queries: `radius_precision`, `radius_recall` float64 (b + 1,) within each
    Hamming radius 0..b; `measures`, those of `metrics.MEASURES` by name. `relevant_histogram`, `other_histogram` int64
    (b + 1,): pairs at each distance. `order` "database" or "argsort" replaces the expectation in `ap`, `ndcg`,
    `precision_at` and `recall_at`.
    """

    n_bits: int
    radius_precision: Array
    radius_recall: Array
    measures: dict[str, float]
    relevant_histogram: Array
    other_histogram: Array
    order: Literal["random", "database", "argsort"] = "random"
