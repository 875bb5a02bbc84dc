"""Methods that are told texts, and asymmetric rankings, in a tiny pipeline: without texts, and with made-up ones."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import dvc, every_stage, hashbench, make_checkout, read_params, run, write_params
from safetensors.numpy import save_file

from hashbench.artefacts import fits
from hashbench.artefacts.layout import Layout
from hashbench.artefacts.records import ASYMMETRIC_AP, read_kept_codes, read_queries, read_records, write_records
from hashbench.artefacts.split import read_split
from hashbench.artefacts.weights import read_weights_record
from hashbench.evaluation import evaluate_asymmetric

pytestmark = pytest.mark.timeout(900)

METHODS = ["lsh", "hashing_baseline", "uhscm", "duheg"]
REASON = "needs image embeddings of the train rows and {} text embeddings of one vision-language model; this run"
TOLD, APART = "Told external text", "Asymmetric: real-valued queries"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose pipeline has run on a backbone that knows no texts."""
    folder = make_checkout(tmp_path_factory.mktemp("texts") / "plain", METHODS)
    every_stage(folder)
    dvc(folder, "commit", "--force", "--quiet")
    return folder


@pytest.fixture(scope="module")
def told(plain: Path) -> Path:
    """The same, where its backbone passes for the image side of a vision-language model, with texts of both kinds.

    Images of the train rows stand in for texts: their embeddings are the texts'.
    """
    folder = plain.parent / "told"
    shutil.copytree(plain, folder, symlinks=True)
    layout = Layout("quick", root=folder)
    rows = read_split(layout.split("digits")).train
    embeddings = np.load(layout.features("digits", "vit_micro") / "pooled.npy")[rows]
    weights = read_weights_record(layout, "digits", "vit_micro").tensors
    (folder / "weights").mkdir()
    for name, texts in (("concepts", embeddings[:12]), ("nouns", embeddings[12:60])):
        save_file({"embeddings": texts}, folder / "weights" / f"{name}.safetensors", {"weights": weights})
    params = read_params(folder)
    texts = {name: f"{name}.safetensors" for name in ("concepts", "nouns")}
    params["backbones"]["vit_micro"]["texts"] = texts
    write_params(folder, params)
    every_stage(folder)
    dvc(folder, "commit", "--force", "--quiet")
    return folder


def methods_of(folder: Path) -> set[str]:
    return {record.method for record in read_records(Layout("quick", root=folder).records)}


def table(folder: Path, name: str = "table1", ending: str = "md") -> str:
    return (folder / "results" / "quick" / f"{name}.{ending}").read_text(encoding="utf-8")


def verified(folder: Path, status: int = 0) -> str:
    return hashbench(folder, "verify", "results/quick", status=status).stdout


def test_without_texts_they_are_left_out_by_name(plain: Path):
    assert methods_of(plain) == {"lsh", "hashing_baseline"}
    for name in ("table1", "table2"):
        for method, kind in (("uhscm", "concept"), ("duheg", "noun")):
            assert f"Left out: {method} {REASON.format(kind)} provides pooled, views:" in table(plain, name)
        assert TOLD not in table(plain, name)
    assert "UHSCM" not in table(plain, ending="csv")
    assert "uhscm" not in table(plain, ending="csv")
    assert f"uhscm {REASON.format('concept')}" in (plain / "results" / "quick" / "report.html").read_text()
    assert list((plain / "artefacts" / "quick" / "fits" / "methods" / "uhscm").iterdir()) == []


def test_without_texts_no_record_is_expected(plain: Path):
    assert "2 of 2 runs recomputed from their codes, no differences" in verified(plain)
    assert dvc(plain, "status", "--quiet") == ""


def test_without_texts_every_command_says_so(plain: Path):
    for arguments in (("check", "quick"), ("list",)):
        assert f"uhscm {REASON.format('concept')}" in hashbench(plain, *arguments).stdout
    asked = hashbench(plain, "fit", "uhscm", status=2)
    assert f"UHSCM {REASON.format('concept')} provides pooled, token_mean" in asked.stderr
    assert "Traceback" not in asked.stderr


def test_with_texts_they_run_and_their_rows_stand_apart_and_marked(told: Path):
    assert methods_of(told) == set(METHODS)
    for name in ("table1", "table2"):
        text = table(told, name)
        assert "Left out" not in text
        before, after = text.split(TOLD)
        for title in ("UHSCM (external text: concept names)", "DUH-EG (external text: generic nouns)"):
            assert title in after
            assert title not in before
            assert "**" not in next(line for line in after.splitlines() if title in line)
        assert "| LSH |" in before
    assert "4 of 4 runs recomputed from their codes, no differences" in verified(told)
    assert dvc(told, "status", "--quiet") == ""


