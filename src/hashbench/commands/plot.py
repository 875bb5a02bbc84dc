"""`hashbench plot A [B ...]`: precision-recall, precision@k and radius curves of codes from files."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hashbench.commands.options import NAMED_FILES, named_files

if TYPE_CHECKING:
    from hashbench.evaluation.given import GivenCodes
    from hashbench.report.figures.of_files import Curves
    from hashbench.types import Array

HELP = "draw precision-recall, precision@k and radius curves of codes from files"
_POINTS = 60  # of a curve over ranks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("files", nargs="+", metavar="FILE", help=NAMED_FILES)
    parser.add_argument(
        "--out", type=_picture, default=Path("curves.svg"), help="a .svg, .png, .pdf, or .csv of the points"
    )


def run(arguments: argparse.Namespace) -> None:
    """Draw the curves of all methods into one file."""
    from hashbench.artefacts import store
    from hashbench.evaluation.contestants import read_methods, require_one_split
    from hashbench.report.figures.of_files import Curves, curves_of_files
    from hashbench.report.figures.style import IMAGES, drawing, freeze
    from hashbench.report.tables.rendering import csv_text

    files = named_files(arguments.files)
    methods = read_methods(files)
    for name, given in methods.items():
        require_one_split({name: given}, files)
    curves = [Curves.mean_of(name, [_curves(name, each) for each in given]) for name, given in methods.items()]
    with drawing():
        plot = curves_of_files(curves)
        freeze(plot.figure)
        ending = arguments.out.suffix[1:]
        content = csv_text(plot.data) if ending == "csv" else IMAGES[ending](plot.figure)
    with store.replacing(arguments.out) as temporary:
        temporary.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    print("\n".join([str(arguments.out), *_notes(methods)]))


def _picture(text: str) -> Path:
    path = Path(text)
    if path.suffix not in (".svg", ".png", ".pdf", ".csv"):
        raise argparse.ArgumentTypeError(f"'{text}' must end in .svg, .png, .pdf or .csv")
    return path


def _ranks(n_database: int) -> Array:
    """Ranks from 1 to the whole database, evenly spaced on a logarithmic axis."""
    import numpy as np

    return np.unique(np.geomspace(1, n_database, _POINTS).round().astype(np.int64))


def _notes(methods: Mapping[str, Sequence[GivenCodes]]) -> list[str]:
    """A line for each method whose split is not that of the first: its curves are drawn, and prove nothing."""
    from hashbench.evaluation.given import split_difference

    (first, (reference, *_)), *others = methods.items()
    told = ((name, split_difference(reference, given[0])) for name, given in others)
    return [
        f"note: {first} and {name} are of different splits ({difference})" for name, difference in told if difference
    ]


def _curves(name: str, given: GivenCodes) -> Curves:
    from hashbench.evaluation.contestants import evaluate_given
    from hashbench.report.figures.of_files import Curves

    ranks = _ranks(len(given.database_labels))
    found = evaluate_given(given, ranks=ranks)
    return Curves(
        name,
        ranks.tolist(),
        found.precision_at.tolist(),
        found.recall_at.tolist(),
        found.radius_precision.tolist(),
        found.radius_recall.tolist(),
    )
