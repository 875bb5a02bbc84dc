"""`hashbench verify results/quick`: is every number what this code, these params and these data give?"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "recompute every number of results, or of submissions, from codes and labels; say what is stale or forged"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("folder", metavar="RESULTS", help="results/quick, results/quick/ablations, or submissions")
    parser.add_argument(
        "--refit",
        metavar="METHOD|sample:N",
        help="also train a method, or a sample of N cells drawn from the table's own digest, and compare the codes",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print each fault and note; return 0 if there is no fault, else 1."""
    from hashbench.artefacts.submissions import SUBMISSIONS

    if Path(arguments.folder).resolve() == Path(SUBMISSIONS).resolve():
        from hashbench.errors import HashbenchError
        from hashbench.verification.submissions import verify_submissions

        if arguments.refit is not None:
            raise HashbenchError("--refit is for results: how submitted codes were made is not known")
        return verify_submissions(Path())
    from hashbench.verification.verify import verify

    return verify(arguments.folder, arguments.refit)
