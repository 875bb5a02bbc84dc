"""A small split, and a fitted and evaluated cell of it, to write and read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hashbench.artefacts.layout import Layout
from hashbench.artefacts.records import AP, StoredEvaluation
from hashbench.cells import Cell, FitRecord
from hashbench.evaluation.summary import EvaluationRules, ap_of_queries, evaluate_codes, summarise
from hashbench.fingerprint import digest_of
from hashbench.records import RunRecord
from hashbench.types import Array, Codes, Split

N_BITS = 12


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A profile below a folder of its own."""
    return Layout("quick", root=tmp_path)


@pytest.fixture(scope="session")
def split() -> Split:
    """30 rows of 11 classes: 5 queries, 25 of the database, 13 of these to train on."""
    labels = np.random.default_rng(0).random((30, 11)) < 0.3
    order = np.random.default_rng(1).permutation(30)
    return Split("thirty", order[:5], order[5:], order[7:20], labels)


@pytest.fixture(scope="session")
def cell() -> Cell:
    """A cell of 12 bits, which fill no whole number of bytes."""
    return Cell("digits", "vit_micro", "lsh", N_BITS, 0)


@pytest.fixture(scope="session")
def codes(split: Split) -> tuple[Codes, Codes]:
    """Query and database codes of the cell."""
    bits = np.random.default_rng(2).random((30, N_BITS)) < 0.5
    return Codes.pack(bits[split.query], split.query), Codes.pack(bits[split.database], split.database)


@pytest.fixture(scope="session")
def fit_record(split: Split) -> FitRecord:
    """What the fit of the cell says of itself."""
    return FitRecord(
        code="0123456789ab",
        versions={"numpy": "2.0", "python": "3.11"},
        hyperparameters={"epochs": 3, "sorter": "softsort", "temperature": 0.1, "flip": True, "none": None},
        split=split.digest,
        features="f" * 12,
        seed=7,
        device="cpu",
        precision="fp32",
        processor="a processor",
        curves={"loss": [2.0, 1.0 / 3.0]},
        remarks=["µ"],
    )


@pytest.fixture(scope="session")
def evaluated(split: Split, codes: tuple[Codes, Codes]) -> tuple[StoredEvaluation, dict[str, Array]]:
    """The cell's evaluation, and its values query by query."""
    evaluation = evaluate_codes(*codes, split, EvaluationRules(5, "relevant_in_top_k", "zero", (1, 2)))
    stored = StoredEvaluation(fingerprint="a" * 12, summary=summarise(evaluation, codes[1], 7), evaluator="e" * 12)
    ap = ap_of_queries(evaluation)
    assert set(ap) == set(AP)
    return stored, ap


@pytest.fixture(scope="session")
def record(
    cell: Cell, split: Split, fit_record: FitRecord, evaluated: tuple[StoredEvaluation, dict[str, Array]]
) -> RunRecord:
    """The record of the cell's run."""
    return RunRecord(
        profile="quick",
        **cell._asdict(),
        split=split.name,
        split_digest=split.digest,
        n_query=len(split.query),
        n_database=len(split.database),
        n_train=len(split.train),
        codes=digest_of("codes"),
        fingerprint=fit_record.fingerprint(cell.bits),
        evaluator="e" * 12,
        fit=fit_record,
        evaluation=evaluated[0].summary,
    )
