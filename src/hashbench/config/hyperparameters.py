"""The hyperparameters of a method: which there are and what they may be, as its constructor says, and their checks.

The constructor is read from its source, not imported: importing a method imports torch, which takes seconds, and every
command and stage checks params.yaml first.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import ConfigDict, Field, PydanticUserError, TypeAdapter, ValidationError

from hashbench.config.messages import did_you_mean, first_error, shown
from hashbench.errors import HashbenchError
from hashbench.learning import hyperparameters as shared_types
from hashbench.learning.hyperparameters import AtMost, LessThan
from hashbench.methods.registry import file_of

_STRICT = ConfigDict(strict=True, allow_inf_nan=False)
_BUILTINS = {kind.__name__: kind for kind in (bool, int, float, str, list)}
_SHARED = {name: value for name, value in vars(shared_types).items() if not name.startswith("_")}
_NAMES = {**_SHARED, **_BUILTINS, "Annotated": Annotated, "Field": Field, "Literal": Literal}


@dataclass(frozen=True)
class Argument:
    """One argument: the type of its value (`Any` where that is not told), and whether it may be left out."""

    type: Any
    optional: bool


def arguments_of(method: type[Any]) -> dict[str, Argument]:
    """The arguments of a method's constructor."""
    try:
        hints = get_type_hints(method.__init__, include_extras=True)
    except (NameError, TypeError, AttributeError):  # an annotation that says nothing here
        hints = {}
    parameters = inspect.signature(method).parameters.values()
    return {
        each.name: Argument(hints.get(each.name, Any), each.default is not each.empty)
        for each in parameters
        if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    }


def constructor_arguments(code: str) -> dict[str, Argument] | None:
    """The arguments of the constructor of the method that `code` names, as `load_method` finds it, from its source.

    None where the source does not tell: `package.module:Class`, a file with no or several classes with a title, a
    class that inherits from elsewhere.
    """
    path = file_of(code)
    if path is None or not path.is_file():
        return None
    titled = [node for node in _classes(path).values() if "title" in _assigned(node)]
    if len(titled) != 1:
        return None
    try:
        found = _constructor(path, titled[0])
    except LookupError:
        return None
    return {} if found is None else _arguments(found)


def class_constant(code: str, name: str) -> Any:
    """The constant that the class of the method which `code` names gives to `name`, from its source; None if none."""
    path = file_of(code)
    for node in _classes(path).values() if path is not None else ():
        for statement in node.body if "title" in _assigned(node) else ():
            if isinstance(statement, ast.AnnAssign | ast.Assign) and isinstance(statement.value, ast.Constant):
                targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                    return statement.value.value
    return None


def function_arguments(path: Path, name: str) -> dict[str, Argument]:
    """The arguments of the function `name` of a file, from its source."""
    found = [node for node in _parsed(path).body if isinstance(node, ast.FunctionDef) and node.name == name]
    return _arguments(found[0]) if found else {}


def check_hyperparameters(
    where: str,
    values: Mapping[str, Any],
    arguments: Mapping[str, Argument],
    *,
    beside: tuple[str, ...] = (),
    below: tuple[str, ...] = (),
) -> None:
    """Check names, types and ranges of hyperparameters, and what their annotations say of two of them.

    `where`: the key under which they stand; `beside`: keys that stand there too; `below`: the keys under which the
    value of each stands. Raises HashbenchError that names the key, the value and what is allowed.
    """
    check_names(where, values, arguments, beside)
    for name, value in values.items():
        check_value((where, name, *below), value, arguments[name].type)
    check_rules(where, values, arguments, below)


def check_rules(
    where: str, values: Mapping[str, Any], arguments: Mapping[str, Argument], below: tuple[str, ...] = ()
) -> None:
    """Check what annotations say of two hyperparameters; the arguments and errors of `check_hyperparameters`."""
    for name, value in values.items():
        for rule in getattr(arguments[name].type, "__metadata__", ()):
            if isinstance(rule, LessThan | AtMost) and rule.other in values:
                limit = values[rule.other]
                if value > limit or (value == limit and isinstance(rule, LessThan)):
                    words = "below" if isinstance(rule, LessThan) else "at most"
                    key = ".".join((where, name, *below))
                    raise HashbenchError(f"key '{key}' is {value}; it must be {words} {rule.other}, which is {limit}")


