"""`hashbench fit` and `hashbench validate`: a method tried on a profile's features, and what is said when it fails."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import TINY, keep_methods, read_params, write_params

from hashbench.artefacts.features import write_blocks, write_record
from hashbench.artefacts.layout import Layout
from hashbench.artefacts.split import write_split
from hashbench.cli import main
from hashbench.commands.trials import settings_of
from hashbench.errors import HashbenchError
from hashbench.execution import processes
from hashbench.types import Split

ROOT = Path(__file__).resolve().parents[2]
N, N_QUERY, N_TRAIN, WIDTH = 260, 60, 100, 12

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A profile `quick` of one data set of five groups, with features of all rows and of two views, and no weights."""
    folder = tmp_path_factory.mktemp("project")
    params: dict[str, Any] = read_params(ROOT)
    quick = params["profiles"]["quick"] | TINY | {"bits": [12, 16], "seeds": [0, 1], "views": 2}
    params |= {"profiles": {"quick": quick}, "ablations": {}, "controls": [], "references": []}
    keep_methods(params, ("nsh", "contrastive", "lsh"))
    for name in ("nsh", "contrastive"):
        params["methods"][name]["epochs"]["value"] = 2
    params["datasets"]["digits"]["k"] = 50
    write_params(folder, params)
    for name in ("baselines", "src"):
        (folder / name).symlink_to(ROOT / name)
    rng = np.random.default_rng(0)
    groups, rows = rng.integers(5, size=N), rng.permutation(N)
    pooled = (rng.normal(size=(5, WIDTH)) * 0.7)[groups] + rng.normal(size=(N, WIDTH))
    query, database = rows[:N_QUERY], rows[N_QUERY:]
    layout = Layout("quick", root=folder)
    write_split(
        layout.split("digits"), Split("test", query, database, database[:N_TRAIN], np.eye(5, dtype=bool)[groups])
    )
    views = np.concatenate([pooled[database[:N_TRAIN]] + rng.normal(size=(N_TRAIN, WIDTH)) * 0.1 for _ in range(2)])
    for name, array in {"pooled": pooled, "views": views}.items():
        blocks = [{name: array.astype(np.float32)}]
        target = layout.features("digits", "vit_micro")
        write_blocks(target, {name: (WIDTH,)}, len(array), {}, lambda start, blocks=blocks: iter(blocks))  # type: ignore[misc]
    write_record(layout, "digits", "vit_micro", {"pooled": {}, "views": {}})
    return folder


