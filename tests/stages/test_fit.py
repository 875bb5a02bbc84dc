"""Which cells are fitted together, where, and what is left of a fit."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from hashbench import store
from hashbench.commands.fit import fit_and_show
from hashbench.commands.validate import validation_part
from hashbench.layout import Layout, cells_of
from hashbench.params import load_params
from hashbench.stages.fit import fitter_of
from hashbench.stages.provide import open_features

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the features of the digits, and three methods that are cut short."""
    folder = tmp_path_factory.mktemp("project")
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    quick = params["profiles"]["quick"]
    quick.update(datasets=["digits"], bits=[12, 16], seeds=[0, 1], views=2, overrides={})
    params["profiles"] = {"quick": quick}
    params["methods"] = {name: params["methods"][name] for name in ("wch", "contrastive", "lsh")}
    for name in ("wch", "contrastive"):
        params["methods"][name]["epochs"]["value"] = 2
    params["backbones"] = {name: params["backbones"][name] for name in quick["backbones"]}
    for backbone in params["backbones"].values():
        backbone["weights"]["epochs"] = 1
    params["ablations"], params["controls"], params["claims"] = {}, [], []
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    (folder / "baselines").symlink_to(ROOT / "baselines")
    (folder / "src").symlink_to(ROOT / "src")
    for stage in ("fetch", "split", "backbones", "features"):
        run(folder, stage)
    return folder


def run(folder, stage, *arguments):
    environment = {**os.environ, "HASHBENCH_PARAMS": str(folder / "params.yaml"), "HASHBENCH_CORES": "1"}
    command = [sys.executable, "-m", f"hashbench.stages.{stage}", "quick", *arguments]
    subprocess.run(command, cwd=folder, check=True, env=environment, capture_output=True, text=True)


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HASHBENCH_PARAMS", str(folder / "params.yaml"))
    return load_params()


def on_gpu(fitter):
    return replace(fitter, run=fitter.run.model_copy(update={"device": "cuda"}))


def test_on_a_cpu_every_cell_is_fitted_by_itself(here):
    cells = list(cells_of(here, "quick", "contrastive"))
    assert len(cells) == 4
    assert fitter_of(here, "quick", "contrastive").batches(cells) == [(cell,) for cell in cells]


def test_on_a_gpu_the_heads_of_a_method_are_fitted_together(here):
    cells = list(cells_of(here, "quick", "contrastive"))
    assert on_gpu(fitter_of(here, "quick", "contrastive")).batches(cells) == [tuple(cells)]


def test_on_a_gpu_what_needs_none_of_it_is_fitted_by_itself(here):
    fitter = on_gpu(fitter_of(here, "quick", "lsh"))
    assert not fitter.on_gpu
    cells = list(cells_of(here, "quick", "lsh"))
    assert fitter.batches(cells) == [(cell,) for cell in cells]


def test_a_backbone_in_training_has_the_gpu_for_itself(here):
    fitter = on_gpu(fitter_of(here, "quick", "wch"))
    block = fitter.block.model_dump()
    block["backbone"]["value"] = "finetune"
    fitter = replace(fitter, block=type(fitter.block).model_validate(block))
    cells = list(cells_of(here, "quick", "wch"))
    assert fitter.batches(cells) == [(cell,) for cell in cells]


def test_cells_fitted_together_are_kept_like_cells_fitted_alone(here, folder):
    fitter, layout = fitter_of(here, "quick", "contrastive"), Layout("quick")
    cells = list(cells_of(here, "quick", "contrastive"))
    for cell in cells:
        fitter.fit((cell,))
    alone = {cell: store.read_tensors(layout.codes(cell)) for cell in cells}
    for cell in cells:
        layout.codes(cell).unlink()
    assert not any(fitter.is_up_to_date(cell) for cell in cells)
    fitter.fit(tuple(cells))
    assert all(fitter.is_up_to_date(cell) for cell in cells)
    for cell in cells:
        together = store.read_tensors(layout.codes(cell))
        for part, codes in alone[cell].items():
            differing = np.bitwise_count(together[part] ^ codes).sum() / (len(codes) * cell.bits)
            assert differing < 0.01, "but for outputs that rounding moves across zero"
    assert not list(folder.rglob("artefacts/*/checkpoints/**/*.safetensors")), "a finished fit leaves no checkpoint"


def test_another_precision_makes_cells_stale(here):
    fitter = fitter_of(here, "quick", "contrastive")
    (cell, *_) = cells_of(here, "quick", "contrastive")
    fitter.fit((cell,))
    assert fitter.is_up_to_date(cell)
    assert not replace(fitter, run=fitter.run.model_copy(update={"precision": "bf16"})).is_up_to_date(cell)


def test_validate_looks_at_train_rows_alone(here):
    features = open_features(here, "quick", "digits", "vit_micro", frozenset({"pooled", "views"}))
    split, train = validation_part(features, seed=3)
    assert len(split.query) == len(features.split.train) // 10
    assert set(split.query) | set(split.database) == set(features.split.train)
    assert not set(split.query) & set(split.database)
    assert np.array_equal(train.rows, split.database)
    kept = np.flatnonzero(np.isin(features.train.rows, split.database))
    assert np.array_equal(train.pooled, features.train.pooled[kept])
    assert np.array_equal(train.views, features.train.views[:, kept])


def test_validate_prints_a_row_for_every_code_length(folder):
    environment = {**os.environ, "HASHBENCH_PARAMS": str(folder / "params.yaml"), "COLUMNS": "200"}
    arguments = ["validate", "lsh", "--profile", "quick", "--bits", "12", "--bits", "32"]
    command = [sys.executable, "-c", "from hashbench.cli import main; main()", *arguments]
    said = subprocess.run(command, cwd=folder, check=True, env=environment, capture_output=True, text=True).stdout
    rows = [line.split() for line in said.splitlines() if line.split()[:1] == ["digits"]]
    assert [(row[1], row[2]) for row in rows] == [("vit_micro", "12"), ("vit_micro", "32")]
    assert 0.2 < float(rows[0][3]) < float(rows[1][3]) < 1, "longer random codes are better"


def test_fit_shows_a_method_of_one_s_own(here, folder, capsys):
    fit_and_show("baselines/lsh.py", "quick", [], [16])
    out = capsys.readouterr().out
    assert "LSH (this run, one seed)" in out
    assert 0.2 < float(out.split()[-1]) < 1
