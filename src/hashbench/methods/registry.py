"""Finding a method by the file that holds it: the one place where a name becomes a class."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from hashbench.errors import HashbenchError
from hashbench.methods.base import Method

_PACKAGES = {"baselines": "hashbench.baselines", "src/hashbench/methods": "hashbench.methods"}


def load_method(code: str) -> type[Method]:
    """The method class that `code` names.

    `code` is `baselines/<name>.py`, `src/hashbench/methods/<name>.py`, the path of any other Python file, or
    `package.module:Class`. A file holds exactly one method class.
    """
    if ":" in code and not Path(code).exists():
        module_name, _, class_name = code.partition(":")
        found = getattr(_import(module_name, code), class_name, None)
        if found is None:
            raise HashbenchError(f"method code {code}: module {module_name} has no class {class_name}")
        return _checked(found, code)
    module = _module_of_file(Path(code))
    classes = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and value.__module__ == module.__name__
        and hasattr(value, "encode")
        and not getattr(value, "__abstractmethods__", None)
    ]
    if len(classes) != 1:
        raise HashbenchError(f"method code {code}: expected one class with `encode`, found {len(classes)}")
    return _checked(classes[0], code)


def _module_of_file(path: Path) -> ModuleType:
    package = _PACKAGES.get(path.parent.as_posix())
    if package is not None:
        return _import(f"{package}.{path.stem}", str(path))
    if not path.is_file():
        raise HashbenchError(f"method code {path}: no such file; give a Python file or package.module:Class")
    name = f"hashbench_user_method_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise HashbenchError(f"method code {path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _import(module_name: str, code: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise HashbenchError(f"method code {code}: cannot import {error.name}") from error


def _checked(found: object, code: str) -> type[Method]:
    missing = [
        name
        for name in (
            "title",
            "paper",
            "needs",
            "deviations",
            "fit",
            "encode",
            "state_dict",
            "load_state_dict",
        )
        if not hasattr(found, name)
    ]
    if not isinstance(found, type) or missing:
        raise HashbenchError(f"method code {code}: not a Method, it lacks {', '.join(missing)}")
    return found


def code_files(method: type[Method]) -> list[Path]:
    """The files of hashbench's methods that decide what `method` computes: its own and what that imports, in order.

    A cell is fitted again exactly where one of these, its hyperparameters or its input changes.
    """
    found: dict[str, Path] = {}
    waiting = [method.__module__]
    while waiting:
        name = waiting.pop()
        path = Path(str(sys.modules[name].__file__)) if name in sys.modules else None
        if name in found or path is None:
            continue
        found[name] = path
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hashbench.methods."):
                waiting.append(str(node.module))
    return [found[name] for name in sorted(found)]
