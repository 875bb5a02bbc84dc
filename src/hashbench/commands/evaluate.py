"""`hashbench evaluate FILE`: evaluate codes from files of any kind, wherever they were trained."""

from __future__ import annotations

import argparse
from pathlib import Path

from hashbench.commands.options import FILE_COMPLETION, whole_number

HELP = "evaluate codes from files of any kind, wherever they were trained"
EXAMPLES = """\
examples:
  hashbench evaluate codes.npz --k 1000
      one file with usual names: query_codes db_codes query_labels db_labels, qB rB qL rL, B_te B_db L_te L_db, ...
  hashbench evaluate --query-codes q.npy --database-codes d.npy \\
      --query-labels labels.mat:test_y --database-labels labels.mat:base_y --k 100,1000,all
      arrays of several files, by name; three cut-offs at once
  hashbench evaluate outputs.pt --binarize sign --format csv
      real-valued outputs of a network, to read in a spreadsheet

formats: .npz .npy .mat (5 and 7.3) .h5 .pt .safetensors .csv .tsv .parquet
"""
_ARRAYS = {
    "query-codes": "codes of the queries",
    "database-codes": "codes of the database",
    "query-labels": "labels of the queries",
    "database-labels": "labels of the database",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    file = parser.add_argument("file", metavar="FILE", nargs="?", help="holds all arrays that no option names")
    file.complete = FILE_COMPLETION  # type: ignore[attr-defined]  # where shtab looks for it
    where = parser.add_argument_group("where an array is", "FILE, FILE:KEY, or :KEY of the FILE that holds all")
    for name, what in _ARRAYS.items():
        option = where.add_argument(f"--{name}", metavar="FILE[:KEY]", help=what)
        option.complete = FILE_COMPLETION  # type: ignore[attr-defined]
    where.add_argument("--query-rows", metavar="FILE[:KEY]", help="the database row of each query: it is left out")
    where.add_argument("--query-logits", metavar="FILE[:KEY]", help="real values of the queries: ranked by, apart")
    _add_reading(parser.add_argument_group("how to read what could be read in several ways"))
    _add_measures(parser.add_argument_group("what to measure"))
    parser.add_argument("--format", choices=["table", "json", "csv"], default="table", help="default: table")
    parser.add_argument(
        "--resume", type=Path, metavar="FOLDER", help="keep finished blocks of queries in FOLDER, and go on from there"
    )


def _add_reading(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--packed", type=whole_number, metavar="BITS", help="codes are packed bytes, or hex, of BITS bits"
    )
    group.add_argument("--binarize", choices=["sign"], help="codes are real values: above 0 is 1")
    group.add_argument("--transpose", action="append", choices=list(_ARRAYS), default=[], help="its items are columns")
    group.add_argument("--label-form", choices=["one-hot", "class-numbers", "lists"], help="what labels are")
    group.add_argument("--separator", metavar="TEXT", help="stands between the labels of one text; none: nothing does")


def _add_measures(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--k", type=cut_offs, default=(None,), metavar="K[,K...]", help="cut-offs of mAP@k; all: none")
    group.add_argument("--radius", type=radii, default=(), metavar="R[,R...]", help="precision within these radii too")
    group.add_argument(
        "--denominator",
        choices=["relevant_in_top_k", "min_k_relevant", "relevant"],
        default="relevant_in_top_k",
        help="what AP@k divides by",
    )
    group.add_argument("--empty", choices=["zero", "nan"], default="zero", help="queries without relevant items")
    group.add_argument("--order", choices=["random", "database", "argsort"], default="random", help="inside ties")


def cut_offs(text: str) -> tuple[int | None, ...]:
    """Cut-offs as they are given on the command line: `100,1000,all`."""
    return tuple(None if each == "all" else whole_number(each) for each in text.split(","))


def radii(text: str) -> tuple[int, ...]:
    """Hamming radii as they are given on the command line: `0,2,4`."""
    return tuple(0 if each == "0" else whole_number(each) for each in text.split(","))


def run(arguments: argparse.Namespace) -> None:
    """Print every number that follows from the codes and labels of the files."""
    from hashbench.evaluation import command
    from hashbench.evaluation.readers.request import ROLES, Reading, Sources

    named = {role: getattr(arguments, role) for role in ROLES if getattr(arguments, role) is not None}
    how = Reading(
        packed=arguments.packed,
        binarize=arguments.binarize,
        label_form=arguments.label_form,
        separator=arguments.separator,
        transpose=frozenset(name.replace("-", "_") for name in arguments.transpose),
    )
    asked = command.Asked(
        ks=arguments.k,
        denominator=arguments.denominator,
        empty=arguments.empty,
        order=arguments.order,
        radii=arguments.radius,
        query_rows=arguments.query_rows,
        query_logits=arguments.query_logits,
        resume=arguments.resume,
        form=arguments.format,
    )
    print(command.run(Sources(arguments.file, named), how, asked))
