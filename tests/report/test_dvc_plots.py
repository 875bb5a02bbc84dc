"""The plots declared in dvc.yaml name columns that the report writes, and their templates stay readable."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PLOTTED = {
    "map_by_bits.csv": {"x": "bits", "y": "map", "template": "by_method"},
    "pr_by_radius.csv": {"x": "recall", "y": "precision", "template": "by_method_and_bits"},
    "precision_at_k.csv": {"x": "k", "y": "precision@k", "template": "by_method_and_bits"},
    "training.csv": {"x": "step", "y": "value", "template": "training"},
}


def template_of(name):
    return json.loads((ROOT / ".dvc" / "plots" / f"{name}.json").read_text(encoding="utf-8"))


def panel_of(template):
    """The expression by which a template tells its panels apart."""
    return next(step["calculate"] for step in template["transform"] if step["as"] == "panel")


def test_the_pipeline_declares_these_plots():
    declared = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8")).get("plots", [])
    assert {Path(name).name: options for plot in declared for name, options in plot.items()} == PLOTTED


@pytest.mark.parametrize("profile", ["cpu", "cifar10-jpeg", "paper"])
def test_every_profile_has_the_same_plots(profile):
    assert (ROOT / "pipelines" / profile / "dvc.yaml").samefile(ROOT / "dvc.yaml")


@pytest.mark.parametrize("name", PLOTTED)
def test_a_plot_reads_columns_that_the_report_writes(small_report, name):
    options = PLOTTED[name]
    columns = small_report[f"figures/{name}"].splitlines()[0].split(",")
    template = template_of(options["template"])
    made = {step["as"] for step in template["transform"]}
    fields = {channel["field"] for channel in template["encoding"].values()} - made - {"rev"}
    read = set(re.findall(r"datum\.(\w+)", panel_of(template)))
    assert {options["x"], options["y"], *fields, *read} <= set(columns)


@pytest.mark.parametrize("name", ["by_method", "by_method_and_bits", "training"])
def test_methods_are_panels_and_not_colours(name):
    """Ten colours for twenty methods would come round again."""
    template = template_of(name)
    assert template["encoding"]["facet"]["field"] == "panel"
    assert template["encoding"]["color"]["field"] in ("rev", "bits")
    assert {"dataset", "backbone", "method"} <= set(re.findall(r"datum\.(\w+)", panel_of(template)))


def test_losses_of_different_methods_share_no_axis():
    template = template_of("training")
    assert template["resolve"] == {"scale": {"x": "independent", "y": "independent"}}
    assert panel_of(template).endswith("datum.curve")
