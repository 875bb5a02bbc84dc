"""Checks of params.yaml that need the source of methods and data sets: read, not imported, so a mistake is answered at
once.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hashbench.config.hyperparameters import (
    Argument,
    check_hyperparameters,
    check_names,
    check_rules,
    check_value,
    constructor_arguments,
    function_arguments,
)
from hashbench.config.messages import did_you_mean, known, shown
from hashbench.errors import HashbenchError
from hashbench.methods.registry import file_of, own_files


def check_method(where: str, code: str, values: Mapping[str, Any], beside: tuple[str, ...]) -> None:
    """Check the file of a method's block and its hyperparameters; `beside` are the block's keys that are none.

    Raises HashbenchError that names the key, the value and what is allowed. What a class takes that inherits its
    constructor from elsewhere is only known when it is imported, which fitting does.
    """
    path = file_of(code)
    if path is None:
        raise HashbenchError(
            f"key '{where}.code' is {shown(repr(code))}; it must be a Python file, which the pipeline can depend on: "
            "derive the class in a file of baselines/"
        )
    if not path.is_file():
        raise HashbenchError(
            f"key '{where}.code' is {shown(repr(code))}, and there is no such file{did_you_mean(code, own_files())}"
        )
    check_hyperparameters(where, values, _arguments(code, values), beside=beside, below=("value",))


def check_ends(where: str, code: str, values: Mapping[str, Any], ends: Mapping[str, tuple[Any, Any]]) -> None:
    """Check that a method accepts, beside `values`, every value between the two ends of each of some hyperparameters.

    Raises HashbenchError as `check_method` does.
    """
    arguments = _arguments(code, values)
    for name, pair in ends.items():
        for value in pair:
            check_value((where, name), value, arguments[name].type)
    lowest, highest = ({name: pair[side] for name, pair in ends.items()} for side in (0, 1))
    for name in ends:  # at its end against the others' far ends: then it is on the right side of them wherever they lie
        check_rules(where, {**values, **lowest, name: highest[name]}, arguments)
        check_rules(where, {**values, **highest, name: lowest[name]}, arguments)


def _arguments(code: str, values: Mapping[str, Any]) -> Mapping[str, Argument]:
    found = constructor_arguments(code)
    return {name: Argument(type(value), optional=True) for name, value in values.items()} if found is None else found


def check_dataset(
    where: str, kind: str, protocol: str, k: int | None, options: Mapping[str, Any], beside: tuple[str, ...]
) -> None:
    """Check kind, protocol, cut-off and options of a data set's block; `beside` are its keys that are no options.

    Raises HashbenchError that names the key, the value and what is allowed.
    """
    from hashbench import data
    from hashbench.data import splits
    from hashbench.data.registry import dataset_kinds

    known(f"{where}.kind", kind, dict.fromkeys(dataset_kinds()))
    allowed = function_arguments(Path(data.__path__[0]) / f"{kind}.py", "load")
    allowed.pop("source", None)
    check_names(where, options, allowed, beside)
    for name, value in options.items():
        check_value((where, name), value, allowed[name].type)
    try:
        counts = splits.protocol(protocol).counts
    except HashbenchError:
        raise HashbenchError(
            f"{where}.protocol: unknown name '{shown(protocol)}'{did_you_mean(protocol, splits.PROTOCOLS)}; "
            "docs/datasets.md has those for any data set"
        ) from None
    if counts and k and k > counts[2]:
        raise HashbenchError(
            f"key '{where}.k' is {k}; it must be at most {counts[2]}, the size of the database of protocol {protocol}, "
            "or null for all of it"
        )
