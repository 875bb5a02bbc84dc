"""The command line: a user's mistake ends in one sentence and exit status 2, without a traceback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hashbench.cli import COMMANDS
from hashbench.commands.trials import settings_of
from hashbench.config.params import load_params

ROOT = Path(__file__).resolve().parents[1]


def hashbench(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from hashbench.cli import main; main()", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a call that was refused."""
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("hashbench:")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_help_names_every_command_and_loads_none_of_what_they_use() -> None:
    heavy = {"numpy", "pydantic", "pydantic_settings", "rich", "torch", "yaml", "importlib.metadata"}
    script = f"""
import sys
from hashbench.cli import main
try:
    main(["--help"])
finally:
    print("loaded:", *sorted({heavy!r} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert re.findall(r"^    (\w+)\b", done.stdout, re.MULTILINE) == list(COMMANDS)
    assert done.stdout.splitlines()[-1] == "loaded:"


def test_every_command_is_a_file_and_the_other_way_round() -> None:
    shared = {"__init__", "options", "printing", "trials"}
    files = {path.stem for path in (ROOT / "src" / "hashbench" / "commands").glob("*.py")}
    assert files - shared == set(COMMANDS)


def test_the_version_is_that_of_the_package() -> None:
    from importlib.metadata import version

    assert hashbench("--version").stdout == f"hashbench {version('hashbench')}\n"


@pytest.mark.parametrize(
    "command", [["list"], ["check", "quick"], ["show", "table1"], ["fit", "nsh"], ["cite", "table1"]]
)
def test_outside_of_a_clone_a_command_says_what_it_needs(tmp_path: Path, command: list[str]) -> None:
    message = refused(hashbench(*command, cwd=tmp_path))
    assert message.startswith("hashbench: params.yaml is missing: ")
    assert "needs a clone of hashbench; make one with `git clone`, run `uv sync` there" in message


def test_a_wrong_variable_is_told_in_one_sentence() -> None:
    assert "HASHBENCH_LOG must be 'quiet', 'normal' or 'verbose'" in refused(hashbench("list", HASHBENCH_LOG="loud"))


def test_unknown_method_gets_a_suggestion() -> None:
    message = refused(hashbench("fit", "itqq"))
    assert "itqq" in message
    assert "did you mean 'itq'?" in message


def test_unknown_profile_lists_the_known_ones() -> None:
    assert "quick" in refused(hashbench("check", "quik"))


def test_fractional_bits() -> None:
    done = hashbench("fit", "itq", "--bits", "24.5")
    assert done.returncode == 2
    assert "'24.5' is not a whole number" in done.stderr
    assert "Traceback" not in done.stderr


def test_missing_file(tmp_path: Path) -> None:
    assert "nowhere.npz" in refused(hashbench("evaluate", str(tmp_path / "nowhere.npz"), "--k", "5"))


def test_corrupt_zip(tmp_path: Path) -> None:
    (tmp_path / "cifar10-jpeg.zip").write_bytes(b"PK\x03\x04 this is no zip")
    assert "cifar10-jpeg.zip" in refused(hashbench("fetch", "cifar10_jpeg", HASHBENCH_DATA=str(tmp_path)))


def test_no_network(tmp_path: Path) -> None:
    message = refused(hashbench("fetch", "cifar10", HASHBENCH_DATA=str(tmp_path), HASHBENCH_OFFLINE="1"))
    assert "cifar-10-python.tar.gz" in message


def test_wrong_params_are_answered_before_any_import_of_torch(tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    params.write_text((ROOT / "params.yaml").read_text().replace("    - 16\n    - 32\n", "    - 16\n    - 24.5\n"))
    assert "24.5" in refused(hashbench("list", HASHBENCH_PARAMS=str(params)))


def test_evaluate_prints_json(tmp_path: Path) -> None:
    import json

    path = tmp_path / "codes.npz"
    codes = np.array([[0, 0, 0, 0], [0, 0, 0, 1], [0, 1, 1, 1]])
    np.savez(path, query_codes=codes[:1], db_codes=codes, query_labels=[0], db_labels=[0, 1, 0])
    done = hashbench("evaluate", str(path), "--format", "json")
    assert done.returncode == 0, done.stderr
    # Ranks: relevant, other, relevant: (1/1 + 2/3) / 2.
    assert json.loads(done.stdout)["evaluations"][0]["map"] == pytest.approx(5 / 6)


def test_evaluating_a_small_file_imports_little(tmp_path: Path) -> None:
    """What it imports is nearly all of what a start takes."""
    codes = np.array([[0, 0, 0, 0], [0, 0, 0, 1], [0, 1, 1, 1]])
    np.savez(tmp_path / "codes.npz", query_codes=codes[:1], db_codes=codes, query_labels=[0], db_labels=[0, 1, 0])
    heavy = {"torch", "pandas", "matplotlib", "h5py", "pyarrow", "scipy.io", "rich", "dvc", "timm"}
    script = f"""
