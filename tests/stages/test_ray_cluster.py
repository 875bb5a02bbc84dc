"""Cells on a Ray cluster: the files of the local executor, whatever happens to the hosts."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),  # on a busy machine a Ray cluster takes a minute to start
    pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray: uv sync --locked --extra cluster"),
]
ROOT = Path(__file__).resolve().parents[2]
METHODS = ("nsh", "patient")
CELLS = [(bits, seed) for bits in (16, 32) for seed in (0, 1)]

# Its fits say on which node of the cluster they run and end when nobody asks them to wait, all of them or those of one
# node.
PATIENT = """
import os, sys, time
from pathlib import Path
from hashbench.baselines.lsh import LSH
from hashbench.errors import HashbenchError

class Patient(LSH):
    title = "Patient LSH"

    def __init__(self, *, most_bits: int) -> None:
        self.most_bits = most_bits

    def learn(self, features, n_bits, generator):
        if n_bits > self.most_bits:
            raise HashbenchError(f"bits must be at most {self.most_bits}, got {n_bits}")
        learnt = super().learn(features, n_bits, generator)
        number = f"{float(learnt[0]['normals'][0, 0]):.6f}"
        ray = sys.modules.get("ray")
        node = ray.get_runtime_context().get_node_id() if ray else "local"
        folder = Path(os.environ["STARTED"])
        (folder / f"{n_bits}_{number}_{node}_{time.monotonic_ns()}").touch()
        while (folder / "wait").exists() or (folder / f"wait-{node}").exists():
            time.sleep(0.05)
        return learnt
"""
PREPARE = """
from hashbench.stages import backbones, features, fetch, split
for stage in (fetch, split, backbones, features):
    stage.main("quick")
"""
TWO_NODES = """
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
second = cluster.add_node(num_cpus=1)
cluster.wait_for_nodes()
print("answer:", cluster.address, second.node_id, flush=True)
while input() == "kill":
    cluster.remove_node(second, allow_graceful=False)
    print("answer: killed", flush=True)
cluster.shutdown()
print("answer: stopped", flush=True)
"""
FIT = """
from hashbench.stages import fit
for method in ("nsh", "patient"):
    fit.main("quick", method)
"""
TABLE = """
from hashbench.layout import Layout
from hashbench.params import load_params
from hashbench.report.build import tables_of
from hashbench.report.rendering import RENDERERS
from hashbench.stages import evaluate, report
evaluate.main("quick", "methods")
print(RENDERERS["md"](tables_of(report.bundle_of(load_params(), Layout("quick")))[0]))
"""


@pytest.fixture(scope="module")
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
    with tempfile.TemporaryDirectory(prefix="hb") as host, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(sources / "src"))
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        patch.setenv("TMPDIR", host)
        patch.setenv("STARTED", str(tmp_path_factory.mktemp("started")))
        yield dict(os.environ)


@pytest.fixture(scope="module")
def local(
    environment: dict[str, str], small: Callable[..., dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A small project with every cell fitted by the local executor."""
    folder = project(tmp_path_factory.mktemp("local"), small)
    python(folder, environment, "-c", PREPARE)
    python(folder, environment, "-c", FIT)
    return folder


@pytest.fixture
def spread_out(local: Path, environment: dict[str, str], tmp_path: Path) -> Path:
    """The same project before any fit."""
    folder = tmp_path / "spread"
    shutil.copytree(local, folder, ignore=shutil.ignore_patterns("models", "codes"))
    for path in Path(environment["STARTED"]).iterdir():
        path.unlink()
    return folder


