"""`hashbench list`: what there is, and how far each profile is."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from hashbench.layout import Layout, cells_of
from hashbench.params import Params, load_params


def list_all(*, hyperparameters: bool) -> None:
    """Print profiles, data sets, backbones and methods; or every hyperparameter with its source."""
    params, console = load_params(), Console()
    if hyperparameters:
        console.print(_hyperparameters(params))
        return
    for table in (_profiles(params), _datasets(params), _methods(params)):
        console.print(table)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _profiles(params: Params) -> Table:
    table = _table("Profiles", "name", "data sets", "backbones", "bits", "seeds", "device", "cells evaluated")
    for name, profile in params.profiles.items():
        done, cells = _evaluated(params, name, params.methods)
        table.add_row(
            name,
            ", ".join(profile.datasets),
            ", ".join(profile.backbones),
            ", ".join(map(str, profile.bits)),
            str(len(profile.seeds)),
            profile.device,
            f"{done} of {cells}",
        )
    return table


def _datasets(params: Params) -> Table:
    table = _table("Data sets", "name", "title", "protocol (query, train, database)", "mAP@k", "prepared for")
    for name, dataset in params.datasets.items():
        profiles = [profile for profile in params.profiles if Layout(profile).dataset(name).is_dir()]
        k = "all" if dataset.k is None else str(dataset.k)
        table.add_row(name, dataset.title, dataset.protocol, k, ", ".join(profiles) or "–")
    return table


def _methods(params: Params) -> Table:
    table = _table("Methods", "name", "code", "hyperparameters", "cells evaluated")
    for name, block in {**params.methods, **params.ablations}.items():
        values = ", ".join(f"{key} {entry.value}" for key, entry in block.hyperparameters.items())
        done = {profile: _evaluated(params, profile, [name]) for profile in params.profiles}
        state = ", ".join(f"{profile} {part} of {whole}" for profile, (part, whole) in done.items() if part)
        table.add_row(name, block.code, values, state or "–")
    return table


def _evaluated(params: Params, profile: str, methods: Iterable[str]) -> tuple[int, int]:
    """How many cells of these methods have a run record, and how many there are."""
    records = [
        Layout(profile, "ablations" if method in params.ablations else "methods").record(cell)
        for method in methods
        for cell in cells_of(params, profile, method)
    ]
    return sum(path.is_file() for path in records), len(records)


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
