"""Write down what each stage of a profile reads of params.yaml and which program it runs; link files put in by hand.

Every other stage depends on what this one wrote, so DVC sees a change of a value, of a source file, of a package's
version or of a linked file where it matters and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel

from hashbench.artefacts.layout import Group, Layout
from hashbench.artefacts.params import write_params
from hashbench.config import selection
from hashbench.config.params import Params, load_params
from hashbench.execution.command import run_stage
from hashbench.execution.sources import link_sources
from hashbench.fingerprint import digest_of_source, program_of
from hashbench.methods.registry import module_of


class ProgramNote(BaseModel):
    """The program of a stage: digest of its sources, and versions of the packages that it computes with.

    `selection`: digest of what picks the values that stages read, which no program counts: where it changes, each stage
    has another look at what it has made.
    """

    selection: str
    code: str
    versions: dict[str, str]


def main(profile: str) -> None:
    """Write the params of every stage of `profile`."""
    params, layout = load_params(), Layout(profile)
    params.profile(profile)
    write_params(layout.params, params_of_stages(params, profile))
    write_params(layout.programs, programs_of_stages(params, profile))
    link_sources(params, profile, layout)


def params_of_stages(params: Params, profile: str) -> dict[str, BaseModel]:
    """What each stage reads, by the name of its file."""
    groups: dict[Group, Iterable[str]] = {
        "methods": params.methods,
        "ablations": params.ablations,
        "official": params.methods,
    }
    found: dict[str, BaseModel] = {
        "fetch": selection.fetch_params(params, profile),
        "split": selection.split_params(params, profile),
        "backbones": selection.backbone_params(params, profile),
        "features": selection.feature_params(params, profile),
    }
    for group, of_group in groups.items():
        for method in of_group:
            found[f"fit/{group}/{method}"] = selection.fit_params(params, profile, group, method)
    for method in params.methods:
        found[f"search/{method}"] = selection.search_params(params, profile, method)
    found["search_report"] = selection.search_report_params(params, profile)
    for group in groups:
        found[f"evaluate/{group}"] = selection.evaluate_params(params, profile, group)
        found[f"report/{group}"] = selection.report_params(params, profile, group)
    return found


def programs_of_stages(params: Params, profile: str) -> dict[str, BaseModel]:
    """Which program each stage runs, by the name of its file."""
    kinds = sorted({params.datasets[name].kind for name in params.profile(profile).datasets})
    roots = {name: [f"hashbench.stages.{name}"] for name in ("split", "backbones", "features", "evaluate")}
    roots["fetch"] = ["hashbench.stages.fetch", *(f"hashbench.data.{kind}" for kind in kinds)]
    codes = {name: block.code for name, block in {**params.methods, **params.ablations}.items()}
    roots |= {f"fit/{name}": ["hashbench.stages.fit", module_of(code)] for name, code in codes.items()}
    searched = {name: block.code for name, block in params.methods.items()}
    roots |= {f"search/{name}": ["hashbench.stages.search", module_of(code)] for name, code in searched.items()}
    roots["search_report"] = [
        "hashbench.stages.search_report",
        *sorted({module_of(code) for code in searched.values()}),
    ]
    roots["report"] = ["hashbench.stages.report", *sorted({module_of(code) for code in codes.values()})]
    programs = {name: program_of(*modules) for name, modules in roots.items()}
    picks = digest_of_source("hashbench.config.selection")
    return {
        name: ProgramNote(selection=picks, code=program.digest, versions=program.versions)
        for name, program in programs.items()
    }


if __name__ == "__main__":
    run_stage(main, "profile")
