"""`hashbench evaluate FILE.npz`: evaluate codes wherever they were trained."""

from __future__ import annotations

import argparse

from hashbench.commands.options import whole_number

HELP = "evaluate codes from a file, wherever they were trained"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "file",
        metavar="FILE.npz",
        help="arrays query_codes, db_codes, query_labels, db_labels; query_logits, real-valued queries, if any",
    )
    parser.add_argument("--k", type=whole_number, default=None, help="cut-off of mAP@k (default: all)")
    parser.add_argument("--empty", choices=["zero", "nan"], default="zero", help="queries without relevant items")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> None:
    """Print every number that follows from the codes and labels of a file."""
    from hashbench.evaluation import command

    print(command.run(arguments.file, arguments.k, arguments.empty, as_json=arguments.json))
