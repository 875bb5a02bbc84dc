"""The arguments of a method's constructor, read from its source: importing it would import torch, which takes seconds.

`hashbench list` and every stage read params.yaml first, so a misspelt hyperparameter is answered before any work.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PACKAGES = {"baselines": "hashbench.baselines", "src/hashbench/methods": "hashbench.methods"}


@dataclass(frozen=True)
class Argument:
    """One argument: what its annotation says, and whether it may be left out."""

    annotation: str
    optional: bool


def constructor_arguments(code: str) -> dict[str, Argument] | None:
    """The arguments of the constructor of the method that `code` names, as `load_method` finds it.

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


def file_of(code: str) -> Path | None:
    """Where the file that `code` names lies, whether it is there or not; None for `package.module:Class`."""
    path = Path(code)
    if ":" in code and not path.exists():
        return None
    package = _PACKAGES.get(path.parent.as_posix())
    spec = importlib.util.find_spec(f"{package}.{path.stem}") if package and path.stem.isidentifier() else None
    return Path(spec.origin) if spec and spec.origin else path


def own_files() -> list[str]:
    """The `code` of every file of the repository's two packages, a method or not."""
    return sorted(
        f"{folder}/{path.name}"
        for folder, package in _PACKAGES.items()
        for place in (getattr(importlib.util.find_spec(package), "submodule_search_locations", None) or ())
        for path in Path(place).glob("*.py")
    )


def function_arguments(path: Path, name: str) -> dict[str, Argument]:
    """The arguments of the function `name` of a file."""
    found = [node for node in _parsed(path).body if isinstance(node, ast.FunctionDef) and node.name == name]
    return _arguments(found[0]) if found else {}


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
        argument.arg: Argument(ast.unparse(argument.annotation) if argument.annotation else "", default is not None)
        for argument, default in pairs
        if argument.arg != "self"
    }
