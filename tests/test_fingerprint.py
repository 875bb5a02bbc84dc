"""What a fingerprint follows, what changes it, and that DVC depends on all of it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from hashbench import fingerprint
from hashbench.config.params import load_params
from hashbench.errors import HashbenchError
from hashbench.fingerprint import all_modules, file_of, program_of
from hashbench.methods.registry import module_of
from hashbench.stages.params import programs_of_stages

ROOT = Path(__file__).resolve().parents[1]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
STAGES = ("params", "fetch", "split", "backbones", "features", "evaluate", "report")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An importable package `toy` of three modules: top imports middle inside a function, middle imports NumPy."""
    folder = tmp_path / "toy"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "top.py").write_text(
        "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from toy import unseen\n\n\n"
        'def f():\n    """Say."""\n    from toy.middle import g\n\n    return g()\n'
    )
    (folder / "middle.py").write_text(
        "import numpy as np\n\nfrom . import low\n\n\ndef g():\n    return np.ones(low.N)\n"
    )
    (folder / "low.py").write_text("N = 3\n")
    (folder / "unseen.py").write_text("import torch\n")
    monkeypatch.syspath_prepend(tmp_path)
    program_of.cache_clear()
    yield folder
    program_of.cache_clear()


def digest(*modules: str) -> str:
    program_of.cache_clear()
    return program_of(*modules).digest


def test_imports_are_followed_wherever_they_stand_but_for_the_type_checker(package: Path) -> None:
    program = program_of("toy.top")
    assert list(program.sources) == ["toy", "toy.low", "toy.middle", "toy.top"]
    assert program.packages == ("numpy",)
    assert list(program.versions) == ["python", "numpy"]


@pytest.mark.parametrize("module", ["top", "middle", "low"])
def test_what_a_reached_module_does_changes_the_digest(package: Path, module: str) -> None:
    before, path = digest("toy.top"), package / f"{module}.py"
    path.write_text(path.read_text() + "M = 4\n")
    assert digest("toy.top") != before


@pytest.mark.parametrize(
    ("old", "new"), [('"""Say."""', '"""Say it."""'), ("    return g()", "    # why\n    return (\n        g()\n    )")]
)
def test_comments_docstrings_and_layout_change_nothing(package: Path, old: str, new: str) -> None:
    before, path = digest("toy.top"), package / "top.py"
    changed = path.read_text().replace(old, new)
    assert changed != path.read_text()
    path.write_text(changed)
    assert digest("toy.top") == before


@pytest.mark.parametrize(
    ("a", "b"),
    [("x = 1", "x = 1.0"), ("x = 'a'", "x = b'a'"), ("x = a < b", "x = a <= b"), ("x = [1, [2]]", "x = [[1], 2]")],
)
def test_different_meanings_have_different_digests(tmp_path: Path, a: str, b: str) -> None:
    digests = []
    for text in (a, b):
        (tmp_path / f"{len(digests)}.py").write_text(text)
        digests.append(program_of(str(tmp_path / f"{len(digests)}.py")).sources.popitem()[1])
    assert digests[0] != digests[1]


