"""The one answer to 'what made this?': source files, found by following imports, and the packages they compute with.

A file counts by what it does: comments, docstrings and layout do not change a digest. Every module of hashbench that an
import reaches counts, but for those in `_DECIDES_NOTHING`; every package from elsewhere does, but for `_PLUMBING`.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import platform
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import hashbench
import hashbench.baselines
from hashbench.errors import HashbenchError

# Modules that tell, wait, choose a place or pick values, which a fingerprint holds as values: never what is computed.
_DECIDES_NOTHING = (
    "hashbench.artefacts.seconds",  # no two runs take the same
    "hashbench.cli",
    "hashbench.commands",
    "hashbench.config",
    "hashbench.data.fetch",  # what it brings counts by its content
    "hashbench.data.transfer",
    "hashbench.errors",
    "hashbench.execution.command",
    "hashbench.execution.locks",
    "hashbench.execution.ray_cluster",
    "hashbench.execution.sources",
    "hashbench.fingerprint",
    "hashbench.progress",
    "hashbench.settings",
)
# Packages that check, show, fetch or store values without computing any.
_PLUMBING = {
    "filelock",
    "huggingface_hub",
    "pydantic",
    "pydantic_settings",
    "ray",
    "rich",
    "safetensors",
    "tensorboard",
    "threadpoolctl",
    "yaml",
}
_DISTRIBUTIONS = {"PIL": "pillow", "sklearn": "scikit-learn"}


def digest_of(value: Any) -> str:
    """First 12 hex digits of the sha256 of a JSON value, independent of the order of keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Program:
    """What computes something: digests of its `sources` by module name, and the third-party `packages` they import."""

    sources: dict[str, str]
    packages: tuple[str, ...]

    @property
    def digest(self) -> str:
        """First 12 hex digits of a sha256 over all sources."""
        return digest_of(self.sources)

    @property
    def versions(self) -> dict[str, str]:
        """Python's version (without the patch level) and those of the packages, by distribution name."""
        return {"python": ".".join(platform.python_version_tuple()[:2])} | {
            name: _version(name) for name in sorted(_DISTRIBUTIONS.get(package, package) for package in self.packages)
        }


@cache
def program_of(*modules: str) -> Program:
    """The program that begins at these modules: `hashbench.stages.fit`, `my_package.my_module`, or `my_method.py`.

    Raises HashbenchError where a module of these is not found.
    """
    own = {_top(module) for module in modules} | {"hashbench"}
    sources: dict[str, str] = {}
    packages: set[str] = set()
    waiting = sorted({each for module in modules for each in _with_parents(module)})
    while waiting:
        module = waiting.pop()
        path = file_of(module)
        if path is None:
            raise HashbenchError(f"{module} is no module that can be found; give a Python file or package.module:Class")
        if module in sources or _is_under(module, _DECIDES_NOTHING):
            continue
        source = _source_of(path)
        sources[module] = source.digest
        for name in source.imports(module):
            if _top(name) in own or _is_beside(_top(name)):
                waiting += [each for each in _with_parents(name) if file_of(each) is not None]
            elif _top(name) not in sys.stdlib_module_names:
                packages.add(_top(name))
    return Program(dict(sorted(sources.items())), tuple(sorted(packages - _PLUMBING)))


def digest_of_source(module: str) -> str:
    """The digest of one module's source file by itself."""
    path = file_of(module)
    if path is None:
        raise HashbenchError(f"{module} is no module that can be found")
    return _source_of(path).digest


