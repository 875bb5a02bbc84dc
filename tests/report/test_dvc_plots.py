"""The plots declared in dvc.yaml name columns that the report writes, in every profile."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def plots_of(path):
    """File name -> (folder as DVC reads it, options), of the top-level plots of a dvc.yaml."""
    declared = yaml.safe_load(path.read_text(encoding="utf-8"))["plots"]
    return {Path(name).name: (Path(name).parent, options) for plot in declared for name, options in plot.items()}


PLOTS = plots_of(ROOT / "dvc.yaml")


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_reads_columns_that_the_report_writes(small_report, name):
    options = PLOTS[name][1]
    columns = small_report[f"figures/{name}"].splitlines()[0].split(",")
    template = json.loads((ROOT / ".dvc" / "plots" / f"{options['template']}.json").read_text(encoding="utf-8"))
    fields = {channel["field"] for channel in template["encoding"].values()} - {"x", "y", "rev"}
    assert {options["x"], options["y"], *fields} <= set(columns)


@pytest.mark.parametrize("profile", ["cpu", "cifar10-jpeg", "paper"])
def test_every_profile_declares_the_same_plots(profile):
    plots = plots_of(ROOT / "pipelines" / profile / "dvc.yaml")
    assert plots == {name: (Path("../..") / folder, options) for name, (folder, options) in PLOTS.items()}