@pytest.fixture
def command(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Runs `hashbench` in the project: its exit status, standard output and standard error."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HASHBENCH_PARAMS", str(folder / "params.yaml"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(processes, "use_one_core", lambda: None)  # this process has other tests to run

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    yield run
    logging.getLogger("hashbench").propagate = True


MINE = """
import sys, time
import numpy as np
from hashbench.types import FitLog, Paper

class Mine:
    title = "Mine"
    paper = Paper("k", "A", "T", "V", 2020, "https://example.org")
    needs = frozenset({"pooled"})
    deviations = ()

    def __init__(self, *, scale: float = 1.0) -> None:
        self.scale = scale

    def fit(self, train, n_bits, seed, session):
        self.planes = np.random.default_rng(seed).normal(0, self.scale, (train.pooled.shape[1], n_bits))
        return FitLog()

    def encode(self, items):
        return items.pooled @ self.planes >= 0

    def state_dict(self):
        return {"planes": self.planes}

    def load_state_dict(self, state):
        self.planes = state["planes"]
"""


def write_mine(folder: Path, first: str = "", function: str = "fit") -> str:
    """A user's file whose `fit`, or another function, does something first."""
    lines = MINE.splitlines()
    if first:
        place = next(number for number, line in enumerate(lines) if line.startswith(f"    def {function}("))
        lines.insert(place + 1, f"        {first}")
    path = folder / "mine.py"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def rows_of(out: str, first: str) -> list[list[str]]:
    return [line.split() for line in out.splitlines() if line.split()[:1] == [first]]


def test_fit_shows_the_row_of_a_method_of_one_s_own(command: Command, tmp_path: Path) -> None:
    status, out, _ = command("fit", write_mine(tmp_path), "--bits", "16", "--set", "scale=2")
    assert status == 0
    assert "Mine (this run, one seed)" in out
    assert 0.2 < float(out.split()[-1]) < 1


def test_fit_gives_the_numbers_of_the_method_called_by_its_file(command: Command) -> None:
    by_name, by_file = (command("fit", method)[1].split()[-2:] for method in ("lsh", "baselines/lsh.py"))
    assert by_name == by_file
    assert all(0.2 < float(value) < 1 for value in by_name)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nsh", "--set", "m=abc"], "hashbench: key 'nsh.m' is 'abc'; it must be a whole number of at least 1"),
        (["nsh", "--set", "m=64"], "hashbench: key 'nsh.m' is 64; it must be below batch_size, which is 64"),
        (["nsh", "--set", "n=1"], "hashbench: unknown key 'nsh.n' with the value 1"),
        (["nsh", "--set", "sorter=bubble"], "hashbench: key 'nsh.sorter' is 'bubble'"),
        (["nsh", "--set", "m=[1]"], "hashbench: --set m: '[1]' must be one number, text, true, false or null"),
        (["nsh", "--set", "m"], "hashbench: --set takes KEY=VALUE, got 'm'"),
        (["nsh", "--set", "temperature=NaN"], "hashbench: key 'nsh.temperature' is nan; it must be a finite number"),
        (["nsj"], "hashbench: unknown method 'nsj'; did you mean 'nsh'?"),
        (["nsh", "--profile", "quik"], "hashbench: profile: unknown name 'quik'; did you mean 'quick'?"),
        (["none.py"], "hashbench: method code none.py: no such file; give a Python file or package.module:Class"),
        (["wch"], "hashbench: unknown method 'wch'"),
    ],
)
@pytest.mark.parametrize("name", ["fit", "validate"])
def test_a_wrong_call_ends_in_one_sentence(command: Command, name: str, arguments: list[str], sentence: str) -> None:
    status, out, err = command(name, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(sentence)
    assert err.count("\n") == 1


def test_fit_refuses_a_key_given_twice(command: Command) -> None:
    status, _, err = command("fit", "nsh", "--set", "m=2", "--set", "m=4")
    assert status == 2
    assert err == "hashbench: --set m stands 2 times; give one value, or use `hashbench validate`\n"


def test_a_method_that_raises_is_told_in_one_sentence(command: Command, tmp_path: Path) -> None:
    path = write_mine(tmp_path, "train.pooled @ np.zeros(3)")
    line = Path(path).read_text().splitlines().index("        train.pooled @ np.zeros(3)") + 1
    status, _, err = command("fit", path)
    assert status == 2
    assert err.startswith("hashbench: Mine: fit raised ValueError: matmul")
    assert err.endswith(f"({path}, line {line}); `hashbench -v` shows the whole traceback\n")
    assert err.count("\n") == 1
    status, _, err = command("-v", "fit", path)
    assert status == 2
    assert "Traceback (most recent call last)" in err


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("class Mine(:", "importing it raised SyntaxError: "),
        ("import no_such_module", "importing it raised ModuleNotFoundError: No module named 'no_such_module' ("),
        ("raise RuntimeError('no\\nway')", "importing it raised RuntimeError: no way ("),
        ("import sys\nsys.exit(1)", "importing it ended the whole process (`exit`); let it return or raise"),
    ],
)
def test_a_file_that_cannot_be_imported_is_told_in_one_sentence(
    command: Command, tmp_path: Path, source: str, sentence: str
) -> None:
    path = tmp_path / "mine.py"
    path.write_text(source + "\n")
    status, _, err = command("fit", str(path))
    assert status == 2
    assert err.startswith(f"hashbench: method code {path}: {sentence}")
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", ["fit", "validate"])
@pytest.mark.parametrize("function", ["fit", "encode"])
def test_a_fit_that_takes_too_long_is_ended(command: Command, tmp_path: Path, name: str, function: str) -> None:
    start = time.monotonic()
    path = write_mine(tmp_path, "[time.sleep(0.01) for _ in range(6000)]", function)
    status, _, err = command(name, path, "--timeout", "0.3")
    assert status == 2
    said = "Mine on digits, 12 bits: fit and encode took longer than 0.3 s; raise --timeout, or make it faster"
    assert err == f"hashbench: {said}\n"
    assert time.monotonic() - start < 30


