"""Cells on a Ray cluster: the files of the local executor, whatever happens to the hosts."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import read_params, small_params, write_params

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
from hashbench.stages import backbones, features, fetch, params, split
for stage in (params, fetch, split, backbones, features):
    stage.main("quick")
"""
FIT = """
from hashbench.stages import fit
for method in ("nsh", "patient"):
    fit.main("quick", "methods", method)
"""
TABLE = """
from pathlib import Path
from hashbench.stages import evaluate, report
evaluate.main("quick", "methods")
report.main("quick", "methods")
print(Path("results/quick/table1.md").read_text())
"""


@pytest.fixture(scope="module")
def cluster(start_nodes: Callable[..., Any]) -> Any:
    return start_nodes(head_cores=1, second_cores=1)  # starts while the local project is prepared


@pytest.fixture(scope="module")
def local(cluster: Any, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project with every cell fitted by the local executor."""
    folder = project(tmp_path_factory.mktemp("local"))
    python(folder, environment, "-c", PREPARE)
    python(folder, environment, "-c", FIT)
    return folder


@pytest.fixture
def spread_out(local: Path, environment: dict[str, str], tmp_path: Path) -> Path:
    """The same project before any fit."""
    folder = tmp_path / "spread"
    shutil.copytree(local, folder, ignore=shutil.ignore_patterns("fits"))
    for path in Path(environment["STARTED"]).iterdir():
        path.unlink()
    return folder


def project(folder: Path) -> Path:
    profile = {"datasets": ["digits"], "bits": [16, 32], "seeds": [0, 1], "views": 2, "overrides": {}}
    params = small_params(["nsh"], profile, epochs=1)
    params["methods"]["patient"] = {"code": "patient.py", "most_bits": {"value": 64, "source": "ours"}}
    write_params(folder, params)
    (folder / "patient.py").write_text(PATIENT)
    return folder


def edit(folder: Path, environment: dict[str, str], section: str, name: str, values: dict[str, object]) -> None:
    """Change values of a block of params.yaml, and tell the stages."""
    params = read_params(folder)
    params[section][name].update(values)
    write_params(folder, params)
    python(folder, environment, "-m", "hashbench.stages.params", "quick")


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


def start_fit(method: str, folder: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "hashbench.stages.fit", "quick", "methods", method],
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
    files = folder.glob("artefacts/quick/fits/**/*.safetensors")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_two_nodes_of_which_one_is_killed_give_the_table_of_the_local_executor(
    cluster: Any, on_cluster: Callable[..., dict[str, str]], environment: dict[str, str], local: Path, spread_out: Path
) -> None:
    python(spread_out, on_cluster(cluster, environment), "-m", "hashbench.stages.fit", "quick", "methods", "nsh")
    started = Path(environment["STARTED"])
    (started / "wait").touch()
    driver = start_fit("patient", spread_out, on_cluster(cluster, environment))
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
    cluster: Any, on_cluster: Callable[..., dict[str, str]], environment: dict[str, str], spread_out: Path
) -> None:
    edit(spread_out, environment, "methods", "patient", {"most_bits": {"value": 16, "source": "ours"}})
    driver = start_fit("patient", spread_out, on_cluster(cluster, environment))
    output, _ = driver.communicate(timeout=300)
    assert driver.returncode == 2, output
    assert [line for line in output.splitlines() if line.startswith("hashbench: bits must be at most 16, got 32")]
    assert "Traceback" not in output


def test_a_cluster_without_gpu_is_refused_where_cells_need_one(
    cluster: Any, on_cluster: Callable[..., dict[str, str]], environment: dict[str, str], spread_out: Path
) -> None:
    edit(spread_out, environment, "profiles", "quick", {"device": "cuda"})
    driver = start_fit("nsh", spread_out, on_cluster(cluster, environment))
    output, _ = driver.communicate(timeout=300)
    assert driver.returncode == 2, output
    assert "no host of the cluster offers a GPU" in output
