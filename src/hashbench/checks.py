"""Checks of params.yaml that need the source of methods and data sets: read, not imported, so a mistake is answered at
once.

The constructor of a method says which hyperparameters there are and of what type; what those names may be that
methods share stands here, once, so that a temperature of 0 is refused wherever one stands.
"""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from hashbench.errors import HashbenchError
from hashbench.methods.signature import Argument, constructor_arguments, file_of, function_arguments, own_files
from hashbench.sentences import did_you_mean, first_error, known, shown
from hashbench.types import Hyperparameter

_POSITIVE = {"gt": 0.0}
_NOT_NEGATIVE = {"ge": 0.0}
_SHARE = {"gt": 0.0, "le": 1.0}
_LIMITS: dict[str, dict[str, float]] = {
    # Counts.
    "epochs": {"ge": 1},
    "batch_size": {"ge": 1},
    "hidden": {"ge": 1},
    "latent": {"ge": 1},
    "iterations": {"ge": 1},
    "kmeans_iterations": {"ge": 1},
    "decay_epochs": {"ge": 1},
    "invariance_epochs": {"ge": 0},
    "clusters": {"ge": 1},
    "anchors": {"ge": 1},
    "nearest": {"ge": 1},
    "neighbours": {"ge": 1},
    "pivot_rows": {"ge": 1},
    "m": {"ge": 1},
    # What something is divided by, or stepped by.
    "temperature": _POSITIVE,
    "sorter_temperature": _POSITIVE,
    "weight_temperature": _POSITIVE,
    "learning_rate": _POSITIVE,
    "invariance_learning_rate": _POSITIVE,
    "adam_epsilon": _POSITIVE,
    "groups_per_bit": _POSITIVE,
    "bottleneck": _POSITIVE,
    # Weights of terms.
    "weight_decay": _NOT_NEGATIVE,
    "quantisation": _NOT_NEGATIVE,
    "penalty_weight": _NOT_NEGATIVE,
    "evenness_weight": _NOT_NEGATIVE,
    "invariance_weight": _NOT_NEGATIVE,
    "gamma": _NOT_NEGATIVE,
    "alpha": _NOT_NEGATIVE,
    "beta": _NOT_NEGATIVE,
    # Shares.
    "momentum": {"ge": 0, "lt": 1},
    "diffusion": {"ge": 0, "lt": 1},
    "cosine_neighbours": _SHARE,
    "diffusion_neighbours": _SHARE,
    "decay": _SHARE,
}
_CHOICES = {
    "sorter": Literal["softsort", "neuralsort", "sinkhorn", "diffsort", "torchsort"],
    "backbone": Literal["frozen", "finetune"],
}
# Of two hyperparameters of one method, the first must be ... the second.
_ORDER: tuple[tuple[str, str, str, Callable[[Any, Any], bool]], ...] = (
    ("m", "batch_size", "below", operator.lt),
    ("nearest", "anchors", "at most", operator.le),
)


def check_method(where: str, code: str, hyperparameters: Mapping[str, Hyperparameter]) -> None:
    """Check the file of a method's block and the names, types and ranges of its hyperparameters.

    Raises HashbenchError that names the key, the value and what is allowed. What `package.module:Class` takes is only
    known when it is imported, which fitting does.
    """
    path = file_of(code)
    if path is not None and not path.is_file():
        raise HashbenchError(
            f"key '{where}.code' is {shown(repr(code))}, and there is no such file{did_you_mean(code, own_files())}"
        )
    arguments = constructor_arguments(code)
    if arguments is not None:
        values = {name: entry.value for name, entry in hyperparameters.items()}
        _check_names(where, values, arguments, ("code",))
    for name, entry in hyperparameters.items():
        annotation = arguments[name].annotation if arguments is not None else type(entry.value).__name__
        _check_value((where, name, "value"), entry.value, _type_of(name, annotation))
    for smaller, larger, words, holds in _ORDER:
        if smaller in hyperparameters and larger in hyperparameters:
            low, high = hyperparameters[smaller].value, hyperparameters[larger].value
            if not holds(low, high):
                raise HashbenchError(
                    f"key '{where}.{smaller}.value' is {low}; it must be {words} {larger}, which is {high}"
                )


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
    _check_names(where, options, allowed, beside)
    for name, value in options.items():
        _check_value((where, name), value, _type_of(name, allowed[name].annotation))
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


def _check_names(
    where: str, given: Mapping[str, Any], accepted: Mapping[str, Argument], beside: tuple[str, ...]
) -> None:
    for key, value in given.items():
        if key not in accepted:
            raise HashbenchError(
                f"unknown key '{shown(f'{where}.{key}')}' with the value {shown(repr(value))}"
                f"{did_you_mean(key, [*accepted, *beside])}"
            )
    for key, argument in accepted.items():
        if key not in given and not argument.optional:
            raise HashbenchError(f"key '{where}.{key}' is missing; {where} needs {', '.join(accepted)}")


def _check_value(key: tuple[str, ...], value: Any, allowed: Any) -> None:
    adapter = TypeAdapter(allowed)
    try:
        adapter.validate_python(value)
    except ValidationError as error:
        raise HashbenchError(first_error(error, adapter.json_schema(), key) + _remedy(value)) from None


def _type_of(name: str, annotation: str) -> Any:
    """The pydantic type of an argument: by its annotation, and by what its name allows wherever it stands."""
    limits: dict[str, Any] = _LIMITS.get(name, {})
    match annotation:
        case "int":
            return Annotated[int, Field(strict=True, **({"ge": 1} if limits.get("gt") == 0 else limits))]
        case "float":
            return Annotated[float, Field(strict=True, allow_inf_nan=False, **limits)]
        case "bool":
            return Annotated[bool, Field(strict=True)]
        case "str":
            return _CHOICES.get(name, str)
        case "str | None":
            return str | None
    return Any


def _remedy(value: Any) -> str:
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return f" (YAML reads {shown(value)} as a text; write {float(value)!r})"
    return ""