import sys
from hashbench.cli import main
try:
    main(["evaluate", "codes.npz"])
finally:
    print("loaded:", *sorted({heavy!r} & set(sys.modules)))
"""
    call = [sys.executable, "-c", script]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "loaded:"


def test_help_of_evaluate_shows_three_examples() -> None:
    done = hashbench("evaluate", "--help")
    assert done.stdout.count("\n  hashbench evaluate ") == 3


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_a_shell_gets_completion_of_commands_and_options(shell: str) -> None:
    done = hashbench("--print-completion", shell)
    assert done.returncode == 0, done.stderr
    for word in (*COMMANDS, "query-codes", "min_k_relevant"):
        assert word in done.stdout


def test_files_are_completed_as_shtab_does_it() -> None:
    import shtab

    from hashbench.commands.options import FILE_COMPLETION

    assert FILE_COMPLETION.items() <= shtab.FILE.items()


@pytest.mark.parametrize("locale", [{"LC_ALL": "POSIX", "PYTHONUTF8": "0"}, {"PYTHONIOENCODING": "ascii:strict"}])
def test_any_locale_will_do(locale: dict[str, str]) -> None:
    for command in (["show", "table1"], ["show", "table3"], ["list"], ["list", "--hyperparameters"]):
        done = hashbench(*command, **locale)
        assert done.returncode == 0, done.stderr
        assert done.stdout


def test_no_name_is_broken_in_a_pipe() -> None:
    done = hashbench("list", COLUMNS="40")
    names = [*load_params(ROOT / "params.yaml").methods]
    for name in names:
        assert re.search(rf"^{name} ", done.stdout, re.MULTILINE), name


def test_a_missing_part_of_the_suite_is_named(tmp_path: Path) -> None:
    script = """
import sys
sys.modules["jinja2"] = None  # as if it were not installed
from hashbench.cli import main
main(["table", "table1"])
"""
    call = [sys.executable, "-c", script]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    message = refused(done)
    assert "needs the package jinja2" in message
    assert "pip install 'hashbench[suite]'" in message


def test_list_names_every_profile() -> None:
    done = hashbench("list", COLUMNS="200")
    assert done.returncode == 0, done.stderr
    for profile in ("quick", "cpu", "cifar10-jpeg", "paper"):
        assert profile in done.stdout


@pytest.mark.parametrize(
    ("text", "value"),
    [("3e-3", 3e-3), ("0.5", 0.5), ("64", 64), ("true", True), ("no", False), ("softsort", "softsort")],
)
def test_a_setting_is_read_as_the_value_it_looks_like(text: str, value: object) -> None:
    (found,) = settings_of([f"temperature={text}"])["temperature"]
    assert found == value
    assert type(found) is type(value)


def test_hyperparameters_are_listed_with_their_sources() -> None:
    done = hashbench("list", "--hyperparameters", COLUMNS="250")
    assert done.returncode == 0, done.stderr
    assert "third-party" in done.stdout


def test_an_option_that_the_method_does_not_take_gets_a_suggestion() -> None:
    assert "did you mean 'iterations'?" in refused(hashbench("validate", "itq", "--set", "iteration=5"))
