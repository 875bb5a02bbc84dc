"""`hashbench list`: what there is, and how far each profile is."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from hashbench.commands.printing import print_table

if TYPE_CHECKING:
    from rich.table import Table

    from hashbench.config.params import Params

_GROUPS: tuple[Literal["methods"], Literal["ablations"]] = ("methods", "ablations")
HELP = "methods, data sets and profiles, with their state"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("--hyperparameters", action="store_true", help="every hyperparameter with its source")


def run(arguments: argparse.Namespace) -> None:
    """Print the lists."""
    list_all(hyperparameters=arguments.hyperparameters)


def list_all(*, hyperparameters: bool) -> None:
    """Print profiles, data sets, backbones and methods; or every hyperparameter with its source."""
    from hashbench.config.params import load_params

    params = load_params()
    if hyperparameters:
        print_table(_hyperparameters(params))
        return
    evaluated = {profile: _evaluated(params, profile) for profile in params.profiles}
    for table in (_profiles(params, evaluated), _datasets(params), _methods(params, evaluated)):
        print_table(table)
    for line in _left_out(params):
        print(line)


def _table(title: str, *columns: str) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _profiles(params: Params, evaluated: dict[str, Counter[str]]) -> Table:
    table = _table("Profiles", "name", "data sets", "backbones", "bits", "seeds", "device", "cells evaluated")
    for name in params.profiles:
        profile = params.profiles[name]
        done = sum(evaluated[name][method] for method in params.methods)
        table.add_row(
            name,
            ", ".join(profile.datasets),
            ", ".join(profile.backbones),
            ", ".join(map(str, profile.bits)),
            str(len(profile.seeds)),
            profile.device,
            f"{done} of {sum(_cells(params, name)[method] for method in params.methods)}",
        )
    return table


def _datasets(params: Params) -> Table:
    from hashbench.artefacts.layout import Layout

    table = _table("Data sets", "name", "title", "protocol (query, train, database)", "mAP@k", "prepared for")
    for name, dataset in params.datasets.items():
        profiles = [profile for profile in params.profiles if Layout(profile).dataset(name).is_dir()]
        k = "all" if dataset.k is None else str(dataset.k)
        table.add_row(name, dataset.title, dataset.protocol, k, ", ".join(profiles) or "–")
    return table


def _methods(params: Params, evaluated: dict[str, Counter[str]]) -> Table:
    table = _table("Methods", "name", "code", "hyperparameters", "cells evaluated")
    cells = {profile: _cells(params, profile) for profile in evaluated}
    for name, block in {**params.methods, **params.ablations}.items():
        values = ", ".join(f"{key} {entry.value}" for key, entry in block.hyperparameters.items())
        state = ", ".join(
            f"{profile} {done[name]} of {cells[profile][name]}" for profile, done in evaluated.items() if done[name]
        )
        table.add_row(name, block.code, values, state or "–")
    return table


def _left_out(params: Params) -> Iterator[str]:
    """A line for each reason why methods are left out, with the profiles and backbones where."""
    from hashbench.config.left_out import left_out_of

    places: dict[str, list[str]] = {}
    for profile in params.profiles:
        names = [name for group in _GROUPS for name in params.names(profile, group)]
        for on in left_out_of(params, profile, names).values():
            for backbone, why in on.items():
                places.setdefault(why, []).append(f"{profile} on {backbone}")
    yield from (f"Left out of {', '.join(where)}: {why}" for why, where in places.items())


def _evaluated(params: Params, profile: str) -> Counter[str]:
    """How many cells of each method and ablation have been evaluated, whether they are in the results yet or not."""
    from hashbench.artefacts.layout import Layout
    from hashbench.artefacts.records import read_records
    from hashbench.config.selection import evaluate_params

    done: Counter[str] = Counter()
    for group in _GROUPS:
        layout = Layout(profile, group)
        recorded = {record.cell for record in read_records(layout.records)} if layout.records.is_file() else set()
        for cell in evaluate_params(params, profile, group).cells():
            done[cell.method] += cell in recorded or layout.evaluation(cell).is_file()
    return done


def _cells(params: Params, profile: str) -> Counter[str]:
    """How many cells each method and ablation has in a profile."""
    from hashbench.config.selection import evaluate_params

    return Counter(cell.method for group in _GROUPS for cell in evaluate_params(params, profile, group).cells())


def _hyperparameters(params: Params) -> Table:
    table = _table("Hyperparameters", "method", "name", "value", "source", "note")
    for name, block in {**params.methods, **params.ablations}.items():
        for key, entry in block.hyperparameters.items():
            table.add_row(name, key, str(entry.value), entry.source, entry.note)
    for profile_name, profile in params.profiles.items():
        for name, overrides in profile.overrides.items():
            for key, entry in overrides.items():
                table.add_row(f"{name} in {profile_name}", key, str(entry.value), entry.source, entry.note)
    return table
