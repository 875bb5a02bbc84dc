"""Where cells are computed: what is chosen, and what a user is told where it cannot be."""

from __future__ import annotations

import importlib.util
import socket
from pathlib import Path

import pytest

from hashbench.errors import HashbenchError
from hashbench.execution.executors import Work, spread

ITEMS = [1, 2, 3]


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("HASHBENCH_EXECUTOR", "HASHBENCH_RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)


def write_square(item: int) -> None:
    Path(f"{item}.txt").write_text(str(item * item))


def squares() -> Work[int]:
    return Work(write_square, lambda _: {}, lambda item: [Path(f"{item}.txt")])


def test_local_is_the_default_and_needs_no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert sorted(spread(squares(), ITEMS)) == ITEMS
    assert [Path(f"{item}.txt").read_text() for item in ITEMS] == ["1", "4", "9"]


def test_an_unknown_executor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HASHBENCH_EXECUTOR", "rya")
    with pytest.raises(HashbenchError, match=r"HASHBENCH_EXECUTOR must be 'local' or 'ray', got 'rya'"):
        list(spread(squares(), ITEMS))


def test_without_ray_installed_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HASHBENCH_EXECUTOR", "ray")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(HashbenchError, match="uv sync --locked --extra cluster"):
        list(spread(squares(), ITEMS))


def test_nothing_to_do_needs_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HASHBENCH_EXECUTOR", "ray")
    assert list(spread(squares(), [])) == []


def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("auto", "ray start --head"),
        ("127.0.0.1:{free}", "no cluster at 127.0.0.1"),
        ("ray://there", "neither auto nor HOST"),
    ],
)
def test_where_no_cluster_is_the_remedy_is_named(address: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("HASHBENCH_EXECUTOR", "ray")
    monkeypatch.setenv("HASHBENCH_RAY_ADDRESS", address.format(free=free_port()))
    with pytest.raises(HashbenchError, match=told):
        list(spread(squares(), ITEMS))


def test_a_host_with_another_program_is_refused() -> None:
    from hashbench.execution.ray_cluster import program, require_same_program

    require_same_program(program())
    with pytest.raises(HashbenchError, match=r"numpy is .* the driver has 0\.0"):
        require_same_program({**program(), "numpy": "0.0"})
