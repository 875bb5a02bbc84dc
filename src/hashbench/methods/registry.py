"""Finding a method by the file that holds it: the one place where a name becomes a class."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from hashbench.errors import HashbenchError
from hashbench.methods.base import Method
from hashbench.methods.faults import own_code

_PACKAGES = {"baselines": "hashbench.baselines", "src/hashbench/methods": "hashbench.methods"}


def load_method(code: str) -> type[Method]:
    """The method class that `code` names.

    `code` is `baselines/<name>.py`, `src/hashbench/methods/<name>.py`, the path of any other Python file, or
    `package.module:Class`. A file holds exactly one method class.
    """
    if _is_class(code):
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


def module_of(code: str) -> str:
    """Where the source of what `code` names is looked for: the name of a module, or the path of a `.py` file."""
    path = Path(code)
    if _is_class(code):
        return code.partition(":")[0]
    package = _PACKAGES.get(path.parent.as_posix())
    return f"{package}.{path.stem}" if package else code


def file_of(code: str) -> Path | None:
    """Where the file that `code` names lies, whether it is there or not; None for `package.module:Class`."""
    if _is_class(code):
        return None
    path, package = Path(code), _PACKAGES.get(Path(code).parent.as_posix())
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


def _is_class(code: str) -> bool:
    return ":" in code and not Path(code).exists()


def _module_of_file(path: Path) -> ModuleType:
    if path.parent.as_posix() in _PACKAGES:
        return _import(module_of(path.as_posix()), str(path))
    if not path.is_file():
        raise HashbenchError(f"method code {path}: no such file; give a Python file or package.module:Class")
    name = f"hashbench_user_method_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise HashbenchError(f"method code {path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with own_code(f"method code {path}", "importing it", [path]):
        spec.loader.exec_module(module)
    return module


def _import(module_name: str, code: str) -> ModuleType:
    try:
        spec = importlib.util.find_spec(module_name)
        with own_code(f"method code {code}", "importing it", [spec.origin] if spec and spec.origin else []):
            return importlib.import_module(module_name)
    except (ModuleNotFoundError, ValueError) as error:
        raise HashbenchError(f"method code {code}: cannot import {getattr(error, 'name', module_name)}") from error


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
