"""Options that several subcommands have."""

from __future__ import annotations

import argparse

FILE_COMPLETION = {"bash": "_shtab_compgen_files", "zsh": "_files", "tcsh": "f"}
"""What shtab calls where a file name is to be completed; its own constant would cost its import in every call."""


def add_profile(parser: argparse.ArgumentParser) -> None:
    """Add `--profile`."""
    parser.add_argument("--profile", default="quick", help="profile of params.yaml (default: quick)")


def whole_number(text: str) -> int:
    """A positive whole number given on the command line."""
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 1")
    return int(text)
