"""`hashbench splits diff A B`: where two splits differ."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "compare two splits"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("action", choices=["diff"])
    parser.add_argument("a", metavar="A", type=Path, help="a split file (.safetensors)")
    parser.add_argument("b", metavar="B", type=Path)


def run(arguments: argparse.Namespace) -> None:
    """Print how two split files differ."""
    from hashbench.artefacts.split import read_split
    from hashbench.data.splits import diff_splits

    print(diff_splits(read_split(arguments.a), read_split(arguments.b)))