def test_texts_of_other_weights_are_refused_before_any_fit(told: Path, tmp_path: Path):
    folder = tmp_path / "other"
    shutil.copytree(told, folder, symlinks=True)
    save_file({"embeddings": np.eye(64, dtype=np.float32)}, folder / "weights" / "nouns.safetensors", {"weights": "0"})
    refused = run(folder, "python", "-m", "hashbench.stages.features", "quick", status=2)
    assert "its texts were embedded with image weights of the digest 0, this run's backbone has" in refused.stderr
    assert "nouns of digits by vit_micro: stale, texts was" in verified(folder, status=1)


def test_texts_that_params_no_longer_names_are_stale(told: Path, tmp_path: Path):
    folder = tmp_path / "fewer"
    shutil.copytree(told, folder, symlinks=True)
    params = read_params(folder)
    del params["backbones"]["vit_micro"]["texts"]["nouns"]
    write_params(folder, params)
    faults = verified(folder, status=1)
    assert "nouns of digits by vit_micro: stale, the results alone have them" in faults
    assert "digits-vit_micro-duheg-16-0: a record that params.yaml does not ask for" in faults


# The asymmetric ranking of a method that gives logits.


def test_an_asymmetric_row_is_the_evaluators_number_and_stands_apart(plain: Path):
    layout = Layout("quick", root=plain)
    records = {record.method: record for record in read_records(layout.records)}
    assert records["lsh"].evaluation.asymmetric is None
    split = read_split(layout.split("digits"))
    ((cell, (query, database)),) = read_kept_codes(layout.kept_codes("hashing_baseline"), {"digits": split}).items()
    assert query.logits.dtype == np.float32
    labels = split.labels[split.query], split.labels[split.database]
    expected = evaluate_asymmetric(query.logits, database, *labels, k=100)
    found = records["hashing_baseline"].evaluation
    assert found.asymmetric.map == expected.map
    assert found.asymmetric.map != found.map
    np.testing.assert_array_equal(read_queries(layout.queries)[cell][ASYMMETRIC_AP], expected.ap)
    before, after = table(plain).split(APART)
    assert f"| Hashing-Baseline | **{found.map:.3f}**" in before or f"<u>{found.map:.3f}</u>" in before
    assert f"| Hashing-Baseline (asymmetric) | {expected.map:.3f} |" in after
    assert "LSH" not in after
    assert "asymmetric" not in before
    lines = [line for line in table(plain, ending="csv").splitlines() if "asymmetric" in line]
    assert [line.split(",")[2:6] for line in lines] == [
        ["hashing_baseline", "16", "asymmetric mAP@100", repr(expected.map)]
    ]
    assert APART not in table(plain, "table2")


def forged(plain: Path, target: Path, **changes: Any) -> Path:
    """The results with other asymmetric numbers in the record."""
    shutil.copytree(plain, target, symlinks=True)
    path = Layout("quick", root=target).records
    records = []
    for record in read_records(path):
        found = record.evaluation.asymmetric
        if found is not None:
            other = record.evaluation.model_copy(update={"asymmetric": found.model_copy(update=changes)})
            record = record.model_copy(update={"evaluation": other})
        records.append(record)
    write_records(path, records)
    return target


def test_verify_recomputes_asymmetric_numbers(plain: Path, tmp_path: Path):
    faults = verified(forged(plain, tmp_path / "forged", map=0.99), status=1)
    assert "digits-vit_micro-hashing_baseline-16-0: asymmetric map is 0.99 in the record, 0." in faults


def test_verify_misses_changed_logits(plain: Path, tmp_path: Path):
    folder = tmp_path / "changed"
    shutil.copytree(plain, folder, symlinks=True)
    layout = Layout("quick", root=folder)
    splits = {"digits": read_split(layout.split("digits"))}
    path = layout.kept_codes("hashing_baseline")
    ((cell, (query, database)),) = read_kept_codes(path, splits).items()
    doubled = type(query)(query.packed, query.n_bits, query.rows, 2 * query.logits)
    from hashbench.artefacts.records import write_kept_codes

    path.unlink()
    write_kept_codes(path, {cell: (doubled, database)})
    assert fits.logits_digest(doubled) != fits.logits_digest(query)
    assert "the logits of its queries are not those that the record was made from" in verified(folder, status=1)


def test_a_refit_gives_the_same_asymmetric_number(plain: Path):
    done = hashbench(plain, "verify", "results/quick", "--refit", "hashing_baseline")
    assert "no differences" in done.stdout