def test_a_method_cannot_swallow_the_end_of_its_time(command: Command, tmp_path: Path) -> None:
    path = write_mine(tmp_path, "try: time.sleep(60)\n        except Exception: pass")
    assert command("fit", path, "--timeout", "0.3")[0] == 2


@pytest.mark.parametrize("limit", ["0", "-1", "soon", "nan", "inf"])
def test_a_time_limit_is_a_number_of_seconds(command: Command, limit: str) -> None:
    status, _, err = command("fit", "lsh", "--timeout", limit)
    assert status == 2
    assert f"'{limit}' is not a number of seconds above 0" in err


def test_codes_that_waste_bits_are_shown_with_a_warning(command: Command, tmp_path: Path) -> None:
    path = write_mine(tmp_path, "return np.repeat(items.pooled[:, :1] >= 0, self.planes.shape[1], axis=1)", "encode")
    status, out, err = command("fit", path, "--bits", "12")
    assert status == 0
    assert "Mine (this run, one seed)" in out
    assert "Mine on digits, 12 bits: 11 of 12 bits are another bit or its opposite\n" in err


@pytest.mark.parametrize("name", ["fit", "validate"])
def test_fits_run_in_the_profile_s_session(
    command: Command, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    shutil.copytree(folder, tmp_path / "other", symlinks=True)
    params = read_params(folder)
    params["profiles"]["quick"]["precision"] = "bf16"
    write_params(tmp_path / "other", params)
    monkeypatch.chdir(tmp_path / "other")
    monkeypatch.setenv("HASHBENCH_PARAMS", "params.yaml")
    path = write_mine(
        tmp_path, f"open({str(tmp_path / 'seen')!r}, 'a').write(f'{{session.device}} {{session.precision}} ')"
    )
    assert command(name, path, "--bits", "12")[0] == 0
    assert (tmp_path / "seen").read_text() == "cpu bf16 "


def test_validate_prints_a_row_for_every_code_length(command: Command) -> None:
    status, out, _ = command("validate", "lsh", "--bits", "12", "--bits", "64")
    assert status == 0
    rows = rows_of(out, "digits")
    assert [(row[1], row[-4]) for row in rows] == [("vit_micro", "12"), ("vit_micro", "64")]
    assert 0.2 < float(rows[0][-3]) < float(rows[1][-3]) < 1, "longer random codes are better"


def test_validate_sweeps_over_settings(command: Command) -> None:
    status, out, _ = command(
        "validate", "nsh", "--set", "m=2", "--set", "m=4", "--set", "epochs=1", "--set", "hidden=8", "--set", "hidden=9"
    )
    assert status == 0
    rows = [" ".join(row[2:-3]) for row in rows_of(out, "digits")]
    assert rows == [
        f"m={m}, epochs=1, hidden={hidden} {bits}" for bits in (12, 16) for m in (2, 4) for hidden in (8, 9)
    ]
    assert "setting" in out
    assert len({row[-3] for row in rows_of(out, "digits")}) > 1


def test_settings_are_read_as_values() -> None:
    texts = ["a=1", "b=3e-3", "c=true", "d=softsort", "a=2", "e=null", "f=1e5", "g=0x10", "h= x"]
    found = settings_of(texts)
    assert found == {
        "a": [1, 2],
        "b": [0.003],
        "c": [True],
        "d": ["softsort"],
        "e": [None],
        "f": [1e5],
        "g": [16],
        "h": ["x"],
    }
    for wrong in ("a={x: 1}", "a=[", "=1", "a", "a=2024-01-01"):
        with pytest.raises(HashbenchError, match="--set"):
            settings_of([wrong])