def file_of(module: str) -> Path | None:
    """The source file of a module, a `.py` file itself; None for a name that is no module with a source."""
    if module.endswith(".py"):
        return Path(module) if Path(module).is_file() else None
    top, *rest = module.split(".")
    if top == "hashbench":
        folders = [Path(hashbench.__path__[0])]
        if rest[:1] == ["baselines"]:
            folders, rest = [Path(folder) for folder in hashbench.baselines.__path__], rest[1:]
        places = [folder.joinpath(*rest) for folder in folders]
    else:
        spec = importlib.util.find_spec(top)
        places = [Path(folder).joinpath(*rest) for folder in (spec.submodule_search_locations or ())] if spec else []
        if spec and spec.origin and not rest:
            return Path(spec.origin)
    files = [file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")]
    return next((file for file in files if file.is_file()), None)


def all_modules() -> list[str]:
    """Every module of hashbench, baselines included."""
    roots = [("hashbench", Path(hashbench.__path__[0]))]
    roots += [("hashbench.baselines", Path(folder)) for folder in hashbench.baselines.__path__]
    found = set()
    for prefix, folder in roots:
        for path in folder.rglob("*.py"):
            parts = path.relative_to(folder).with_suffix("").parts
            found.add(".".join((prefix, *parts)).removesuffix(".__init__"))
    return sorted(found)


def decides_nothing(module: str) -> bool:
    """Whether a module of hashbench is left out of every fingerprint."""
    return _is_under(module, _DECIDES_NOTHING)


@dataclass(frozen=True)
class _Source:
    digest: str
    imported: tuple[tuple[int, str], ...]  # (how many dots before it, name)

    def imports(self, module: str) -> Iterator[str]:
        is_package = (path := file_of(module)) is not None and path.name == "__init__.py"
        package = module.split(".") if is_package else module.split(".")[:-1]
        for dots, name in self.imported:
            base = package[: len(package) - dots + 1] if dots else []
            yield ".".join([*base, name]).strip(".")


def _source_of(path: Path) -> _Source:
    return _parsed(path, path.stat().st_mtime_ns)


@cache
def _parsed(path: Path, changed: int) -> _Source:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError) as error:
        raise HashbenchError(f"{path} cannot be read as Python: {error}") from None
    imported: list[tuple[int, str]] = []
    for node in _nodes(tree):
        if isinstance(node, ast.Import):
            imported += [(0, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # What is imported from a package may be a module of it.
            imported.append((node.level, node.module or ""))
            imported += [(node.level, f"{node.module or ''}.{alias.name}".strip(".")) for alias in node.names]
    meaning = hashlib.sha256("\n".join(_canonical(tree)).encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return _Source(meaning, tuple(dict.fromkeys(imported)))


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those below `if TYPE_CHECKING`, which no program reaches."""
    yield tree
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield from _nodes(child)


def _canonical(value: Any) -> Iterator[str]:
    """A syntax tree as lines that are the same for every version of Python, without docstrings and places."""
    if isinstance(value, ast.AST):
        yield type(value).__name__
        for name, child in ast.iter_fields(value):
            if name == "body" and isinstance(value, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                child = child[1:] if ast.get_docstring(value, clean=False) is not None else child
            if child not in (None, []) and name not in ("ctx", "kind", "type_comment"):
                yield name
                yield from _canonical(child)
        yield "."
    elif isinstance(value, list):
        for child in value:
            yield from _canonical(child)
    else:
        yield f"{type(value).__name__} {value!r}"


@cache
def _is_beside(top: str) -> bool:
    """Whether a module is a source file of the user's own, found on the path, and of no installed package."""
    if top in sys.stdlib_module_names or top.endswith(".py"):
        return False
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return False
    installed = tuple(sysconfig.get_paths()[kind] for kind in ("stdlib", "purelib", "platlib"))
    return bool(spec and spec.origin and spec.origin.endswith(".py") and not spec.origin.startswith(installed))


def _top(module: str) -> str:
    return module if module.endswith(".py") else module.partition(".")[0]


def _with_parents(module: str) -> list[str]:
    """A module and the packages around it, whose `__init__` runs first."""
    parts = [module] if module.endswith(".py") else module.split(".")
    return [".".join(parts[: n + 1]) for n in range(len(parts))]


def _is_under(module: str, names: tuple[str, ...]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in names)


@cache
def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"
