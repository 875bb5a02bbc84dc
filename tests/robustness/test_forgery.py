"""`hashbench verify` names what a forger rewrote through the project's own functions, and says what it cannot know."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import dvc, every_stage, hashbench, make_checkout
from robustness.forgery.forge import (
    LAYOUT,
    cell_of,
    change_split,
    change_text,
    remake_lock,
    remake_manifest,
    remake_report,
    remake_results,
    rewrite_fit,
)
from robustness.forgery.forgeries import CONSISTENT, NAMED, Forgery, leak_labels

from hashbench.artefacts.records import read_records, write_records
from hashbench.artefacts.split import read_split
from hashbench.cells import Cell
from hashbench.config.params import load_params
from hashbench.config.selection import report_params
from hashbench.errors import HashbenchError
from hashbench.records import EvaluationSummary
from hashbench.report import build
from hashbench.reporting import tables_bundle_of
from hashbench.verification.refit import cells_to_refit
from hashbench.verification.verify import check, layout_of, verify

METHODS = ["nsh", "agh1", "lsh"]

Verified = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose pipeline was run once."""
    folder = make_checkout(tmp_path_factory.mktemp("drawn") / "checkout", METHODS)
    every_stage(folder)
    dvc(folder, "commit", "--force", "--quiet")
    return folder


