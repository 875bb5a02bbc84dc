"""`hashbench cite table1`: BibTeX for a table and for the methods in it."""

from __future__ import annotations

import argparse
from typing import Literal

from hashbench.commands.options import add_profile

HELP = "BibTeX for a table: hashbench, the table's digest, and the papers of its methods"

_GROUP_OF: dict[str, Literal["methods", "ablations", "official"]] = {"ablation": "ablations", "official": "official"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("table", choices=["table1", "table2", "table3", "ablation", "official"])
    add_profile(parser)


def run(arguments: argparse.Namespace) -> None:
    """Print the BibTeX of a table."""
    cite(arguments.table, arguments.profile)


def cite(table: str, profile: str) -> None:
    """Print the BibTeX that was written with the table: hashbench, the table's digest, and its methods' papers."""
    from hashbench.artefacts.layout import Layout
    from hashbench.config.params import load_params
    from hashbench.errors import HashbenchError

    load_params().profile(profile)
    group = _GROUP_OF.get(table, "methods")
    layout = Layout(profile, group)
    paths = [folder / f"{table}.bib" for folder in (layout.results, layout.seconds.parent)]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        session = "reproduce_table1" if group == "methods" else group
        raise HashbenchError(f"{table}.bib is not in {layout.results}; run `nox -s {session} -- --profile {profile}`")
    print(path.read_text(encoding="utf-8"), end="")
