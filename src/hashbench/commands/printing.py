"""Tables in the terminal, and the same tables in a pipe or a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

_WIDER_THAN_ANY_TABLE = 10_000


def print_table(table: Table) -> None:
    """Print a table: on a terminal as wide as that is, elsewhere as wide as it needs, so that no name is broken."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDER_THAN_ANY_TABLE)
    console.print(table)
