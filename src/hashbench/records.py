"""What is kept of a run: validated JSON values, content only. Titles, sources and notes are joined by the report."""

from __future__ import annotations

from typing import Literal

from hashbench.cells import Cell as Cell
from hashbench.cells import FitRecord as FitRecord
from hashbench.cells import Frozen
from hashbench.cells import Value as Value


class AsymmetricSummary(Frozen):
    """The numbers of `evaluate_asymmetric`, by the rules and at the ranks of the summary that holds them."""

    map: float
    map_optimistic: float
    map_pessimistic: float
    map_ci95: tuple[float, float]
    ndcg: float
    precision_at: list[float]
    recall_at: list[float]


class EvaluationSummary(Frozen):
    """Every number that follows from codes and labels; docs/evaluation.md defines them.

    `ranks`, `precision_at`, `recall_at`: expectations at these ranks; `radius_*`: one value for each Hamming radius
    0..b; `measures`: those of `evaluation.metrics.MEASURES`, by name; `*_histogram`: pairs at each distance;
    `bit_balance`, `bit_entropy`: one value a bit; `bit_correlation`: mean absolute correlation of two different bits;
    `map_ci95`: interval over resampled queries. `asymmetric`: the numbers of another ranking, by real-valued queries,
    where the method gives their logits.
    """

    k: int | None
    denominator: str
    empty: Literal["zero", "nan"]
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
    measures: dict[str, float]
    relevant_histogram: list[int]
    other_histogram: list[int]
    bit_balance: list[float]
    bit_entropy: list[float]
    bit_correlation: float
    distinct_codes: int
    largest_bucket: int
    asymmetric: AsymmetricSummary | None = None


class EvaluatedCell(Frozen):
    """What every record of a cell says: where it stands, on which split, and what its codes give.

    `split` names the protocol; `codes` is the digest of the codes, and `evaluator` that of the source files that
    computed the evaluation.
    """

    profile: str
    dataset: str
    backbone: str
    method: str
    bits: int
    seed: int
    split: str
    split_digest: str
    n_query: int
    n_database: int
    n_train: int
    codes: str
    evaluator: str
    evaluation: EvaluationSummary

    @property
    def cell(self) -> Cell:
        """The run's coordinates."""
        return Cell(self.dataset, self.backbone, self.method, self.bits, self.seed)


class RunRecord(EvaluatedCell):
    """A cell that was fitted here: what was run on what, and what came out.

    `fingerprint`: the digest of all that decides the codes; `logits`: of the real values behind the queries' bits,
    where the method gives them.
    """

    fingerprint: str
    logits: str | None = None
    made_by: Literal["reproduced"] = "reproduced"
    fit: FitRecord


class SubmittedRecord(EvaluatedCell):
    """A cell of codes that others made: they were evaluated here, and how they were made is not known."""

    made_by: Literal["submitted"] = "submitted"


class CellSeconds(Frozen):
    """Wall-clock seconds of one cell, NaN where nobody measured them; they live in the cost files alone."""

    fit: float
    encode: float
    evaluate: float
