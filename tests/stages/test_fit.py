"""Which cells are fitted together, where, and what is left of a fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import flip_a_byte, small_params, stage, write_params

from hashbench import fitter
from hashbench.artefacts import fits, store
from hashbench.artefacts.features import read_record
from hashbench.artefacts.layout import Layout
from hashbench.artefacts.split import read_split
from hashbench.artefacts.weights import weights_path
from hashbench.features.specs import BackboneTraining
from hashbench.fitter import Fitter

LAYOUT = Layout("quick")
METHODS = ("wch", "contrastive", "cibhash", "lsh")
TRAINING = {"learning_rate": 1e-4, "batch_norm": "evaluation", "rates": {"vit_micro": {"proj_drop_rate": 0.1}}}


@pytest.fixture(scope="module")
def folder(finished: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with the features of the digits, and four methods that are cut short and not fitted.

    One of them, cibhash, trains the backbone along.
    """
    folder = finished(tmp_path_factory.mktemp("stages") / "checkout")
    profile = {"datasets": ["digits"], "bits": [12, 16], "seeds": [0, 1], "views": 2, "overrides": {}}
    profile["backbone_training_of"] = {"cibhash": TRAINING}
    params = small_params(METHODS, profile, epochs=2)
    params["backbones"]["vit_micro"]["weights"]["epochs"] = 1
    write_params(folder, params)
    stage(folder, "params")
    return folder


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The checkout as the working directory, and nothing remembered of another one."""
    monkeypatch.chdir(folder)
    yield
    fitter._opened.clear()


def changed(found: Fitter, **params: Any) -> Fitter:
    return replace(found, params=found.params.model_copy(update=params))


@pytest.fixture
def contrastive() -> Fitter:
    return Fitter.read("quick", "methods", "contrastive")


def test_on_a_cpu_every_cell_is_fitted_by_itself(contrastive: Fitter) -> None:
    cells = list(contrastive.params.cells())
    assert len(cells) == 4
    assert contrastive.batches(cells) == [(cell,) for cell in cells]


def test_on_a_gpu_the_heads_of_a_method_are_fitted_together(contrastive: Fitter) -> None:
    cells = list(contrastive.params.cells())
    assert changed(contrastive, device="cuda").batches(cells) == [tuple(cells)]


def test_on_a_gpu_what_needs_none_of_it_is_fitted_by_itself() -> None:
    lsh = changed(Fitter.read("quick", "methods", "lsh"), device="cuda")
    assert not lsh.on_gpu
    cells = list(lsh.params.cells())
    assert lsh.batches(cells) == [(cell,) for cell in cells]


def test_a_backbone_in_training_has_the_gpu_for_itself() -> None:
    cibhash = Fitter.read("quick", "methods", "cibhash")
    cells = list(cibhash.params.cells())
    frozen, trained = changed(cibhash, device="cuda", backbone_training=None), changed(cibhash, device="cuda")
    assert (frozen.trains_backbone, trained.trains_backbone) == (False, True)
    assert frozen.batches(cells) == [tuple(cells)]
    assert trained.batches(cells) == [(cell,) for cell in cells]


def weights_of(found: Fitter) -> Path:
    return weights_path(LAYOUT, "digits", "vit_micro", found.params.backbones["vit_micro"])


def test_a_run_that_trains_the_backbone_reads_pictures_in_place_of_views() -> None:
    cibhash = Fitter.read("quick", "methods", "cibhash")
    assert cibhash.needs == {"pooled", "images", "backbone"}
    assert changed(cibhash, backbone_training=None).needs == {"pooled", "views"}
    (cell, *_) = cibhash.params.cells()
    read = {path.name for path in cibhash.reads((cell,))}
    assert "views.npy" not in read
    assert any("images" in name for name in read)
    assert weights_of(cibhash) in cibhash.reads((cell,)).values()
    features = cibhash.features("digits", "vit_micro")
    assert features.train.images is not None
    assert features.train.backbone is features.items(np.arange(3)).backbone is not None


def training_with(**changes: Any) -> BackboneTraining:
    return BackboneTraining.model_validate({**TRAINING, **changes})


def test_whatever_decides_a_trained_backbone_makes_cells_stale() -> None:
    cibhash = Fitter.read("quick", "methods", "cibhash")
    (cell, *_) = cibhash.params.cells()
    made_from = cibhash.made_from(cell)
    assert made_from.backbone_training is not None
    assert made_from.backbone_training["rates"] == {"proj_drop_rate": 0.1}
    assert made_from.backbone_training["augmentation"]["hue"] == cibhash.params.augmentations["digits"].hue
    other = {"digits": cibhash.params.augmentations["digits"].model_copy(update={"hue": 0.5})}
    decisive = [
        {"backbone_training": None},
        {"augmentations": other},
        *(
            {"backbone_training": training_with(**change)}
            for change in (
                {"learning_rate": 2e-4},
                {"batch_norm": "training"},
                {"last_layers": 1},
                {"rates": {}},
                {"rates": {"vit_micro": {"proj_drop_rate": 0.2}}},
            )
        ),
    ]
    found = {changed(cibhash, **change).made_from(cell).fingerprint(cell.bits) for change in decisive}
    assert len(found | {made_from.fingerprint(cell.bits)}) == 1 + len(decisive)
    elsewhere = training_with(rates={**TRAINING["rates"], "vgg16": {"drop_rate": 0.5}})
    for change in ({"backbone_training": elsewhere}, {"checkpoint_layers": True}):
        assert changed(cibhash, **change).made_from(cell) == made_from, "what decides nothing here"


def test_a_frozen_backbone_was_trained_in_no_way(contrastive: Fitter) -> None:
    (cell, *_) = contrastive.params.cells()
    assert contrastive.made_from(cell).backbone_training is None
    trained = {"backbone_training": training_with()}
    assert changed(contrastive, **trained).made_from(cell).backbone_training is not None
    for code in ("baselines/tbh.py", "baselines/sgh.py", "baselines/lsh.py"):
        keeps = changed(contrastive, code=code, **trained)
        assert not keeps.trains_backbone
        assert keeps.backbone_training("digits", "vit_micro") is None
        assert keeps.trainable_backbone("digits", "vit_micro") is None


def test_a_trained_backbone_is_kept_with_its_head(folder: Path) -> None:
    cibhash = Fitter.read("quick", "methods", "cibhash")
    (cell, *_) = cibhash.params.cells()
    weights = weights_of(cibhash)
    before = weights.read_bytes()
    cibhash.fit((cell,))
    assert cibhash.is_up_to_date(cell)
    assert not changed(cibhash, backbone_training=None).is_up_to_date(cell)
    assert weights.read_bytes() == before
    kept = fits.read_fit(LAYOUT, cell).record
    assert kept.backbone_training == cibhash.made_from(cell).backbone_training
    loaded, features = cibhash.new_method("digits"), cibhash.features("digits", "vit_micro")
    loaded.load_state_dict(store.read_tensors(LAYOUT.model(cell)))
    query, _ = fits.read_codes(LAYOUT, cell, read_split(LAYOUT.split("digits")))
    assert np.array_equal(loaded.encode(features.items(query.rows)), query.unpack())


def test_cells_fitted_together_are_kept_like_cells_fitted_alone(contrastive: Fitter, folder: Path) -> None:
    cells = list(contrastive.params.cells())
    for cell in cells:
        contrastive.fit((cell,))
    alone = {cell: store.read_tensors(LAYOUT.codes(cell)) for cell in cells}
    for cell in cells:
        LAYOUT.codes(cell).unlink()
    assert not any(contrastive.is_up_to_date(cell) for cell in cells)
    contrastive.fit(tuple(cells))
    assert all(contrastive.is_up_to_date(cell) for cell in cells)
    for cell in cells:
        together = store.read_tensors(LAYOUT.codes(cell))
        for part, codes in alone[cell].items():
            differing = np.bitwise_count(together[part] ^ codes).sum() / (len(codes) * cell.bits)
            assert differing < 0.01, "but for outputs that rounding moves across zero"
    assert not list(folder.rglob("artefacts/*/checkpoints/**/*.safetensors")), "a finished fit leaves no checkpoint"


def test_a_fit_says_what_it_was_made_from() -> None:
    lsh = Fitter.read("quick", "methods", "lsh")
    cell = next(lsh.params.cells())
    lsh.fit((cell,))
    stored = fits.read_fit(LAYOUT, cell)
    assert stored.record.split == read_split(LAYOUT.split("digits")).digest
    assert stored.record.features == read_record(LAYOUT, "digits", "vit_micro").digest
    assert stored.record.seed == cell.derived_seed(lsh.params.base_seed)
    assert stored.record.code == lsh.program.digest
    assert (stored.record.device, stored.record.precision) == ("cpu", "fp32")
    assert stored.fingerprint == stored.record.fingerprint(cell.bits)
    query, database = fits.read_codes(LAYOUT, cell, read_split(LAYOUT.split("digits")))
    assert stored.codes_digest == fits.codes_digest(query, database)
    assert (len(query), len(database)) == (200, 1097)


@pytest.mark.parametrize(
    "change",
    [
        {"precision": "bf16"},
        {"device": "cuda"},
        {"base_seed": 2023},
        {"hyperparameters": {"epochs": 3}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_decides_the_codes_makes_cells_stale(contrastive: Fitter, change: dict[str, Any]) -> None:
    (cell, *_) = contrastive.params.cells()
    contrastive.fit((cell,))
    assert contrastive.is_up_to_date(cell)
    assert not changed(contrastive, **change).is_up_to_date(cell)


def test_a_damaged_model_or_code_file_makes_its_cell_stale(contrastive: Fitter) -> None:
    (cell, other, *_) = contrastive.params.cells()
    contrastive.fit((cell,))
    contrastive.fit((other,))
    for path in (LAYOUT.model(cell), LAYOUT.codes(cell)):
        flip_a_byte(path)
        assert not contrastive.is_up_to_date(cell)
        assert contrastive.is_up_to_date(other)
        contrastive.fit((cell,))
        assert contrastive.is_up_to_date(cell)


def test_every_file_that_a_fit_opens_is_named_for_other_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fit in a folder that holds these files and nothing else leaves what it leaves here."""
    for method in METHODS:
        found = Fitter.read("quick", "methods", method)
        cell = next(found.params.cells())
        found.fit((cell,))
        expected = {path: path.read_bytes() for path in found.writes((cell,)) if path.suffix == ".safetensors"}
        elsewhere = tmp_path / method
        for place, path in found.reads((cell,)).items():
            (elsewhere / place).parent.mkdir(parents=True, exist_ok=True)
            (elsewhere / place).write_bytes(path.read_bytes())
        with monkeypatch.context() as there:
            there.chdir(elsewhere)
            fitter._opened.clear()
            Fitter.read("quick", "methods", method).fit((cell,))
            assert {path: path.read_bytes() for path in expected} == expected
