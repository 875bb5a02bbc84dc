"""Synthetic run records with plausible curves, and bundles made of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers import ablation

from hashbench.records import CellSeconds, EvaluationSummary, FitRecord, RunRecord
from hashbench.report.build import ablation_of, render_ablation, render_report, tables_of
from hashbench.report.bundle import Gallery, HyperparameterNote, MethodCard, PerClass, ReportBundle
from hashbench.report.published import Published
from hashbench.report.tables.model import Table
from hashbench.types import Paper

NAMES = (
    ("alpha", "Alpha"), ("beta", "Beta_2"), ("gamma", "Gamma & Co"), ("delta", "Delta"), ("eps", "Epsilon<b>"),
    ("zeta", "Zeta 100%"), ("eta", "Eta"), ("theta", "Theta"), ("iota", "Iota"), ("kappa", "Kappa"), ("lam", "Lambda"),
    ("mu", "Mu"), ("nu", "Nu"), ("xi", "Xi"), ("omi", "Omicron"), ("pi", "Pi"), ("rho", "Rho"), ("sigma", "Sigma"),
    ("tau", "Tau"), ("ups", "Upsilon"),
)  # fmt: skip
DATASETS = {"toys": "Toys", "mosaic": "Toy mosaic"}
N_QUERY = 60


def one_record(number: int, dataset: str, bits: int, seed: int, **changes: Any) -> RunRecord:
    """The record of method `number`: the higher the number, the worse it is."""
    rng = np.random.default_rng([number, len(dataset), bits, seed])
    quality = 0.75 - 0.025 * number + 0.05 * math.log2(bits / 16) + 0.004 * rng.standard_normal()
    radius = np.arange(bits + 1) / bits
    ranks = [1, 10, 100, 500]
    recall = radius ** (1.2 + quality)
    relevant = np.exp(-(((radius - 0.45 + 0.3 * quality) / 0.12) ** 2))
    other = np.exp(-(((radius - 0.5) / 0.1) ** 2))
    evaluation: dict[str, Any] = {
        "k": 100, "denominator": "relevant_in_top_k", "empty": "zero", "map": quality,
        "map_optimistic": min(quality + 0.1, 1.0), "map_pessimistic": quality - 0.1,
        "map_ci95": (quality - 0.02, quality + 0.02), "ndcg": quality, "ranks": ranks,
        "precision_at": [quality * (1.1 - 0.08 * i) for i in range(4)], "recall_at": [0.01, 0.1, 0.5, 1.0],
        "radius_precision": (0.1 + (quality - 0.1) * (1 - radius) ** 0.7).tolist(), "radius_recall": recall.tolist(),
        "measures": {"precision_within_2": quality * 0.8, "found_nothing_within_2": 0.01 * number},
        "relevant_histogram": (relevant * 1000).astype(int).tolist(),
        "other_histogram": (other * 9000).astype(int).tolist(),
        "bit_balance": np.clip(0.5 + 0.1 * rng.standard_normal(bits), 0, 1).tolist(), "bit_entropy": [0.97] * bits,
        "bit_correlation": 0.1, "distinct_codes": 480, "largest_bucket": 3,
    }  # fmt: skip
    fit: dict[str, Any] = {
        "seed": 17 * seed + number, "hyperparameters": {"rate": 0.001, "layers": number}, "split": "0123456789ab",
        "features": "fedcba987654", "device": "cpu", "precision": "fp32", "processor": "Toy CPU",
        "versions": {"numpy": "2.3.0", "torch": "2.11"}, "code": f"{number:012x}", "remarks": [],
        "curves": {"loss": (3 * np.exp(-np.arange(1, 21) / 5) + 0.2 * number).tolist()} if number % 3 else {},
    }  # fmt: skip
    fields: dict[str, Any] = {
        "profile": "tiny", "dataset": dataset, "split": "60-200-500", "split_digest": "0123456789ab",
        "n_query": N_QUERY, "n_database": 500, "n_train": 200, "backbone": "tiny-vit", "method": NAMES[number][0],
        "bits": bits, "seed": seed, "codes": "ab" * 32,
        "fingerprint": f"{number:04x}{len(dataset):02x}{bits:03x}{seed:03x}", "evaluator": "0e0e0e0e0e0e",
        "made_by": "reproduced",
    }  # fmt: skip
    return changed(RunRecord(**fields, fit=FitRecord(**fit), evaluation=EvaluationSummary(**evaluation)), **changes)


def changed(run: RunRecord, **changes: Any) -> RunRecord:
    """The record with other values of some fields, its own or those of its fit and evaluation."""
    nested = {
        part: getattr(run, part).model_copy(update=found)
        for part in ("fit", "evaluation")
        if (found := {k: v for k, v in changes.items() if k in type(getattr(run, part)).model_fields and k not in _OWN})
    }
    own = {name: value for name, value in changes.items() if name in _OWN}
    assert not changes.keys() - own.keys() - {k for part in nested.values() for k in type(part).model_fields}
    return run.model_copy(update=own | nested)


_OWN = RunRecord.model_fields.keys() - {"fit", "evaluation"}


def seconds_of(run: RunRecord) -> CellSeconds:
    """What a run cost."""
    number = next(n for n, (method, _) in enumerate(NAMES) if method == run.method)
    return CellSeconds(fit=0.05 * 1.9 ** ((number * 7) % 12), encode=0.02 + 0.001 * number, evaluate=0.01)


def card(number: int) -> MethodCard:
    """What is said of method `number`; the second and third are under study."""
    method, title = NAMES[number]
    url = f"https://example.org/{method}"
    paper = Paper(f"{method}2020", "Ann Author and Bob Builder", f"{title} hashing", "CVPR", 2020, url)
    notes = (HyperparameterNote("rate", 0.001, "paper", "Section 4"), HyperparameterNote("layers", number, "ours"))
    return MethodCard(title, paper, ("Views are extracted beforehand.",), notes, number in (1, 2))


def average_precision(record: RunRecord) -> np.ndarray[Any, Any]:
    """Per-query values whose mean is close to the record's mAP; query 0 has nothing relevant."""
    difficulty = np.random.default_rng(5).standard_normal(N_QUERY)
    ap = np.clip(record.evaluation.map + 0.1 * difficulty, 0, 1)
    ap[0] = np.nan
    return ap


