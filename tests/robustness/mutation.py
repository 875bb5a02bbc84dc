"""Mutation testing: do the tests notice when a line of the evaluation, the losses or the sorters is wrong?

    python tests/robustness/mutation.py src/hashbench/learning/losses.py              # every mutant
    python tests/robustness/mutation.py src/hashbench/evaluation/*.py --sample 60

cosmic-ray writes the mutants. Each is tried in a fork of one process that has imported torch and the rest already, by
the tests of its module, with numba's compiler off, so that a mutant takes a second in place of ten. Nothing on disk
is changed. Mutants that differ from the program only in annotations are left out. Prints JSON.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib.abc
import importlib.util
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SEED = 8
CPU_SECONDS = 60
PROTOCOL = ("tests/evaluation/test_protocol.py", "tests/evaluation/test_hamming.py")
TESTS = {
    # Without the comparison with two other libraries, which takes a minute when it is not compiled.
    "metrics": ("tests/evaluation/test_metrics.py", "-k", "not scikit_learn"),
    "command": ("tests/evaluation/test_command.py", "tests/robustness/test_hostile.py", "-k", "command or npz or bomb"),
    "hamming_torch": ("tests/evaluation/test_hamming.py",),
    **dict.fromkeys(("packing", "protocol", "ranking", "results", "rules"), PROTOCOL),
}
INTERPRETED = ("metrics",)  # compiling each mutant takes longer than running it uncompiled


def mutants(path: Path) -> Iterator[tuple[str, str]]:
    """Every mutant of a file: what was done where, and the mutated source."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator, operator_names

    source = path.read_text(encoding="utf-8")
    original = _without_annotations(source)
    for name in operator_names():
        if "Variable" in name:  # these want to be told which variable
            continue
        operator = get_operator(name)()
        for occurrence in range(10_000):
            mutated = mutate_code(source, operator, occurrence)
            if mutated is None:
                break
            with contextlib.suppress(SyntaxError):
                if _without_annotations(mutated) != original:
                    yield name.rpartition("/")[2], mutated


def _without_annotations(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        for field in ("annotation", "returns"):
            if getattr(node, field, None) is not None:
                setattr(node, field, ast.Constant(0))
    return ast.dump(tree)


class _Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from other source than that on disk."""

    def __init__(self, path: Path, source: str) -> None:
        self._path, self._source = path, source
        self._name = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return importlib.util.spec_from_file_location(name, self._path, loader=self) if name == self._name else None

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._source, str(self._path), "exec"), vars(module))


def tests_pass(path: Path, source: str, tests: Sequence[str]) -> bool:
    """Whether the tests pass with `source` in place of the file `path`, in a fork of this process."""
    folder = tempfile.mkdtemp()
    child = os.fork()
    if child == 0:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (16 << 30, 16 << 30))
        numba = importlib.import_module("numba")
        numba.config.DISABLE_JIT = path.stem in INTERPRETED
        numba.config.CACHE_DIR = folder  # what was compiled before is not the mutant
        sys.meta_path.insert(0, _Mutated(path, source))
        os._exit(int(_pytest(tests)))
    _, status = os.waitpid(child, 0)
    shutil.rmtree(folder)
    return os.waitstatus_to_exitcode(status) == 0


PLUGINS = ("_hypothesis_pytestplugin", "pytest_timeout")


def _pytest(tests: Sequence[str]) -> int:
    import pytest

    plugins = [option for plugin in PLUGINS for option in ("-p", plugin)]
    return pytest.main([*tests, *plugins, "-x", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=no"])


def changed_line(original: str, mutated: str) -> tuple[int, str, str]:
    """The first line that differs: its number, as it is, as the mutant has it."""
    for number, (is_, was) in enumerate(zip(original.splitlines(), mutated.splitlines(), strict=False), start=1):
        if is_ != was:
            return number, is_.strip(), was.strip()
    return 0, "", ""


def tried(path: Path, sample: int | None) -> dict[str, Any]:
    """Try the mutants of one file; which the tests do not notice."""
    tests = TESTS.get(path.stem, (f"tests/{path.parent.name}/test_{path.stem}.py",))
    source = path.read_text(encoding="utf-8")
    if not tests_pass(path, source, tests):
        sys.exit(f"{path.name}: the tests fail without a mutation")
    every = list(mutants(path))
    chosen = random.Random(SEED).sample(every, min(sample or len(every), len(every)))
    survivors: list[dict[str, Any]] = []
    for operator, mutated in chosen:
        if tests_pass(path, mutated, tests):
            line, is_, was = changed_line(source, mutated)
            survivors.append({"line": line, "is": is_, "mutant": was, "operator": operator})
    name = str(path.relative_to(ROOT / "src" / "hashbench"))
    return {"file": name, "mutants": len(every), "tried": len(chosen), "survivors": survivors}


def main() -> None:
    """Try the mutants of files and print a line of JSON for each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    parser.add_argument("--sample", type=int, help="of each file try so many, drawn with a fixed seed (default: all)")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for name in ("torch", "scipy.stats", "numba", "hypothesis.strategies", "pytest", "pydantic", *PLUGINS):
        importlib.import_module(name)
    for file in arguments.files:
        print(json.dumps(tried(file.resolve(), arguments.sample)), flush=True)


if __name__ == "__main__":
    main()
