"""`hashbench cite table1`: BibTeX for a table and for the methods in it."""

from __future__ import annotations

from hashbench.errors import HashbenchError
from hashbench.layout import Layout
from hashbench.params import load_params


def cite(table: str, profile: str) -> None:
    """Print the BibTeX that was written with the table: hashbench, the table's digest, and its methods' papers."""
    load_params().profile(profile)
    path = Layout(profile).results / f"{table}.bib"
    if not path.is_file():
        raise HashbenchError(f"{path} is missing; run `nox -s reproduce_table1 -- --profile {profile}`")
    print(path.read_text(encoding="utf-8"), end="")
