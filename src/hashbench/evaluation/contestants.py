"""Files of codes, evaluated by one set of rules so that they may be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.evaluation.comparison import Contestant
from hashbench.evaluation.given import GivenCodes, read_given, split_difference
from hashbench.evaluation.protocol import evaluate
from hashbench.evaluation.results import Evaluation
from hashbench.types import Array


def read_methods(files: Mapping[str, Sequence[Path]]) -> dict[str, list[GivenCodes]]:
    """The codes of each method's files. Raises HashbenchError where two files of a method differ in their bits."""
    found = {name: [read_given(path) for path in paths] for name, paths in files.items()}
    for name, repetitions in found.items():
        lengths = {each.n_bits for each in repetitions}
        if len(lengths) > 1:
            told = ", ".join(map(str, sorted(lengths)))
            raise HashbenchError(f"the files of {name} have codes of {told} bits: repetitions have one code length")
    return found


def require_one_split(methods: Mapping[str, Sequence[GivenCodes]], files: Mapping[str, Sequence[Path]]) -> None:
    """Raise HashbenchError, which names two files and the difference, unless all files are of one split."""
    paths = [path for name in methods for path in files[name]]
    first, *others = [each for repetitions in methods.values() for each in repetitions]
    for path, other in zip(paths[1:], others, strict=True):
        if difference := split_difference(first, other):
            raise HashbenchError(
                f"{paths[0]} and {path} are of different splits ({difference}): numbers of different splits cannot be "
                "compared; make the codes of one split, in one order"
            )


def evaluate_given(given: GivenCodes, **rules: Any) -> Evaluation:
    """`evaluate` by its keyword `rules`; where the file has row numbers, an item is left out of its own ranking."""
    return evaluate(
        given.query_codes,
        given.database_codes,
        given.query_labels,
        given.database_labels,
        query_rows=given.query_rows,
        database_rows=given.database_rows,
        **rules,
    )


def contestant(name: str, evaluations: Sequence[Evaluation]) -> Contestant:
    """A method by its evaluated repetitions; queries without anything relevant follow the rule of the evaluations."""
    ap = np.nan_to_num(np.stack([each.ap for each in evaluations]))
    return Contestant(name, ap[:, counted_queries(evaluations[0])])


def counted_queries(evaluation: Evaluation) -> Array:
    """Which queries count, bool (n_q,): all, or for `empty` "nan" those with something relevant."""
    return (evaluation.n_relevant > 0) | (evaluation.empty == "zero")
