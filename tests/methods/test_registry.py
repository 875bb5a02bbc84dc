"""Finding a method by the file that holds it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hashbench.errors import HashbenchError
from hashbench.methods.registry import file_of, load_method, module_of, own_files

ROOT = Path(__file__).resolve().parents[2]
SHALLOW = ("lsh", "pcah", "sh", "itq", "sph", "agh1", "agh2", "dsh")

METHOD = """
from hashbench.types import Paper
from hashbench.learning.shallow import ShallowMethod

class Mine(ShallowMethod):
    title = "Mine"
    paper = Paper(key="k", authors="A", title="T", venue="V", year=2020, url="https://example.org")

    def learn(self, features, n_bits, generator): ...
    def scores(self, rows): ...
"""


def _write(tmp_path: Path, text: str, name: str = "mine.py") -> str:
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)


def test_a_baseline_is_found_by_its_file_and_is_the_same_class_every_time():
    found = load_method("baselines/lsh.py")
    assert found.title == "LSH"
    assert found is load_method("baselines/lsh.py") is load_method("hashbench.baselines.lsh:LSH")


def test_shallow_baselines_load_without_torch():
    """Importing it costs seconds, which `hashbench list` and every shallow fit would pay."""
    program = (
        "import sys; from hashbench.methods.registry import load_method\n"
        f"for name in {SHALLOW}: load_method(f'baselines/{{name}}.py')\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


def test_a_file_of_the_users_own_is_found(tmp_path):
    found = load_method(_write(tmp_path, METHOD))
    assert found.title == "Mine"
    assert found.needs == {"pooled"}


def test_imported_and_abstract_classes_are_not_counted(tmp_path):
    text = METHOD + "\nfrom hashbench.baselines.lsh import LSH\nclass Base(ShallowMethod): ...\n"
    assert load_method(_write(tmp_path, text)).title == "Mine"


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("baselines/nothing.py", r"method code baselines/nothing\.py: cannot import hashbench\.baselines\.nothing"),
        ("elsewhere/nothing.py", r"method code elsewhere/nothing\.py: no such file"),
        ("no.such.module:Class", r"cannot import no"),
        ("hashbench.baselines.lsh:Nothing", r"module hashbench\.baselines\.lsh has no class Nothing"),
        ("hashbench.types:Split", r"not a Method, it lacks title"),
        ("hashbench.types:Array", r"not a Method"),
        (":Class", r"method code :Class: cannot import"),
    ],
)
def test_what_is_no_method_is_refused_in_one_sentence(code, sentence):
    with pytest.raises(HashbenchError, match=sentence):
        load_method(code)


def test_a_file_must_hold_exactly_one_method(tmp_path):
    with pytest.raises(HashbenchError, match="expected one class with `encode`, found 0"):
        load_method(_write(tmp_path, "x = 1\n", "none.py"))
    two = METHOD + METHOD[METHOD.index("class") :].replace("Mine", "Second")
    with pytest.raises(HashbenchError, match="expected one class with `encode`, found 2"):
        load_method(_write(tmp_path, two, "two.py"))
    text = _write(tmp_path, METHOD, "mine.txt")
    with pytest.raises(HashbenchError, match="not a Python file"):
        load_method(text)


def test_a_half_written_method_is_told_what_it_lacks(tmp_path):
    text = "class Half:\n    title = 'Half'\n    def fit(self): ...\n    def encode(self): ...\n"
    with pytest.raises(HashbenchError, match="lacks paper, needs, deviations, state_dict, load_state_dict"):
        load_method(_write(tmp_path, text))


@pytest.mark.parametrize(
    ("code", "module"),
    [
        ("baselines/lsh.py", "hashbench.baselines.lsh"),
        ("src/hashbench/methods/nsh.py", "hashbench.methods.nsh"),
        ("elsewhere/mine.py", "elsewhere/mine.py"),
        ("mine.py", "mine.py"),
        ("package.module:Class", "package.module"),
    ],
)
def test_where_the_source_of_a_method_is_looked_for(code, module):
    assert module_of(code) == module


def test_the_file_of_a_method_is_found_wherever_the_command_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert file_of("baselines/lsh.py") == ROOT / "baselines" / "lsh.py"
    assert file_of("src/hashbench/methods/nsh.py") == ROOT / "src" / "hashbench" / "methods" / "nsh.py"
    assert file_of("baselines/none.py") == Path("baselines/none.py")
    assert file_of("mine.py") == Path("mine.py")
    assert file_of("package.module:Class") is None
    assert {"baselines/lsh.py", "src/hashbench/methods/nsh.py"} <= set(own_files())


def test_a_module_that_raises_when_imported_is_told_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "broken_method_module.py").write_text("x = 1\n1 / 0\n")
    with pytest.raises(HashbenchError) as error:
        load_method("broken_method_module:Class")
    assert "method code broken_method_module:Class: importing it raised ZeroDivisionError" in str(error.value)
    assert f"({tmp_path / 'broken_method_module.py'}, line 2)" in str(error.value)
