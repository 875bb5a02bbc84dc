"""`hashbench adopt`: write what the search of a profile chose into params.yaml."""

from __future__ import annotations

import argparse
from typing import Any

from hashbench.commands.options import add_profile

HELP = "write what a profile's search chose into params.yaml, as overrides of the profile"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add_profile(parser)


def run(arguments: argparse.Namespace) -> None:
    """Give each method of the profile's search its chosen setting, in place of what an earlier search chose for it.

    Comments and all other lines stay as they are. Raises HashbenchError where the profile has no results of a search,
    or has a value by hand where the search chose one.
    """
    from dvc.utils.serialize import loads_yaml, modify_yaml  # params.yaml has the form in which DVC writes it

    from hashbench.config.params import params_path
    from hashbench.search.choices import as_yaml

    profile = arguments.profile
    settings = _settings(profile)
    with modify_yaml(str(params_path())) as written:
        chosen = written["profiles"][profile]
        chosen["overrides"] = chosen["overrides"] or {}
        for method, values in settings.items():
            by_hand = _by_hand(f"profiles.{profile}.overrides.{method}", chosen["overrides"].get(method, {}), values)
            chosen["overrides"][method] = {**by_hand, **loads_yaml(as_yaml(values), typ="rt")}
    print(f"{params_path()}: the profile {profile} has the searched settings of {len(settings)} methods")


def _settings(profile: str) -> dict[str, dict[str, Any]]:
    """What the committed search of a profile chose, by method."""
    from hashbench.artefacts.layout import Layout
    from hashbench.config.params import load_params
    from hashbench.config.selection import search_params
    from hashbench.search.choices import adopted
    from hashbench.search.trials import by_method, read_fits

    params = load_params()
    params.profile(profile)
    fits = by_method(read_fits(Layout(profile).search / "trials.csv"))
    asked = {method: search_params(params, profile, method) for method in fits if method in params.methods}
    return {method: adopted(fits[method], before.fit.hyperparameters, before.space) for method, before in asked.items()}


def _by_hand(where: str, entries: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """The entries of a method that no search chose."""
    from hashbench.errors import HashbenchError

    kept = {name: entry for name, entry in entries.items() if entry["source"] != "search"}
    for name in kept.keys() & values.keys():
        raise HashbenchError(
            f"key '{where}.{name}' has a value by hand, with which the search began; move it to methods or take it out"
        )
    return kept
