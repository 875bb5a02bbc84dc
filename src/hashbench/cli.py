"""The command `hashbench`. Exit status: 0 done, 1 a check failed, 2 a mistake in the call, the params or the files."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

COMMANDS = (
    "list",
    "check",
    "fetch",
    "new",
    "splits",
    "fit",
    "validate",
    "search",
    "adopt",
    "evaluate",
    "compare",
    "explain",
    "plot",
    "submit",
    "show",
    "table",
    "verify",
    "cite",
)


def build_parser() -> argparse.ArgumentParser:
    """The parser of every subcommand; each is a file of `hashbench.commands`."""
    parser = argparse.ArgumentParser(prog="hashbench", description="Benchmark of unsupervised image hashing.")
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    parser.add_argument(
        "--print-completion", action=_Completion, choices=["bash", "zsh", "tcsh"], help="completion for a shell"
    )
    loudness = parser.add_mutually_exclusive_group()
    loudness.add_argument("-q", "--quiet", dest="log", action="store_const", const="quiet", help="warnings only")
    loudness.add_argument("-v", "--verbose", dest="log", action="store_const", const="verbose", help="every cell")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = import_module(f"hashbench.commands.{name}")
        command = commands.add_parser(name, help=module.HELP, description=module.HELP)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


class _Version(argparse.Action):
    """Looks the version up when it is asked for: that takes longer than all else."""

    def __call__(self, parser: argparse.ArgumentParser, *unused: Any) -> NoReturn:
        from importlib.metadata import version

        print(f"hashbench {version('hashbench')}")
        parser.exit()


class _Completion(argparse.Action):
    """Prints what a shell needs to complete commands, options and their values: source it, or put it where it looks."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, shell: Any, option: Any = None) -> NoReturn:
        import shtab

        print(shtab.complete(parser, shell))
        parser.exit()


def _write_in_any_locale() -> None:
    """A terminal or pipe that cannot show a character gets a question mark for it, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Parse, run, exit."""
    _write_in_any_locale()
    arguments = build_parser().parse_args(argv)
    from hashbench.execution.command import run_guarded, set_up_log  # after what --help needs: it loads params

    def run() -> int | None:
        set_up_log(arguments.log)
        status: int | None = arguments.run(arguments)
        return status

    sys.exit(run_guarded(run))
