"""Forgeries that `hashbench verify` names, whoever has rewritten all that follows from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from robustness.forgery.forge import (
    LAYOUT,
    cell_of,
    change_params,
    change_records,
    change_split,
    change_text,
    flip_a_bit,
    labels_as_bits,
    raise_average_precision,
    remake_manifest,
    remake_report,
    remake_results,
    replaced,
    rewrite_fit,
    swap_codes,
)

from hashbench import reporting
from hashbench.artefacts import records
from hashbench.artefacts.manifest import read_manifest, write_manifest
from hashbench.artefacts.split import read_split
from hashbench.config.selection import MethodTexts
from hashbench.report.bundle import MethodCard
from hashbench.types import Array, Split

_LSH = "digits-vit_micro-lsh-16-0"


@dataclass(frozen=True)
class Forgery:
    """`forge` rewrites the results of the checkout in the working directory; verify must say what `named` matches."""

    name: str
    forge: Callable[[], None]
    named: str


def _claim(**claims: object) -> Callable[[], None]:
    """Another claim of how LSH was fitted, with everything that follows from it."""

    def forge() -> None:
        rewrite_fit("lsh", **claims)
        remake_results()

    return forge


def _claim_of_all(**claims: object) -> Callable[[], None]:
    """The same of all methods: rows of one table must agree in it."""

    def forge() -> None:
        for record in records.read_records(LAYOUT.records):
            rewrite_fit(record.method, **claims)
        remake_results()

    return forge


def _split(**parts: object) -> Callable[[], None]:
    def forge() -> None:
        change_split(**parts)
        remake_results()

    return forge


def _swap_train_rows() -> None:
    split = read_split(LAYOUT.split("digits"))
    train, database = split.train.copy(), split.database.copy()
    train[:10], database[:10] = split.database[:10], split.train[:10]
    change_split(train=train, database=database)
    remake_results()


def _relabel() -> None:
    labels = read_split(LAYOUT.split("digits")).labels.copy()
    labels[:20] = np.roll(labels[:20], 1, axis=1)
    change_split(labels=labels)
    remake_results()


def _another_k() -> None:
    change_params("evaluate/methods", "cutoffs.digits", 10)
    remake_results()


def _other_titles() -> None:
    change_params("report/methods", "dataset_titles.digits", "ImageNet")
    remake_report()


def _no_deviations() -> None:
    card_of = reporting._card

    def without(name: str, texts: MethodTexts) -> MethodCard:
        return replace(card_of(name, texts), deviations=())

    reporting._card = without
    try:
        remake_report()
    finally:
        reporting._card = card_of


def _one_seed_for_another() -> None:
    runs, ap = records.read_records(LAYOUT.records), records.read_queries(LAYOUT.queries)
    added = runs[0].model_copy(update={"seed": 7})
    records.write_queries(LAYOUT.queries, {**ap, added.cell: ap[runs[0].cell]})
    change_records(lambda _: [*runs, added])


def _constant_bit() -> None:
    def bits(split: Split, rows: Array) -> Array:
        codes = labels_as_bits(split, rows)
        codes[:, 0] = True
        return codes

    rewrite_fit("lsh", bits, remarks=[])
    remake_results()


def _swap_kept_codes() -> None:
    paths = [LAYOUT.kept_codes(method) for method in ("lsh", "agh1")]
    splits = {"digits": read_split(LAYOUT.split("digits"))}
    codes = [records.read_kept_codes(path, splits) for path in paths]
    for path, method, other in zip(paths, ("lsh", "agh1"), reversed(codes), strict=True):
        records.write_kept_codes(path, {cell_of(method): pair for pair in other.values()})
    remake_manifest()


def _remove(name: str) -> Callable[[], None]:
    def forge() -> None:
        (LAYOUT.results / name).unlink()
        remake_manifest()

    return forge


def _add_a_file() -> None:
    (LAYOUT.results / "table9.md").write_text("| LSH | 1.000 |\n", encoding="utf-8")
    remake_manifest()


def _flip(path: Path) -> Callable[[], None]:
    return lambda: flip_a_bit(path)


def _other_program() -> None:
    manifest = read_manifest(LAYOUT)
    digest = next(iter(manifest.programs))
    programs = manifest.programs | {digest: {"hashbench.types": "0" * 12}}
    write_manifest(LAYOUT, manifest.model_copy(update={"programs": programs}))


NAMED: tuple[Forgery, ...] = (
    Forgery("another k", _another_k, f"{_LSH}: k is 10 in the record, 100"),
    Forgery("other titles", _other_titles, "table1.md, .*'.*ImageNet.*', the run records give '.*Digits"),
    Forgery("deviations emptied", _no_deviations, "report.html, line"),
    Forgery("another protocol's name", _split(name="digits_200_500_1597"), "the protocol is digits_200_500_1597"),
    Forgery("other train rows", _swap_train_rows, "the train rows are not those that digits_200_500_1097 draws"),
    Forgery("other labels", _relabel, r"digits.safetensors: item \d+ is labelled \d, the data set says \d"),
    Forgery("a GPU", _claim(device="cuda"), f"{_LSH}: device is cuda in the record, cpu by params"),
    Forgery("precision", _claim(precision="bf16"), f"{_LSH}: precision is bf16 in the record"),
    Forgery("a hyperparameter", _claim(hyperparameters={"anchors": 9}), f"{_LSH}: hyperparameters is"),
    Forgery("the seed", _claim(seed=1), f"{_LSH}: seed is 1 in the record"),
    Forgery("other features", _claim_of_all(features="0" * 12), f"{_LSH}: features is 000000000000 in the record"),
    Forgery("other sources", _claim(code="0" * 12), f"{_LSH}: stale, the codes were made by sources of digest 0000"),
    Forgery("no versions", _claim(versions={}), "lsh: made by no package, not by"),
    Forgery("a remark left out", _constant_bit, f"{_LSH}: the record does not say that 1 of 16 bits are the same"),
    Forgery(
        "a record's mAP",
        lambda: change_records(
            lambda runs: [
                run.model_copy(update={"evaluation": run.evaluation.model_copy(update={"map": 0.99})}) for run in runs
            ]
        ),
        f"{_LSH}: map is 0.99 in the record",
    ),
    Forgery(
        "a record's processor",
        lambda: change_records(
            lambda runs: [
                run.model_copy(update={"fit": run.fit.model_copy(update={"processor": "M9"})}) for run in runs
            ]
        ),
        f"{_LSH}: processor is not what its fit left",
    ),
    Forgery("another profile", lambda: change_records(replaced("lsh", profile="cpu")), f"{_LSH}: profile is cpu"),
    Forgery("more queries", lambda: change_records(replaced(None, n_query=999)), f"{_LSH}: n_query is 999"),
    Forgery("the evaluator", lambda: change_records(replaced(None, evaluator="0" * 12)), "stale, the evaluation"),
    Forgery("the fingerprint", lambda: change_records(replaced("lsh", fingerprint="0" * 12)), "its fingerprint is not"),
    Forgery(
        "a record removed",
        lambda: change_records(lambda runs: [run for run in runs if run.method != "lsh"]),
        f"{_LSH}: no record",
    ),
    Forgery("a record added", _one_seed_for_another, "-16-7: a record that params.yaml does not ask for"),
    Forgery(
        "average precision of queries",
        lambda: raise_average_precision("lsh", 1.5),
        f"{_LSH}: ap of the queries is not what the codes and labels give",
    ),
    Forgery("codes swapped beside the results", _swap_kept_codes, f"{_LSH}: the codes are not those that the record"),
    Forgery("a file added", _add_a_file, "table9.md is no file that the pipeline makes"),
    Forgery("a table removed", _remove("table2.tex"), "table2.tex is missing"),
    Forgery("codes removed", _remove("codes/lsh.safetensors"), "codes/lsh.safetensors"),
    Forgery("a bit of the codes", _flip(LAYOUT.kept_codes("lsh")), "codes/lsh.safetensors is damaged"),
    Forgery("a bit of a split", _flip(LAYOUT.split("digits")), "digits.safetensors is damaged"),
    Forgery("a bit of the queries' values", _flip(LAYOUT.queries), "queries.safetensors is damaged"),
    Forgery(
        "a cell of a table", lambda: change_text("table1.csv", ",lsh,", ",nsh,"), "table1.csv, digits, vit_micro, lsh"
    ),
    Forgery("a standing", lambda: change_text("standings.csv", "verdict", "proof"), "standings.csv, line 1"),
    Forgery("sources in the manifest", _other_program, "are not those of this digest"),
)


def leak_labels() -> None:
    """LSH finds everything: its codes are the labels."""
    rewrite_fit("lsh", labels_as_bits, remarks=["6 of 16 bits are another bit or its opposite"])
    remake_results()


def swap_two_methods() -> None:
    """LSH and AGH have each other's codes."""
    swap_codes("lsh", "agh1")
    remake_results()


def other_curves() -> None:
    """NSH says that it was trained otherwise."""
    rewrite_fit("nsh", curves={"sorted_nce": [0.0], "quantisation": [0.0]})
    remake_results()


# What agrees with everything that is there; the method that gives it away when it is trained again.
CONSISTENT: dict[str, tuple[Callable[[], None], str]] = {
    "label-leaking codes": (leak_labels, "lsh"),
    "two methods' codes swapped": (swap_two_methods, "agh1"),
    "training curves": (other_curves, "nsh"),
}
