"""What the report is made from: run records and the few small arrays that go with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypedDict

from hashbench.errors import HashbenchError
from hashbench.report.published import Published
from hashbench.report.results import CellKey
from hashbench.types import Array, RunRecord


class PaperFields(TypedDict):
    """The fields of a method's paper; `key` is its BibTeX key, `authors` are joined by 'and'."""

    key: str
    authors: str
    title: str
    venue: str
    year: int
    url: str


@dataclass(frozen=True)
class Gallery:
    """What one method retrieves first for q queries of one data set.

    `query_images` uint8 (q, h, w, 3), `query_labels` their classes in words (q,); for each query its first r database
    items in rank order: `images` uint8 (q, r, h, w, 3), `distances` int (q, r), `relevant` bool (q, r).
    """

    dataset: str
    backbone: str
    method: str
    bits: int
    query_images: Array
    query_labels: tuple[str, ...]
    images: Array
    distances: Array
    relevant: Array

    def __post_init__(self) -> None:
        q, r = self.relevant.shape
        if self.images.shape[:2] != (q, r) or self.distances.shape != (q, r) or len(self.query_labels) != q:
            raise HashbenchError(
                f"gallery of {self.method} on {self.dataset}: the arrays disagree about {q} x {r} items"
            )
        if self.query_images.dtype != "uint8" or self.images.dtype != "uint8":
            raise HashbenchError(f"gallery of {self.method} on {self.dataset}: images must be uint8")


@dataclass(frozen=True)
class PerClass:
    """The classes of a data set's queries: `names` (c,), `labels` bool (n_q, c) in the order of the AP arrays."""

    dataset: str
    names: tuple[str, ...]
    labels: Array


@dataclass(frozen=True)
class Ablation:
    """Variants of the method `base` that change one thing each, and other methods, the `controls`, that it must beat
    to be worth its parts; all are methods of the records."""

    base: str
    variants: tuple[str, ...]
    controls: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contest:
    """The claim that each of the `winners` beats each of the `losers` on every data set at every code length."""

    winners: tuple[str, ...]
    losers: tuple[str, ...]


@dataclass(frozen=True)
class ReportBundle:
    """Everything that a report is made from.

    `records`: all runs of one profile, in any order. `ap`: per-query average precision of each run, float64 (n_q,),
    NaN where nothing is relevant. `methods`, `datasets`: the rows and columns of the tables, in order; records of
    other methods serve the ablations only. `highlighted`: the methods under study, drawn in front. `papers`: by
    method. `paired_pvalue(a, b)`: the p-value of 'a and b have the same mean' for two vectors paired by query.
    `correlations`: bit correlation matrices, float (b, b), of some runs. `command`: what makes this report again.
    """

    profile: str
    version: str
    command: str
    records: tuple[RunRecord, ...]
    ap: Mapping[CellKey, Array]
    methods: tuple[str, ...]
    datasets: tuple[str, ...]
    highlighted: tuple[str, ...]
    papers: Mapping[str, PaperFields]
    paired_pvalue: Callable[[Array, Array], float]
    published: tuple[Published, ...] = ()
    ablations: tuple[Ablation, ...] = ()
    correlations: Mapping[CellKey, Array] = field(default_factory=dict)
    galleries: tuple[Gallery, ...] = ()
    per_class: tuple[PerClass, ...] = ()
    contests: tuple[Contest, ...] = ()
