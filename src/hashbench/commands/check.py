"""`hashbench check PROFILE`: what a profile lacks, before any work starts."""

from __future__ import annotations

import argparse

HELP = "say what a profile lacks (data, weights, GPU, pipeline), and how long it takes, before any work starts"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("profile", metavar="PROFILE")
    for option in ("ablations", "official", "search"):
        parser.add_argument(f"--{option}", action="store_true", help="show DVC the pipeline of that name as well")


def run(arguments: argparse.Namespace) -> None:
    """Print what a run on a GPU is expected to take, what it would fetch, and which methods it leaves out.

    Raises HashbenchError that names all that the profile lacks.
    What a killed run left half written is cleared first; DVC is shown the profile's pipeline, and the files that were
    put in place by hand since the last run.
    """
    from hashbench.artefacts.layout import Layout
    from hashbench.config.left_out import left_out_of
    from hashbench.config.params import Group, load_params
    from hashbench.errors import HashbenchError
    from hashbench.execution.estimate import lines_of
    from hashbench.execution.pipelines import BESIDE, open_beside, open_pipeline, pipeline_of
    from hashbench.execution.recovery import remove_half_written
    from hashbench.execution.requirements import missing_of
    from hashbench.execution.sources import link_sources

    remove_half_written()
    params, layout = load_params(), Layout(arguments.profile)
    params.profile(arguments.profile)
    open_pipeline(pipeline_of(arguments.profile))
    for what in BESIDE:
        if getattr(arguments, what):
            open_beside(arguments.profile, what)
    for line in lines_of(params, arguments.profile):
        print(f"estimate: {line}")
    missing = list(missing_of(params, arguments.profile))
    groups: tuple[Group, ...] = ("methods", "ablations") if arguments.ablations else ("methods",)
    names = [name for group in groups for name in params.names(arguments.profile, group)]
    left_out = [why for on in left_out_of(params, arguments.profile, names).values() for why in on.values()]
    if layout.sources.is_dir():
        link_sources(params, arguments.profile, layout)
    for each in missing:
        if each.is_fetched:
            print(f"to be fetched: {each.text}")
    lacking = [each.text for each in missing if not each.is_fetched]
    for why in dict.fromkeys(left_out):
        print(f"left out: {why}")
    if lacking:
        raise HashbenchError("\n  ".join([f"profile {arguments.profile} cannot start:", *lacking]))
    print(f"profile {arguments.profile}: nothing is missing" + (", the rest is fetched" if missing else ""))
