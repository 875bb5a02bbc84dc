"""`hashbench verify results/quick`: is every number what this code, these params and these data give?"""

from __future__ import annotations

import argparse

HELP = "recompute every number of a results folder from its codes and labels, and say what is stale or forged"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("folder", metavar="RESULTS", help="such as results/quick or results/quick/ablations")
    parser.add_argument(
        "--refit",
        metavar="METHOD|sample:N",
        help="also train a method, or a sample of N cells drawn from the table's own digest, and compare the codes",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print each fault and note; return 0 if there is no fault, else 1."""
    from hashbench.verification.verify import verify

    return verify(arguments.folder, arguments.refit)