def check_names(
    where: str, given: Mapping[str, Any], accepted: Mapping[str, Argument], beside: tuple[str, ...]
) -> None:
    """Refuse a key that is neither accepted nor `beside` these, and the lack of one that may not be left out."""
    for key, value in given.items():
        if key not in accepted:
            raise HashbenchError(
                f"unknown key '{shown(f'{where}.{key}')}' with the value {shown(repr(value))}"
                f"{did_you_mean(key, [*accepted, *beside])}"
            )
    for key, argument in accepted.items():
        if key not in given and not argument.optional:
            raise HashbenchError(f"key '{where}.{key}' is missing; {where} needs {', '.join(accepted)}")


def check_value(key: tuple[str, ...], value: Any, allowed: Any) -> None:
    """Refuse a value that is not of the type `allowed`."""
    try:
        adapter = _adapter(allowed)
    except PydanticUserError:  # a class of a user's own, of which pydantic knows nothing
        return
    try:
        adapter.validate_python(value)
    except ValidationError as error:
        raise HashbenchError(first_error(error, adapter.json_schema(), key) + _remedy(value)) from None


@cache
def _adapter(allowed: Any) -> TypeAdapter[Any]:
    return TypeAdapter(allowed, config=_STRICT)


def _remedy(value: Any) -> str:
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return f" (YAML reads {shown(value)} as a text; write {float(value)!r})"
    return ""


@cache
def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError, RecursionError, OSError):
        return ast.Module(body=[], type_ignores=[])


def _classes(path: Path) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in _parsed(path).body if isinstance(node, ast.ClassDef)}


def _assigned(node: ast.ClassDef) -> Iterator[str]:
    for statement in node.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        yield from (target.id for target in targets if isinstance(target, ast.Name))


def _constructor(path: Path, node: ast.ClassDef) -> ast.FunctionDef | None:
    """The `__init__` that a class defines or inherits, None where there is none; LookupError where that is not told."""
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            return statement
    for name in map(ast.unparse, node.bases):
        if name not in ("ABC", "Protocol", "object"):
            home = path if name in _classes(path) else _home_of(path, name)
            found = _constructor(home, _classes(home)[name])
            if found is not None:
                return found
    return None


def _home_of(path: Path, name: str) -> Path:
    """The file of hashbench from which a class is imported. Raises LookupError where it is from elsewhere."""
    for node in _parsed(path).body:
        if isinstance(node, ast.ImportFrom) and any((alias.asname or alias.name) == name for alias in node.names):
            spec = importlib.util.find_spec(str(node.module)) if str(node.module).startswith("hashbench.") else None
            if spec is not None and spec.origin is not None:
                return Path(spec.origin)
    raise LookupError(name)


def _arguments(function: ast.FunctionDef) -> dict[str, Argument]:
    given = function.args
    positional = given.posonlyargs + given.args
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(given.defaults)) + list(given.defaults)
    pairs = [*zip(positional, defaults, strict=True), *zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    return {
        argument.arg: Argument(_type_of(argument.annotation), default is not None)
        for argument, default in pairs
        if argument.arg != "self"
    }


def _type_of(annotation: ast.expr | None) -> Any:
    """The type that an annotation stands for; `Any` where it is made of more than the names of `_NAMES`."""
    try:
        return Any if annotation is None else _meaning(annotation)
    except Exception:  # what such a type makes of wrong arguments
        return Any


def _meaning(node: ast.expr) -> Any:
    """What an annotation's expression means. Raises LookupError for what is no part of one."""
    match node:
        case ast.Constant(value):
            return value
        case ast.Name(name):
            return _NAMES[name]
        case ast.Tuple(parts):
            return tuple(map(_meaning, parts))
        case ast.Subscript(value, index):
            return _meaning(value)[_meaning(index)]
        case ast.BinOp(left, ast.BitOr(), right):
            return _meaning(left) | _meaning(right)
        case ast.UnaryOp(ast.USub(), operand):
            return -_meaning(operand)
        case ast.Call(ast.Name() as function, arguments, keywords):
            named = {str(each.arg): _meaning(each.value) for each in keywords}
            return _meaning(function)(*map(_meaning, arguments), **named)
    raise LookupError(ast.unparse(node))
