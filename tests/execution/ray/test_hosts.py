"""Hosts that come and go, and a cluster that is gone: nobody waits for ever."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Items write the node that they ran on beside what they read; they end when nobody asks them to wait.
DRIVER = """
import os, sys, time
from pathlib import Path
from hashbench.execution import ray_cluster
from hashbench.execution.command import run_guarded, set_up_log
from hashbench.execution.executors import Work, spread

ray_cluster.SECONDS_WITHOUT_HOSTS = 5.0
started = Path(os.environ["STARTED"])

def do(item):
    import ray
    (started / f"{item}-{ray.get_runtime_context().get_node_id()}").touch()
    while (started / "wait").exists():
        time.sleep(0.05)
    Path("out").mkdir()
    Path(f"out/{item}").write_text(Path("in/words").read_text() * item)

def run():
    set_up_log()
    work = Work(do, lambda item: {Path("in/words"): Path(sys.argv[1])}, lambda item: [Path(f"out/{item}")])
    for item in spread(work, list(range(1, 5))):
        print("done", item, flush=True)

sys.exit(run_guarded(run))
"""


@pytest.fixture
def started(environment: dict[str, str]) -> Iterator[Path]:
    folder = Path(environment["STARTED"])
    yield folder
    for path in folder.iterdir():
        path.unlink()


def start_driver(folder: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    (folder / "words.txt").write_text("a few words ")
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, "words.txt"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(path: Path, pattern: str, driver: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 120
    while not list(path.glob(pattern)):
        assert driver.poll() is None, driver.communicate()[0]
        assert time.monotonic() < until, f"nothing like {pattern} in {path}"
        time.sleep(0.1)


def test_items_run_on_the_host_with_cores_and_the_wait_ends_when_it_is_lost(
    start_nodes: Callable[..., object],
    on_cluster: Callable[..., dict[str, str]],
    environment: dict[str, str],
    started: Path,
    tmp_path: Path,
) -> None:
    nodes = start_nodes(head_cores=0, second_cores=1)
    driver = start_driver(tmp_path, on_cluster(nodes, environment))
    output, _ = driver.communicate(timeout=240)
    assert driver.returncode == 0, output
    assert sorted(line for line in output.splitlines() if line.startswith("done")) == [f"done {n}" for n in range(1, 5)]
    assert [(tmp_path / "out" / str(n)).read_text() for n in range(1, 5)] == ["a few words " * n for n in range(1, 5)]
    assert {path.name for path in tmp_path.iterdir()} == {"out", "words.txt"}

    # The only host with cores dies: what waits ends in one sentence, and nothing half done is left.
    for path in [*started.iterdir(), *(tmp_path / "out").iterdir()]:
        path.unlink()
    (started / "wait").touch()
    driver = start_driver(tmp_path, on_cluster(nodes, environment))
    wait_for(started, "?-*", driver)
    nodes.kill_second()
    output, _ = driver.communicate(timeout=240)
    assert driver.returncode == 2, output
    (told,) = [line for line in output.splitlines() if line.startswith("hashbench:")]
    assert "for 5 s no host of the cluster has offered a CPU; add one with `ray start`" in told
    assert not list((tmp_path / "out").iterdir())

    # And a cluster without cores takes no new work.
    driver = start_driver(tmp_path, on_cluster(nodes, environment))
    output, _ = driver.communicate(timeout=240)
    assert driver.returncode == 2, output
    assert "no host of the cluster offers a CPU" in output


def test_a_port_that_never_answers_is_given_up(environment: dict[str, str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        nowhere = {"HASHBENCH_EXECUTOR": "ray", "HASHBENCH_RAY_ADDRESS": f"127.0.0.1:{silent.getsockname()[1]}"}
        output, _ = (driver := start_driver(tmp_path, {**environment, **nowhere})).communicate(timeout=240)
    assert driver.returncode == 2, output
    assert "lets this process in" in output
