"""`hashbench fetch NAME`: get a data set's files, or learn where to put them."""

from __future__ import annotations

import argparse

HELP = "download and verify a data set, or say which files to put where"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("name", metavar="NAME", help="a data set of params.yaml")


def run(arguments: argparse.Namespace) -> None:
    """Find or download the files of a data set of params.yaml, verify and load them, and say what was found."""
    from hashbench.config.params import known, load_params
    from hashbench.data.base import Source
    from hashbench.data.registry import load_dataset

    block = known("data set", arguments.name, load_params().datasets)
    dataset = load_dataset(block.kind, Source.default(arguments.name), block.load_options)
    print(f"{block.title}: {len(dataset)} images, {len(dataset.class_names)} classes, verified")