@pytest.fixture(scope="module")
def plain(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its results without pictures, which take most of the time and are not what is forged."""
    folder = copied(drawn, tmp_path_factory.mktemp("plain") / "checkout")
    with pytest.MonkeyPatch.context() as patch:
        draw_nothing(patch)
        patch.chdir(folder)
        remake_report()
        remake_lock()
    return folder


def draw_nothing(patch: pytest.MonkeyPatch) -> None:
    """Let no report have pictures."""
    for plots in ("report_plots", "cost_plots"):
        patch.setattr(build, plots, lambda *_: [])


def copied(checkout: Path, folder: Path) -> Path:
    """What verify reads of a checkout."""
    for name in ("artefacts", "results"):
        shutil.copytree(checkout / name, folder / name)
    for name in ("params.yaml", "dvc.lock"):
        shutil.copy(checkout / name, folder)
    return folder


@pytest.fixture
def forged(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy without pictures, to forge, as working directory."""
    draw_nothing(monkeypatch)
    monkeypatch.chdir(copied(plain, tmp_path / "checkout"))
    return Path.cwd()


@pytest.fixture
def verified(capsys: pytest.CaptureFixture[str]) -> Verified:
    """`verified("lsh")`: the status of `verify --refit lsh` in the working directory, and what it said."""

    def call(refit: str | None = None) -> tuple[int, str]:
        capsys.readouterr()
        status = verify("results/quick", refit)
        return status, capsys.readouterr().out

    return call


def test_honest_results_have_no_differences(drawn: Path, verified: Verified, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(drawn)
    status, said = verified(f"sample:{len(METHODS)}")
    assert status == 0, said
    assert said.splitlines()[-1] == "results/quick: 3 of 3 runs recomputed from their codes, no differences"
    assert "note:" not in said


@pytest.mark.parametrize("forgery", NAMED, ids=lambda forgery: forgery.name)
def test_a_forgery_is_named_although_all_that_follows_was_rewritten(
    forgery: Forgery, forged: Path, verified: Verified
) -> None:
    forgery.forge()
    remake_lock()
    status, said = verified()
    assert status == 1, said
    assert re.search(forgery.named, said), said


def test_every_number_of_a_record_is_compared(forged: Path, verified: Verified) -> None:
    def other(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: other(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [other(value[0]), *value[1:]]
        return f"{value}?" if isinstance(value, str) else 2 if value is None else value + 1

    runs = read_records(LAYOUT.records)
    said_of = runs[0].evaluation.model_dump() | {"empty": "nan"}
    changed = {name: other(value) for name, value in said_of.items() if name not in ("empty", "ties", "asymmetric")}
    evaluation = EvaluationSummary.model_validate(said_of | changed)
    write_records(LAYOUT.records, [runs[0].model_copy(update={"evaluation": evaluation}), *runs[1:]])
    params = load_params()
    findings = check(params, layout_of("results/quick", params)).findings
    for name in (*changed, "empty"):
        assert any(fault.startswith(f"{runs[0].cell.name}: {name} is ") for fault in findings.faults), name


def test_of_each_file_three_differences_are_told_and_all_are_counted(forged: Path, verified: Verified) -> None:
    split = read_split(LAYOUT.split("digits"))
    change_split(labels=np.roll(split.labels, 1, axis=1))
    status, said = verified()
    assert status == 1
    lines = said.splitlines()
    assert sum("is labelled" in line for line in lines) == 3
    assert any(re.fullmatch(rf"{LAYOUT.split('digits')}: and \d{{4}} more", line) for line in lines)
    assert len(lines) < 60
    assert int(lines[-1].split()[-2]) > len(split.labels)


def test_without_the_files_of_fits_codes_and_numbers_are_still_compared(forged: Path, verified: Verified) -> None:
    shutil.rmtree("artefacts")
    status, said = verified()
    assert (status, said.splitlines()[-1]) == (
        0,
        "results/quick: 3 of 3 runs recomputed from their codes, no differences",
    )
    runs = read_records(LAYOUT.records)
    write_records(LAYOUT.records, [run.model_copy(update={"codes": "0" * 64}) for run in runs])
    remake_lock()
    status, said = verified()
    assert status == 1
    for run in runs:
        assert f"{run.cell.name}: the codes are not those that the record was made from" in said


def test_the_lock_of_the_pipeline_names_what_was_rewritten_behind_it(forged: Path, verified: Verified) -> None:
    leak_labels()
    status, said = verified()
    assert status == 1
    for place in ("artefacts/quick/fits/methods/lsh", "results/quick/records.jsonl", "results/quick/table1.md"):
        assert f"{place} was changed after the pipeline made it: dvc.lock names another content" in said
    assert "artefacts/quick/fits/methods/nsh" not in said
    Path("dvc.lock").write_text("schema: '2.0'\nstages: {}\n", encoding="utf-8")
    assert "results/quick/records.jsonl is no output that dvc.lock names" in verified()[1]
    Path("dvc.lock").unlink()
    assert "nothing says what the pipeline made: dvc.lock is missing" in verified()[1]


def test_what_lies_in_the_cache_of_dvc_need_not_be_here(forged: Path, verified: Verified) -> None:
    metrics = LAYOUT.results / "metrics"
    one = next(metrics.rglob("*.json"))
    one.write_text(one.read_text().replace("0.", "0.9", 1))
    remake_lock()
    assert verified()[0] == 1
    shutil.rmtree(metrics)
    status, said = verified()
    assert status == 0, said


def test_a_manifest_that_is_gone_is_a_sentence(forged: Path) -> None:
    LAYOUT.manifest.unlink()
    with pytest.raises(HashbenchError, match=r"MANIFEST\.json is missing"):
        verify("results/quick", None)


@pytest.mark.parametrize("name", CONSISTENT)
def test_what_agrees_with_all_that_is_there_is_found_by_training_again(
    name: str, forged: Path, verified: Verified
) -> None:
    forge, method = CONSISTENT[name]
    forge()
    remake_lock()
    assert verified()[0] == 0  # docs/reproducing.md says so
    status, said = verified(method)
    assert status == 1
    assert f"{cell_of(method).name}: trained again, its c" in said  # codes, or curves


def sample(count: int) -> list[Cell]:
    params = load_params()
    table = build.tables_of(tables_bundle_of(report_params(params, "quick", "methods"), LAYOUT))[0]
    return cells_to_refit(f"sample:{count}", params, LAYOUT, table.digest)


def test_a_sample_follows_from_the_table_and_finds_a_forged_cell_when_it_is_drawn(
    forged: Path, verified: Verified
) -> None:
    leak_labels()
    remake_lock()
    cell = cell_of("lsh")
    count = next(count for count in range(1, len(METHODS) + 1) if cell in sample(count))
    status, said = verified(f"sample:{count}")
    assert status == 1
    assert said.startswith(f"refit: {', '.join(each.name for each in sample(count))}\n")
    assert f"{cell.name}: trained again, its codes are others than those of the record" in said


def test_who_forges_cannot_choose_the_sample(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(plain)
    params = load_params()
    cells = [cells_to_refit("sample:1", params, LAYOUT, f"digest {number}")[0].method for number in range(300)]
    assert all(60 < cells.count(method) < 140 for method in METHODS)  # 100 of each, within five standard deviations
    with pytest.raises(HashbenchError, match="from 1 to 3, got 'sample:4'"):
        cells_to_refit("sample:4", params, LAYOUT, "digest")


def test_claims_that_nobody_can_check_are_told_beside_the_verdict(forged: Path, verified: Verified) -> None:
    versions = read_records(LAYOUT.records)[0].fit.versions | {"numpy": "1.0"}
    rewrite_fit("lsh", processor="Abacus", versions=versions)
    remake_results()
    remake_lock()
    status, said = verified("lsh")
    assert status == 0
    for note in (
        "lsh: computed by numpy 1.0 (here ",
        "mixed versions: numpy 1.0 in digits-vit_micro-lsh-16-0",
        "mixed processors: processor Abacus in digits-vit_micro-lsh-16-0",
        "not on Abacus as the record says; the codes are the same",
    ):
        assert f"note: {note}" in said or note in said
    assert "Made with different versions of numpy 1.0 (1 run)" in Path("results/quick/table1.md").read_text()


def test_a_picture_is_compared_with_the_manifest_and_told_apart_from_one_drawn_here(
    drawn: Path, verified: Verified, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copied(drawn, tmp_path / "checkout"))
    picture, other = (LAYOUT.results / "figures" / f"{name}.pdf" for name in ("map_by_bits", "training"))
    picture.write_bytes(picture.read_bytes() + b"more")
    assert "map_by_bits.pdf is not the file that MANIFEST.json names" in verified()[1]
    remake_manifest()
    remake_lock()
    status, said = verified()
    assert status == 0
    assert "note: drawn here, these pictures are other bytes, as on another machine: figures/map_by_bits.pdf" in said
    other.unlink()
    remake_manifest()
    remake_lock()
    status, said = verified()
    assert (status, "training.pdf is missing" in said) == (1, True)


def test_the_command_ends_with_a_status(forged: Path, drawn: Path) -> None:
    change_text("table1.md", "LSH", "lsh")
    said = hashbench(forged, "verify", "results/quick", status=1, PYTHONPATH=str(drawn / "src")).stdout
    assert "table1.md, " in said