def test_a_single_file_is_a_program_too(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import scipy\nfrom hashbench.seeding import run_seed\n")
    program = program_of(str(tmp_path / "mine.py"))
    assert "hashbench.seeding" in program.sources
    assert "scipy" in program.packages


def test_a_module_that_is_not_there_is_a_sentence() -> None:
    with pytest.raises(HashbenchError, match=r"toy\.nowhere is no module"):
        program_of("toy.nowhere")


def dependencies(pipeline: str) -> dict[str, list[str]]:
    stages = yaml.safe_load((ROOT / pipeline).read_text())["stages"]
    return {name: list(stage.get("do", stage)["deps"]) for name, stage in stages.items()}


def test_the_stage_params_depends_on_all_sources_and_versions() -> None:
    deps = dependencies("dvc.yaml")["params"]
    assert deps == ["baselines", "params.yaml", "src/hashbench", "uv.lock"]
    for module in all_modules():
        path = file_of(module)
        assert path is not None
        place = path.resolve().relative_to(ROOT).as_posix()
        assert place.startswith(tuple(f"{dep}/" for dep in deps)), place


@pytest.mark.parametrize("pipeline", ["dvc.yaml", "pipelines/ablations.yaml", "pipelines/official.yaml"])
def test_every_other_stage_depends_on_its_program_and_its_params(pipeline: str) -> None:
    for name, deps in dependencies(pipeline).items():
        if name != "params":
            of = f"{name}/${{key}}.json" if name == "fit" else f"{name}.json"
            assert f"artefacts/${{profile}}/programs/{of}" in deps
            assert any(dep.startswith(f"artefacts/${{profile}}/params/{name}") for dep in deps), name


def test_the_stage_params_writes_the_program_that_each_stage_runs() -> None:
    params = load_params(ROOT / "params.yaml")
    notes = programs_of_stages(params, "quick")
    fits = {f"fit/{name}" for name in (*params.methods, *params.ablations)}
    searches = {"search_report", *(f"search/{name}" for name in params.methods)}
    assert set(notes) == {*STAGES, *fits, *searches} - {"params"}
    for name, block in params.methods.items():
        assert notes[f"fit/{name}"].code == program_of("hashbench.stages.fit", module_of(block.code)).digest


def test_every_program_names_packages_that_are_installed() -> None:
    params = load_params(ROOT / "params.yaml")
    for name, note in programs_of_stages(params, "quick").items():
        assert "not installed" not in note.versions.values(), name
        assert {"python", "numpy"} <= note.versions.keys(), name


def test_another_version_of_a_package_is_another_program_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = program_of("hashbench.stages.evaluate").versions
    metadata = tmp_path / "numba-99.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: numba\nVersion: 99.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    fingerprint._version.cache_clear()
    try:
        assert program_of("hashbench.stages.evaluate").versions == before | {"numba": "99.0"}
    finally:
        fingerprint._version.cache_clear()


def test_a_file_beside_a_users_method_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_method.py").write_text("from my_helper import f\n")
    helper = tmp_path / "my_helper.py"
    helper.write_text("def f():\n    return 1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)  # as `python -m` does
    before = digest("my_method.py")
    assert program_of("my_method.py").packages == ()
    helper.write_text("def f():\n    return 2\n")
    assert digest("my_method.py") != before


def test_what_picks_values_for_stages_is_in_every_note() -> None:
    params = load_params(ROOT / "params.yaml")
    notes = {name: note.selection for name, note in programs_of_stages(params, "quick").items()}
    assert set(notes.values()) == {fingerprint.digest_of_source("hashbench.config.selection")}


def test_every_file_that_is_no_python_is_a_dependency_by_itself() -> None:
    listed = [dep for stage, deps in dependencies("dvc.yaml").items() if stage != "params" for dep in deps]
    others = [
        path.relative_to(ROOT).as_posix()
        for folder in ("src/hashbench", "baselines")
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
        and path.suffix not in (".py", ".pyc", ".nbi", ".nbc")
        and path.name not in (".gitkeep", "py.typed")
    ]
    assert others
    assert [name for name in others if not name.startswith(tuple(f"{dep}/" for dep in listed))] == []


def test_compiled_functions_that_are_kept_call_none_of_another_file() -> None:
    """Numba's cache on disk looks at the file of a function, not at the files of those that it calls."""
    kept = 0
    for module in all_modules():
        path = file_of(module)
        assert path is not None
        tree = ast.parse(path.read_bytes())
        imported = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hashbench")
            for alias in node.names
        }
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            if any("cache=True" in ast.unparse(decorator) for decorator in function.decorator_list):
                kept += 1
                body = [name for statement in function.body for name in ast.walk(statement)]
                used = {node.id for node in body if isinstance(node, ast.Name)}
                assert not used & imported, f"{module}.{function.name}"
    assert kept


def test_digests_do_not_depend_on_where_python_looks_first(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest("hashbench.stages.fit")
    monkeypatch.setattr(sys, "path", list(reversed(sys.path)))
    assert digest("hashbench.stages.fit") == before
