"""`hashbench compare A B [C ...]`: which method is better on the same queries, and is it more than luck?"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashbench.commands.options import NAMED_FILES, add_rules, named_files

if TYPE_CHECKING:
    from hashbench.evaluation.comparison import Comparison

HELP = "compare codes of several methods on the same queries: paired test, classes, and queries that flip"
_SEED = 0  # of the bootstrap: the same files give the same output
_SHOWN = 10  # classes and queries that the table shows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("files", nargs="+", metavar="FILE", help=NAMED_FILES)
    add_rules(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, with every class and query")


def run(arguments: argparse.Namespace) -> None:
    """Print how each two of the methods differ."""
    import json

    from hashbench.errors import HashbenchError

    files = named_files(arguments.files)
    if len(files) < 2:
        raise HashbenchError(f"there is one method, {next(iter(files))}: compare takes the files of at least two")
    rules = {"k": arguments.k, "denominator": arguments.denominator, "empty": arguments.empty}
    methods, comparisons, queries = _compare(files, rules)
    if arguments.json:
        compared = [_plain(each, queries) for each in comparisons]
        print(json.dumps({**rules, "n_queries": len(queries), "methods": methods, "comparisons": compared}, indent=1))
    else:
        print(_text(rules, methods, comparisons, queries))


def _compare(
    files: Mapping[str, Sequence[Path]], rules: Mapping[str, Any]
) -> tuple[dict[str, dict[str, Any]], list[Comparison], list[int]]:
    """What is said of each method, every pair compared, and the places in the files of the queries that count."""
    from hashbench.errors import HashbenchError
    from hashbench.evaluation.comparison import compare
    from hashbench.evaluation.contestants import (
        contestant,
        counted_queries,
        evaluate_given,
        read_methods,
        require_one_split,
    )
    from hashbench.evaluation.given import label_matrices

    methods = read_methods(files)
    require_one_split(methods, files)
    evaluated = {name: [evaluate_given(each, **rules) for each in given] for name, given in methods.items()}
    counted = counted_queries(next(iter(evaluated.values()))[0])
    if not counted.any():
        raise HashbenchError("no query has anything relevant in the database: there is nothing to compare")
    contestants = [contestant(name, evaluations) for name, evaluations in evaluated.items()]
    labels, _, class_names = label_matrices(next(iter(methods.values()))[0])
    said = {
        each.name: {
            "map": each.map,
            "n_bits": evaluated[each.name][0].n_bits,
            "files": [str(path) for path in files[each.name]],
        }
        for each in contestants
    }
    return said, compare(contestants, labels[counted], class_names, seed=_SEED), counted.nonzero()[0].tolist()


def _plain(found: Comparison, queries: list[int]) -> dict[str, Any]:
    """A comparison as JSON values; queries by their place in the files, from 0."""
    return {
        "a": found.a.name,
        "b": found.b.name,
        "difference": found.test.difference,
        "ci95": [found.test.low, found.test.high],
        "p_value": found.test.p_value,
        "p_value_holm": found.holm,
        "queries": {"a_better": found.a_better, "b_better": found.b_better},
        "flips": [queries[query] for query in found.flips],
        "classes": [{**vars(each), "difference": each.difference} for each in found.classes],
    }


def _text(
    rules: Mapping[str, Any], methods: dict[str, dict[str, Any]], comparisons: list[Comparison], queries: list[int]
) -> str:
    at = "all" if rules["k"] is None else rules["k"]
    lines = [f"mAP@{at} over {len(queries)} queries of one split; AP denominator {rules['denominator']}"]
    width = max(map(len, methods))
    for name, said in methods.items():
        many = f"{len(said['files'])} file{'s' * (len(said['files']) > 1)}"
        lines.append(f"  {name:<{width}}  {said['map']:.4f}  {said['n_bits']} bits, {many}")
    for found in comparisons:
        lines += ["", *_lines(found, queries, several=len(comparisons) > 1)]
    return "\n".join(lines)


def _lines(found: Comparison, queries: list[int], *, several: bool) -> list[str]:
    """One pair: difference, queries, and the classes that differ most."""
    a, b, test = found.a.name, found.b.name, found.test
    corrected = f", {found.holm:.4f} corrected for all pairs (Holm)" if several else ""
    equal = found.a.ap.shape[1] - found.a_better - found.b_better
    lines = [
        f"{a} - {b}: {test.difference:+.4f}, 95% {test.low:+.4f} to {test.high:+.4f}, p {test.p_value:.4f}{corrected}",
        f"  {a} better on {found.a_better} queries, {b} on {found.b_better}, equal on {equal}",
    ]
    if found.flips:
        shown = ", ".join(str(queries[query]) for query in found.flips[:_SHOWN])
        lower = b if test.difference > 0 else a
        lines.append(f"  flips, where {lower} is better: {len(found.flips)} queries; the largest: {shown}")
    width = max(len("class"), *(len(each.name) for each in found.classes))
    lines.append(f"  {'class':<{width}}  queries  difference  {a}, {b}")
    lines += [
        f"  {each.name:<{width}}  {each.n_queries:>7}  {each.difference:>+10.4f}  {each.map_a:.4f}, {each.map_b:.4f}"
        for each in found.classes[:_SHOWN]
    ]
    left = len(found.classes) - _SHOWN
    return [*lines, f"  and {left} classes that differ less: --json"] if left > 0 else lines
