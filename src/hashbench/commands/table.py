"""`hashbench table`: a table of the report, or the part of it that a paper needs, printed in one of four formats."""

from __future__ import annotations

import argparse

HELP = "print a table, or the methods and code lengths of it that a paper needs, as LaTeX, Markdown, CSV or HTML"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("table", choices=["table1", "table2", "table3"])
    parser.add_argument("--profile", default="quick", help="profile of params.yaml (default: quick)")
    parser.add_argument("--methods", type=_names, default=[], metavar="A,B", help="these methods, in this order")
    parser.add_argument("--bits", type=_numbers, default=[], metavar="16,32", help="these code lengths")
    parser.add_argument("--no-std", action="store_true", help="without the standard deviations")
    parser.add_argument("--transpose", action="store_true", help="a column for each method")
    parser.add_argument("--format", choices=["tex", "md", "csv", "html"], default="md", help="default: md")


def run(arguments: argparse.Namespace) -> None:
    """Print the table."""
    from hashbench.artefacts.layout import Layout
    from hashbench.config.params import load_params
    from hashbench.config.selection import report_params
    from hashbench.report.excerpt import excerpt
    from hashbench.report.tables.rendering import RENDERERS
    from hashbench.reporting import tables_bundle_of

    params, layout = load_params(), Layout(arguments.profile)
    table = excerpt(
        tables_bundle_of(report_params(params, arguments.profile, "methods"), layout),
        arguments.table,
        arguments.methods,
        arguments.bits,
        with_spread=not arguments.no_std,
        transpose=arguments.transpose,
    )
    print(RENDERERS[arguments.format](table), end="")


def _names(text: str) -> list[str]:
    names = text.split(",")
    if not all(names):
        raise argparse.ArgumentTypeError(f"'{text}' is not a list of names such as wch,nsh")
    return list(dict.fromkeys(names))


def _numbers(text: str) -> list[int]:
    if not all(part.isascii() and part.isdigit() and int(part) for part in text.split(",")):
        raise argparse.ArgumentTypeError(f"'{text}' is not a list of code lengths such as 16,32")
    return [int(part) for part in text.split(",")]
