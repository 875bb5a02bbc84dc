"""Options that several subcommands have."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from hashbench.errors import HashbenchError

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


def add_rules(parser: argparse.ArgumentParser) -> None:
    """Add the rules of mAP: `--k`, `--denominator` and `--empty`."""
    parser.add_argument("--k", type=whole_number, default=None, help="cut-off of mAP@k (default: all)")
    parser.add_argument(
        "--denominator",
        choices=["relevant_in_top_k", "min_k_relevant", "relevant"],
        default="relevant_in_top_k",
        help="what AP@k is divided by (default: relevant_in_top_k)",
    )
    parser.add_argument("--empty", choices=["zero", "nan"], default="zero", help="queries without relevant items")


NAMED_FILES = "FILE.npz, or NAME=FILE.npz: files of one name are repetitions (seeds) of one method"


def named_files(texts: Sequence[str]) -> dict[str, list[Path]]:
    """The files of each method, by NAME=FILE or by the file's own name; `texts` in the order given.

    Raises HashbenchError where a file stands twice, or two files in different folders have one name and no NAME=.
    """
    found: dict[str, list[Path]] = {}
    for text in texts:
        name, equals, file = text.partition("=")
        is_named = bool(name and equals and file) and not Path(text).is_file()
        path = Path(file if is_named else text)
        name = name if is_named else path.stem
        if path in (other for paths in found.values() for other in paths):
            raise HashbenchError(f"{path} stands twice; give each file once")
        if name in found and not is_named:
            raise HashbenchError(f"{path} and {found[name][0]} have the same name; tell them apart by NAME=FILE")
        found.setdefault(name, []).append(path)
    return found