def nearly_as_good(ap: Mapping[str, np.ndarray[Any, Any]]) -> set[str]:
    """A test as crude as it may be: whoever's mean is the best to three digits ties."""
    means = {method: round(float(values.mean()), 3) for method, values in ap.items()}
    return {method for method, mean in means.items() if mean == max(means.values())}


def crude_groups(ap: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, int]:
    """A group for each mean that differs in three digits."""
    means = {method: round(float(values.mean()), 3) for method, values in ap.items()}
    places = {mean: place for place, mean in enumerate(sorted(set(means.values()), reverse=True), start=1)}
    return {method: places[mean] for method, mean in means.items()}


def crude_p_values(ap: Mapping[str, np.ndarray[Any, Any]], reference: str) -> dict[str, float]:
    """0 for whoever's mean differs from that of the reference in three digits, and 1 for all others."""
    means = {method: round(float(values.mean()), 3) for method, values in ap.items()}
    return {method: float(mean == means[reference]) for method, mean in means.items() if method != reference}


@pytest.fixture
def record() -> Callable[..., RunRecord]:
    """`record(method_number, dataset, bits, seed, **changes)`."""
    return one_record


@pytest.fixture(scope="session")
def make_bundle() -> Callable[..., ReportBundle]:
    """`make_bundle(n_methods)`: a bundle of 2 data sets, 3 code lengths, 3 seeds; keywords replace its fields."""

    def make(n_methods: int = 6, **changes: Any) -> ReportBundle:
        records = tuple(
            one_record(number, dataset, bits, seed)
            for number in range(n_methods)
            for dataset in DATASETS
            for bits in (16, 32, 64)
            for seed in range(3)
        )
        rng = np.random.default_rng(1)
        galleries = tuple(
            Gallery(
                dataset, "tiny-vit", "alpha", 32, rng.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8),
                ("one", "two", "three", "four", "five"), rng.integers(0, 256, (5, 10, 8, 8, 3), dtype=np.uint8),
                np.sort(rng.integers(0, 9, (5, 10)), axis=1), rng.random((5, 10)) < 0.7,
            )
            for dataset in DATASETS
        )  # fmt: skip
        labels = np.eye(5, dtype=bool)[np.arange(N_QUERY) % 5]
        correlations = {}
        for r in records:
            x = rng.standard_normal((100, r.bits)) + rng.standard_normal((100, 1)) * 0.5
            correlations[r.cell] = np.corrcoef(x, rowvar=False)
        fields: dict[str, Any] = {
            "profile": "tiny", "version": "0.1.0", "command": "nox -s reproduce_table1 -- --profile tiny",
            "records": records, "ap": {r.cell: average_precision(r) for r in records},
            "seconds": {r.cell: seconds_of(r) for r in records},
            "methods": {NAMES[number][0]: card(number) for number in range(n_methods)},
            "dataset_titles": DATASETS, "backbone_titles": {"tiny-vit": "Tiny ViT"},
            "tied": nearly_as_good, "rank_groups": crude_groups, "compared": crude_p_values,
            "correlations": correlations, "galleries": galleries,
            "per_class": tuple(PerClass(d, ("a", "b", "c", "d", "e"), labels) for d in DATASETS),
        }  # fmt: skip
        return ReportBundle(**(fields | changes))

    return make


