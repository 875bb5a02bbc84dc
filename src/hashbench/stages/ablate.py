"""The ablation table of a profile: each variant beside the method that it changes."""

from __future__ import annotations

from dataclasses import replace

from hashbench import store
from hashbench.layout import Layout, cells_of
from hashbench.params import load_params
from hashbench.report.bundle import Ablation
from hashbench.report.rendering import RENDERERS
from hashbench.report.results import Results
from hashbench.report.tables import ablation_table
from hashbench.stages.command import log, run_stage
from hashbench.stages.evaluate import read_record


def main(profile: str) -> None:
    """Write the ablation table of `profile` in every format."""
    params, layout = load_params(), Layout(profile)
    variants: dict[str, list[str]] = {}
    for name, block in params.ablations.items():
        base = next(method for method, other in params.methods.items() if other.code == block.code)
        variants.setdefault(base, []).append(name)
    groups = {**dict.fromkeys(variants, layout), **dict.fromkeys(params.ablations, replace(layout, group="ablations"))}
    records = [
        read_record(group.record(cell)) for name, group in groups.items() for cell in cells_of(params, profile, name)
    ]
    results = Results(records, list(groups), params.profile(profile).datasets, {})
    ablations = [Ablation(base, tuple(names)) for base, names in variants.items()]
    table = ablation_table(results, ablations, profile)
    if table is not None:
        for ending, render in RENDERERS.items():
            store.write_text(layout.results / "ablations" / f"ablation.{ending}", render(table))
    log.info("ablations: %d runs, see %s", len(records), layout.results / "ablations" / "ablation.md")


if __name__ == "__main__":
    run_stage(main, "profile")
