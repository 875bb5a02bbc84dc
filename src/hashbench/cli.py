"""The command `hashbench`. Exit status: 0 done, 1 a check failed, 2 a mistake in the call, the params or the files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import NoReturn

from hashbench.stages.command import run_guarded, set_up_log


def build_parser() -> argparse.ArgumentParser:
    """The parser of every subcommand."""
    parser = argparse.ArgumentParser(prog="hashbench", description="Benchmark of unsupervised image hashing.")
    parser.add_argument("--version", action="version", version=f"hashbench {version('hashbench')}")
    loudness = parser.add_mutually_exclusive_group()
    loudness.add_argument("-q", "--quiet", dest="log", action="store_const", const="quiet", help="warnings only")
    loudness.add_argument("-v", "--verbose", dest="log", action="store_const", const="verbose", help="every cell")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, help_text: str, *, profile: bool = True) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help_text, description=help_text)
        if profile:
            sub.add_argument("--profile", default="quick", help="profile of params.yaml (default: quick)")
        return sub

    sub = add("list", "methods, data sets and profiles, with their state", profile=False)
    sub.add_argument("--hyperparameters", action="store_true", help="every hyperparameter with its source")

    sub = add("check", "say what a profile lacks (data, weights, GPU) before any work starts", profile=False)
    sub.add_argument("profile", metavar="PROFILE")

    sub = add("fetch", "download and verify a data set, or say which files to put where", profile=False)
    sub.add_argument("name", metavar="NAME")

    sub = add("splits", "compare two splits", profile=False)
    sub.add_argument("action", choices=["diff"])
    sub.add_argument("a", metavar="A", help="a split file (.safetensors)")
    sub.add_argument("b", metavar="B")

    sub = add("fit", "fit a method on a profile's features and print its row; METHOD may be your own file")
    sub.add_argument("method", metavar="METHOD", help="a name of params.yaml, a Python file, or package.module:Class")
    sub.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="a constructor argument")
    sub.add_argument("--bits", type=whole_number, action="append", help="code length (default: those of the profile)")

    sub = add("validate", "try hyperparameters of a method on held-out train rows, never on query rows")
    sub.add_argument("method", metavar="METHOD", help="a name of params.yaml, a Python file, or package.module:Class")
    sub.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="a constructor argument")
    sub.add_argument("--bits", type=whole_number, action="append", help="code length (default: those of the profile)")

    sub = add("evaluate", "evaluate codes from a file, wherever they were trained", profile=False)
    sub.add_argument("file", metavar="FILE.npz", help="arrays query_codes, db_codes, query_labels, db_labels")
    sub.add_argument("--k", type=whole_number, default=None, help="cut-off of mAP@k (default: all)")
    sub.add_argument("--empty", choices=["zero", "nan"], default="zero", help="queries without relevant items")
    sub.add_argument("--json", action="store_true", help="print JSON")

    sub = add("show", "print a table or a run record, and where the files are")
    sub.add_argument("what", metavar="WHAT", help="table1, table2, table3, figures, ablation, or a run's name")

    sub = add("verify", "recompute every number of a results folder from the stored codes and labels", profile=False)
    sub.add_argument("folder", metavar="RESULTS", help="such as results/quick")
    sub.add_argument("--refit", metavar="METHOD", help="also train this method again and compare its codes")

    sub = add("cite", "BibTeX for a table: hashbench, the table's digest, and the papers of its methods")
    sub.add_argument("table", choices=["table1", "table2", "table3", "ablation"])
    return parser


def whole_number(text: str) -> int:
    """A positive whole number given on the command line."""
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 1")
    return int(text)


def dispatch(arguments: argparse.Namespace) -> int:
    """Call the command; each is imported only when asked for, so that a mistake is answered at once."""
    match arguments.command:
        case "list":
            from hashbench.commands.listing import list_all

            list_all(hyperparameters=arguments.hyperparameters)
        case "check":
            from hashbench.commands.check import check_profile

            check_profile(arguments.profile)
        case "fetch":
            from hashbench.commands.fetch import fetch_dataset

            fetch_dataset(arguments.name)
        case "splits":
            from hashbench.commands.splits import diff

            diff(arguments.a, arguments.b)
        case "fit":
            from hashbench.commands.fit import fit_and_show

            fit_and_show(arguments.method, arguments.profile, arguments.set, arguments.bits)
        case "validate":
            from hashbench.commands.validate import validate

            validate(arguments.method, arguments.profile, arguments.set, arguments.bits)
        case "evaluate":
            from hashbench.evaluation.command import run

            print(run(arguments.file, arguments.k, arguments.empty, as_json=arguments.json))
        case "show":
            from hashbench.commands.show import show

            show(arguments.what, arguments.profile)
        case "verify":
            from hashbench.commands.verify import verify

            return verify(arguments.folder, arguments.refit)
        case "cite":
            from hashbench.commands.cite import cite

            cite(arguments.table, arguments.profile)
    return 0


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Parse, run, exit."""
    arguments = build_parser().parse_args(argv)
    set_up_log(arguments.log)
    sys.exit(run_guarded(lambda: dispatch(arguments)))
