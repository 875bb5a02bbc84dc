"""Methods with official settings: their fits have the authors' values, their lengths cut to the steps of the search."""

from __future__ import annotations

from pathlib import Path

from helpers import read_params, write_params

from hashbench.cells import Cell
from hashbench.config.params import load_params
from hashbench.config.selection import fit_params
from hashbench.fitter import Fitter

CELL = Cell("digits", "vit_micro", "contrastive", 12, 0)


def test_a_fit_has_the_official_values_and_a_length_that_was_cut(project: Path) -> None:
    params = read_params(project)
    params["official"]["contrastive"]["learning_rate"] = {"value": 0.25, "source": "paper"}
    write_params(project, params)
    searched, official = (
        Fitter("quick", fit_params(load_params(), "quick", group, "contrastive")) for group in ("methods", "official")
    )
    asked = searched.params.hyperparameters
    assert searched.made_from(CELL).hyperparameters == asked
    epochs = 24 // (140 // int(asked["batch_size"] or 0))  # 24 steps at most on 140 of the project's 200 train rows
    assert official.params.hyperparameters["epochs"] == 100
    found = official.made_from(CELL)
    assert found.hyperparameters == {**asked, "learning_rate": 0.25, "epochs": epochs}
    assert found.fingerprint(12) != searched.made_from(CELL).fingerprint(12)
    (fitted,) = official.fitted((CELL,))
    assert {len(values) for values in fitted.log.curves.values()} == {epochs}
    assert official.layout.codes(CELL) != searched.layout.codes(CELL)
    assert official.layout.checkpoint(CELL) != searched.layout.checkpoint(CELL)