@pytest.fixture
def bundle_of(make_bundle: Callable[..., ReportBundle]) -> Callable[..., ReportBundle]:
    """`bundle_of(records, **changes)`: a bundle of a few records, with a card for every method that there is."""

    def make(records: Iterable[RunRecord], **changes: Any) -> ReportBundle:
        cards = {method: card(number) for number, (method, _) in enumerate(NAMES)}
        return replace(
            make_bundle(1), **({"records": tuple(records), "ap": {}, "rank_groups": None, "methods": cards} | changes)
        )

    return make


@pytest.fixture
def change() -> Callable[..., RunRecord]:
    """`change(record, **changes)`: the record with other values, wherever they stand in it."""
    return changed


@pytest.fixture(scope="session")
def tables(make_bundle: Callable[..., ReportBundle]) -> list[Table]:
    """Tables 1, 2 and 3 of six methods on two data sets, and an ablation."""
    bundle = make_bundle(6)
    of_variants = ablation_of(replace(bundle, ablations=(ablation("alpha", "beta", "gamma"),)))
    assert of_variants is not None
    return [*tables_of(bundle), of_variants]


@pytest.fixture(scope="session")
def small_bundle(make_bundle: Callable[..., ReportBundle]) -> ReportBundle:
    """Three methods, two code lengths, two seeds, one data set: enough for every part of a report."""
    bundle = make_bundle(3)
    kept = tuple(r for r in bundle.records if r.dataset == "toys" and r.bits < 64 and r.seed < 2)
    published = (
        Published("alpha", "toys", "60/200/500", "Tiny ViT", "100", 16, 0.7, "https://example.org", True, "a <note>"),
    )
    galleries, classes = bundle.galleries[:1], bundle.per_class[:1]
    return replace(
        bundle,
        records=kept,
        dataset_titles={"toys": "Toys"},
        seconds={r.cell: bundle.seconds[r.cell] for r in kept},
        galleries=galleries,
        per_class=classes,
        controls=("alpha",),
        references=("gamma",),
        published=published,
    )


@pytest.fixture(scope="session")
def files_of() -> Callable[[ReportBundle], dict[str, str | bytes]]:
    """All files of the report of a bundle, by name."""

    def render(bundle: ReportBundle) -> dict[str, str | bytes]:
        files: dict[str, str | bytes] = {}
        render_report(bundle, files.__setitem__)
        return files

    return render


@pytest.fixture(scope="session")
def small_report(small_bundle: ReportBundle, files_of: Callable[..., dict[str, str | bytes]]) -> dict[str, str | bytes]:
    """All files of the report of `small_bundle`."""
    return files_of(small_bundle)


@pytest.fixture(scope="session")
def short_pages(small_bundle: ReportBundle, small_report: dict[str, Any]) -> dict[str, str]:
    """The texts of the pages of costs and of the ablation."""
    files: dict[str, Any] = {}
    render_ablation(replace(small_bundle, ablations=(ablation("alpha", "beta"),)), files.__setitem__)
    return {"cost": small_report["cost/cost.html"], "ablation": files["report.html"]}


@pytest.fixture
def page(small_report: dict[str, Any]) -> Any:
    """The text of report.html."""
    return small_report["report.html"]
