"""What the report is made from: run records, what is said of methods and data sets, and a few small arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field

from hashbench.errors import HashbenchError
from hashbench.records import Cell, CellSeconds, RunRecord, SubmittedRecord, Value
from hashbench.report.published import Published
from hashbench.types import Array, Paper


@dataclass(frozen=True)
class HyperparameterNote:
    """A hyperparameter as params.yaml states it: its value, where that comes from, and a note; a length of training is
    cut to `most_steps`, where that is not None. The report shows the value that the runs had."""

    name: str
    value: Value
    source: str
    note: str = ""
    most_steps: int | None = None


@dataclass(frozen=True)
class MethodCard:
    """What the report says of a method beside its numbers.

    `under_study`: drawn and named in front of the others. `external_text`: what texts the method is told, which others
    are not, so that its rows stand apart and are never ranked with theirs; empty where it is told none.
    """

    title: str
    paper: Paper | None = None
    deviations: tuple[str, ...] = ()
    hyperparameters: tuple[HyperparameterNote, ...] = ()
    under_study: bool = False
    external_text: str = ""


@dataclass(frozen=True)
class Gallery:
    """What one method retrieves first for q queries of one data set.

    `query_images` uint8 (q, h, w, 3), `query_labels` their classes in words (q,); for each query its first r database
    items in rank order: `images` uint8 (q, r, h, w, 3), `distances` int (q, r), `relevant` bool (q, r).
    Raises HashbenchError where the arrays disagree.
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
class Variant:
    """A method that changes one thing of another, `against` which it is compared; `label`: what its row is called."""

    method: str
    label: str
    against: str


@dataclass(frozen=True)
class Ablation:
    """The method `base` and its `variants`; all are methods of the bundle."""

    base: str
    variants: tuple[Variant, ...]


@dataclass(frozen=True)
class Submission:
    """A method whose codes others submitted: its name in print, where it was published, and its runs."""

    method: str
    title: str
    paper: str
    runs: tuple[SubmittedRecord, ...]


@dataclass(frozen=True)
class ReportBundle:
    """Everything that a report is made from.

    `records`: runs of one profile, in any order. `ap`: per-query average precision of each run, float64 (n_q,), NaN
    where nothing is relevant. `methods`: a card for every method of the records, in the order of the rows.
    `dataset_titles`: the data sets in the order of the columns; `backbone_titles`: the backbones' names in print.
    `tied(ap)`: of methods with their AP by repetition and query, (s, n_q), those that tie with the best.
    `rank_groups(ap)`: the group of each, from 1, the first of which ties with the best; without it their figure is left
    out. `compared(ap, method)`: the p-value of each other one's being as good as `method`, corrected for their number.
    `command`: what makes this report again. `seconds` of each run, in the cost files alone. `controls`: the
    methods that one under study must beat to be worth its parts; `references`: what every method is compared with
    beside them. `correlations`: bit correlation matrices, float
    (b, b), of some runs. `left_out`: methods without runs on some backbones, with these and a sentence that says why.
    `submissions`: what others made, shown below the `records`.
    """

    profile: str
    version: str
    command: str
    records: tuple[RunRecord, ...]
    ap: Mapping[Cell, Array]
    methods: Mapping[str, MethodCard]
    dataset_titles: Mapping[str, str]
    backbone_titles: Mapping[str, str]
    tied: Callable[[Mapping[str, Array]], Set[str]]
    compared: Callable[[Mapping[str, Array], str], Mapping[str, float]]
    rank_groups: Callable[[Mapping[str, Array]], Mapping[str, int]] | None = None
    seconds: Mapping[Cell, CellSeconds] = field(default_factory=dict)
    controls: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()
    ablations: tuple[Ablation, ...] = ()
    correlations: Mapping[Cell, Array] = field(default_factory=dict)
    galleries: tuple[Gallery, ...] = ()
    per_class: tuple[PerClass, ...] = ()
    left_out: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    submissions: tuple[Submission, ...] = ()
