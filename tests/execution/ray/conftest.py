"""A Ray cluster on this machine for the tests in this folder. Every wait has an end, shorter than that of the test."""

from __future__ import annotations

import os
import queue
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

import pytest
from helpers import ROOT

# On a busy machine a Ray cluster takes a minute to start.
SECONDS_TO_START = 240.0
SECONDS_TO_ANSWER = 60.0

NODES = """
import sys
from ray.cluster_utils import Cluster
head, second = map(int, sys.argv[1:])
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": head, "include_dashboard": False})
other = cluster.add_node(num_cpus=second)
cluster.wait_for_nodes(200)
print("answer:", cluster.address, other.node_id, flush=True)
for line in sys.stdin:
    if line.strip() == "kill":
        cluster.remove_node(other, allow_graceful=False)
        print("answer: killed", flush=True)
    else:
        break
cluster.shutdown()
print("answer: stopped", flush=True)
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    marks = [
        pytest.mark.slow,
        pytest.mark.timeout(900),
        pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray: uv sync --locked --extra cluster"),
    ]
    for item in items:
        if here in item.path.parents:
            for mark in marks:
                item.add_marker(mark)


class Nodes:
    """A Ray cluster of two nodes on this machine, in a process of its own: Ray reads its token once."""

    def __init__(self, environment: dict[str, str], head_cores: int, second_cores: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", NODES, str(head_cores), str(second_cores)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answers: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("answer: "):
                self._answers.put(line.removeprefix("answer: ").strip())
        self._answers.put(None)

    def _answer(self, seconds: float, command: str = "") -> str:
        if command:
            assert self._process.stdin is not None
            self._process.stdin.write(command + "\n")
            self._process.stdin.flush()
        try:
            answer = self._answers.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"the cluster has not answered for {seconds:.0f} s") from None
        assert answer is not None, "the cluster's process has ended"
        return answer

    @cached_property
    def _names(self) -> list[str]:
        return self._answer(SECONDS_TO_START).split()

    @property
    def address(self) -> str:
        return self._names[0]

    @property
    def second(self) -> str:
        """The identifier of the node that `kill_second` kills."""
        return self._names[1]

    def kill_second(self) -> None:
        assert self._answer(SECONDS_TO_ANSWER, "kill") == "killed"

    def stop(self) -> None:
        try:
            assert self.address
            assert self._answer(SECONDS_TO_ANSWER, "stop") == "stopped"
            self._process.wait(SECONDS_TO_ANSWER)
        finally:
            self._process.kill()


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, so that every process of a test runs the same ones."""
    folder = tmp_path_factory.mktemp("sources")
    for name in ("src", "baselines"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="module")
def environment(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of every process, Ray's own included: a token of its own, and a folder for shipped inputs."""
    # Ray puts sockets there, whose paths may not be longer than 107 bytes: pytest's own folders are too deep.
    with tempfile.TemporaryDirectory(prefix="hb", ignore_cleanup_errors=True) as host:
        yield {
            **os.environ,
            "PYTHONPATH": str(sources / "src"),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "TMPDIR": host,
            "STARTED": str(tmp_path_factory.mktemp("started")),
        }


@pytest.fixture(scope="module")
def start_nodes(environment: dict[str, str]) -> Iterator[Callable[..., Nodes]]:
    """Starts a cluster: `start_nodes(head_cores=1, second_cores=1)`."""
    started = []

    def start(head_cores: int = 1, second_cores: int = 1) -> Nodes:
        started.append(Nodes(environment, head_cores, second_cores))
        return started[-1]

    yield start
    for nodes in started:
        nodes.stop()


@pytest.fixture(scope="session")
def on_cluster() -> Callable[[Nodes, dict[str, str]], dict[str, str]]:
    """The environment of a process whose cells run on a cluster."""
    return lambda nodes, environment: {
        **environment,
        "HASHBENCH_EXECUTOR": "ray",
        "HASHBENCH_RAY_ADDRESS": nodes.address,
    }
