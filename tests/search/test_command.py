"""`hashbench search`: what it prints, and that `hashbench validate` gives the number of a trial."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from helpers import read_params
from search.conftest import search_of

from hashbench.cli import main
from hashbench.execution import processes
from hashbench.search.choices import chosen

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(
    project: Path,
    in_this_process: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Command]:
    """Runs `hashbench` in the project: its exit status, standard output and standard error."""
    in_this_process()
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr(processes, "use_one_core", lambda: None)  # this process has other tests to run

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["-q", *arguments])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    yield run
    logging.getLogger("hashbench").propagate = True


def test_search_prints_finalists_and_lines_for_params(command: Command, project: Path) -> None:
    status, out, _ = command("search", "dsh", "--trials", "4")
    assert status == 0
    fits = [fit for fit, _ in search_of("dsh", trials=4).run()[0]]
    lines = yaml.safe_load(out.partition("For params.yaml, below profiles.quick.overrides.dsh:\n")[2])
    assert lines == {name: {"value": value, "source": "search"} for name, value in (chosen(fits) or {}).items()}
    rows = [line.split() for line in out.splitlines() if re.match(r" *\d+ ", line)]
    assert {row[1] for row in rows if row[0] in ("1", "2")} == {"official:", "present:"}
    furthest = max(int(row[-1]) for row in rows)
    means = [float(row[-2]) for row in rows if int(row[-1]) == furthest]
    assert len(means) == 2
    assert means == sorted(means, reverse=True)
    assert not (project / "results" / "quick" / "search").exists(), "only the stage writes results"


def test_validate_gives_the_number_of_a_trial(command: Command) -> None:
    fits = [fit for fit, _ in search_of("dsh", trials=4).run()[0]]
    trial = next(fit for fit in fits if fit.trial == 4)
    settings = [f"--set={name}={value}" for name, value in trial.hyperparameters.items()]
    _, out, _ = command("validate", "dsh", "--bits", "12", *settings)
    assert f"{trial.map:.4f}" in out.split()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["lsh"], "hashbench: lsh has nothing to search: params.yaml has no search.spaces.lsh (has: contrastive, "),
        (["dsj"], "hashbench: method: unknown name 'dsj'; did you mean 'dsh'?"),
        (["dsh", "--profile", "quik"], "hashbench: profile: unknown name 'quik'; did you mean 'quick'?"),
        (["dsh", "--trials", "1"], "hashbench: --trials must be at least 2: the official and the present setting are"),
    ],
)
def test_a_wrong_call_ends_in_one_sentence(command: Command, arguments: list[str], sentence: str) -> None:
    status, out, err = command("search", *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(sentence)
    assert err.count("\n") == 1


def test_every_method_with_hyperparameters_of_its_own_is_searched() -> None:
    """A method that nobody gave a space would keep what was tried by hand."""
    params = read_params(Path(__file__).resolve().parents[2])
    with_some = {name for name, block in params["methods"].items() if set(block) - {"code", "under_study", "of"}}
    assert set(params["search"]["spaces"]) == with_some