class TwoNodes:
    """A Ray cluster of two nodes on this machine, one core each, in a process of its own: Ray reads its token once."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", TWO_NODES], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    @cached_property
    def _said(self) -> list[str]:
        return self._answer().split()

    @property
    def address(self) -> str:
        return self._said[0]

    @property
    def second(self) -> str:
        """The identifier of the node that `kill_second` kills."""
        return self._said[1]

    def _answer(self, command: str = "") -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if command:
            self._process.stdin.write(command + "\n")
            self._process.stdin.flush()
        while line := self._process.stdout.readline():
            if line.startswith("answer: "):
                return line.removeprefix("answer: ").strip()
        raise AssertionError("the cluster's process has ended")

    def kill_second(self) -> None:
        self._answer("kill")

    def stop(self) -> None:
        assert self.address
        self._answer("stop")
        self._process.wait(60)


@pytest.fixture(scope="module")
def cluster(environment: dict[str, str]) -> Iterator[TwoNodes]:
    made = TwoNodes(environment)  # starts while the local project is prepared
    yield made
    made.stop()


def project(folder: Path, small: Callable[..., dict[str, Any]]) -> Path:
    profile = {"datasets": ["digits"], "bits": [16, 32], "seeds": [0, 1], "views": 2, "overrides": {}}
    params = small(["nsh"], profile, epochs=1)
    params["methods"]["patient"] = {"code": "patient.py", "most_bits": {"value": 64, "source": "ours"}}
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    (folder / "patient.py").write_text(PATIENT)
    return folder


def edit(folder: Path, section: str, name: str, values: dict[str, object]) -> None:
    """Change values of a block of params.yaml."""
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params[section][name].update(values)
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def python(folder: Path, environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def on(cluster: TwoNodes, environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "HASHBENCH_EXECUTOR": "ray", "HASHBENCH_RAY_ADDRESS": cluster.address}


def start_fit(method: str, folder: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "hashbench.stages.fit", "quick", method],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def starts(folder: Path) -> list[tuple[str, str]]:
    """The cell and the node of every fit of the patient method that began."""
    names = [path.name.split("_") for path in folder.iterdir() if not path.name.startswith("wait")]
    return [(f"{bits}_{number}", node) for bits, number, node, _ in names]


def codes_and_models(folder: Path) -> dict[str, bytes]:
    files = [
        *folder.glob("results/quick/codes/**/*.safetensors"),
        *folder.glob("artefacts/quick/models/**/*.safetensors"),
    ]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_two_nodes_of_which_one_is_killed_give_the_table_of_the_local_executor(
    cluster: TwoNodes, environment: dict[str, str], local: Path, spread_out: Path
) -> None:
    python(spread_out, on(cluster, environment), "-m", "hashbench.stages.fit", "quick", "nsh")
    started = Path(environment["STARTED"])
    (started / "wait").touch()
    driver = start_fit("patient", spread_out, on(cluster, environment))
    until = time.monotonic() + 120
    while len({where for _, where in starts(started)}) < 2:
        assert driver.poll() is None, driver.communicate()[0]
        assert time.monotonic() < until, "no cell began on both nodes"
        time.sleep(0.1)
    # A worker may outlive its node for a while, and must not finish meanwhile: it goes on waiting.
    (started / f"wait-{cluster.second}").touch()
    cluster.kill_second()
    (started / "wait").unlink()
    output, _ = driver.communicate(timeout=300)

    assert driver.returncode == 0, output
    assert len(output.splitlines()) < 10, output
    begun = starts(started)
    lost = {cell for cell, where in begun if where == cluster.second}
    assert lost, "nothing was under way on the node that died"
    # None was finished there, for all waited; how often Ray tried a lost cell there while the node died is its affair.
    survived = sorted(cell for cell, where in begun if where != cluster.second)
    assert survived == sorted({cell for cell, _ in begun}), "each cell began once on the node that lived"
    assert len(codes_and_models(spread_out)) == 2 * len(METHODS) * len(CELLS)
    assert codes_and_models(spread_out) == codes_and_models(local)
    table = python(spread_out, environment, "-c", TABLE)
    assert "Patient LSH" in table
    assert table == python(local, environment, "-c", TABLE)


def test_a_mistake_that_a_cell_finds_is_told_in_one_sentence(
    cluster: TwoNodes, environment: dict[str, str], spread_out: Path
) -> None:
    edit(spread_out, "methods", "patient", {"most_bits": {"value": 16, "source": "ours"}})
    driver = start_fit("patient", spread_out, on(cluster, environment))
    output, _ = driver.communicate(timeout=300)
    assert driver.returncode == 2, output
    assert [line for line in output.splitlines() if line.startswith("hashbench: bits must be at most 16, got 32")]
    assert "Traceback" not in output


def test_a_cluster_without_gpu_is_refused_where_cells_need_one(
    cluster: TwoNodes, environment: dict[str, str], spread_out: Path
) -> None:
    edit(spread_out, "profiles", "quick", {"device": "cuda"})
    driver = start_fit("nsh", spread_out, on(cluster, environment))
    output, _ = driver.communicate(timeout=300)
    assert driver.returncode == 2, output
    assert "no host of the cluster offers a GPU" in output
