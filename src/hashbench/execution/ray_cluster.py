"""The executor `ray`: cells on the hosts of a Ray cluster, which need not share a file system.

The driver, that is the stage's own process, puts the files that cells read into Ray's object store; a host fetches each
of them once. A cell is computed in an empty folder that holds these files and nothing else, and hands back the bytes of
the files it made. The driver alone writes them into the project, once a cell, so a cell that Ray ran twice (because the
host of the first run was lost) cannot leave two results.

This is our own code and not that of a library because Ray's data and training libraries hand back objects in memory,
while a cell is files in and files out, the same bytes as without Ray.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hashbench.artefacts import store
from hashbench.errors import HashbenchError
from hashbench.execution.command import log
from hashbench.execution.executors import Item, Work
from hashbench.execution.processes import use_one_core
from hashbench.fingerprint import all_modules, program_of

RUNS_OF_A_CELL = 4  # a host that dies takes its cells along; a cell that was lost so often may be what kills it
PIECE = 1 << 28  # bytes of one object: a file larger than a host's object store still passes through it
SECONDS_BETWEEN_LOOKS = 2.0
SECONDS_WITHOUT_HOSTS = 300.0  # while no host offers what a cell needs: one may be starting again
KEPT_SECONDS = 7 * 24 * 3600.0
RAY_SETTINGS = {
    "RAY_DEDUP_LOGS_SKIP_REGEX": r"[\s\S]",  # dozens of lines for a lost host; `Hosts` tells it in one
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_gcs_server_port_wait_time_s": "1",  # one try of 40 s to reach a cluster, where Ray has twenty
}


class Shipped(NamedTuple):
    """A file on its way to other hosts: its place below the working directory, its sha256, and its pieces there."""

    place: Path
    sha256: str
    pieces: tuple[Any, ...]


def run_on_cluster(work: Work[Item], items: Sequence[Item], address: str) -> Iterator[Item]:
    """Do `work` for every item on the cluster at `address`; yield each item when its files are in place here.

    Raises the first error of an item; HashbenchError where there is no such cluster, where a host runs other code or
    other packages than this one, or where an item's hosts were lost again and again.
    """
    with connected(address, work.gpus) as ray:
        yield from _run(ray, work, items)


@contextlib.contextmanager
def connected(address: str, gpus: float) -> Iterator[Any]:
    """Ray, connected to a cluster that has room for a cell with this share of a GPU; HashbenchError where it is not."""
    ray = _connect(address)
    try:
        _require_room(ray, gpus)
        yield ray
    finally:
        ray.shutdown()


def _run(ray: Any, work: Work[Item], items: Sequence[Item]) -> Iterator[Item]:
    task = ray.remote(num_cpus=1, num_gpus=work.gpus, max_retries=RUNS_OF_A_CELL - 1, scheduling_strategy="SPREAD")(
        run_here
    )
    ship = cache(lambda place, path: Shipped(place, *_put(ray, path)))
    waiting = {}
    for item in items:
        files = [ship(place, path) for place, path in work.reads(item).items()]
        reference = task.remote(work.do, item, files, list(work.writes(item)), program(), "torch" in sys.modules)
        waiting[reference] = item
    hosts = Hosts(ray, work.gpus)
    while waiting:
        finished, _ = ray.wait(list(waiting), timeout=SECONDS_BETWEEN_LOOKS)
        for reference in finished:
            item = waiting.pop(reference)
            for place, content in _result(ray, reference, item).items():
                with store.replacing(place) as temporary:
                    temporary.write_bytes(content)
            yield item
        hosts.look()


def _result(ray: Any, reference: Any, item: object) -> dict[Path, bytes]:
    try:
        made: dict[Path, bytes] = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, HashbenchError):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:
        name = ", ".join(cell.name for cell in item) if isinstance(item, tuple) else item
        raise HashbenchError(
            f"{name} was lost {RUNS_OF_A_CELL} times with the process or host that ran it ({type(error).__name__}); "
            "see `ray status` and the memory of the hosts, then run again"
        ) from None
    return made


def _connect(address: str) -> Any:
    """Ray, connected to the cluster at `address` (`auto` or HOST:PORT) and quiet.

    Raises HashbenchError where no cluster answers, or one that does not let this process in.
    """
    os.environ.update({name: value for name, value in RAY_SETTINGS.items() if name not in os.environ})
    import ray

    where = "on this host" if address == "auto" else f"at {address}"
    remedy = "start one with `ray start --head`, see docs/cluster.md"
    try:
        if address != "auto":
            _require_answer(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # Ray raises plain ones too
        reason = " ".join(str(error).split())[:200]
        raise HashbenchError(f"executor ray: no cluster {where} lets this process in ({reason}); {remedy}") from None
    return ray


def _require_answer(address: str) -> None:
    """Raise an error unless HOST:PORT takes a connection: Ray itself would try for longer."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        raise ValueError(f"'{address}' is neither auto nor HOST:PORT")
    socket.create_connection((host, int(port)), timeout=10).close()


def _require_room(ray: Any, gpus: float) -> None:
    """Raise HashbenchError where the cluster has no core, or not the GPU that a cell needs: Ray would wait for it."""
    if lacking := _lacking(ray.cluster_resources(), gpus):
        raise HashbenchError(f"executor ray: no host of the cluster offers a {lacking}; add one with `ray start`")


def _lacking(resources: Mapping[str, float], gpus: float) -> str | None:
    """What a cell that takes this share of a GPU would not find among `resources`: CPU, GPU or nothing."""
    needed = {"CPU": 1.0, "GPU": gpus}
    return next((kind for kind, share in needed.items() if resources.get(kind, 0.0) < share), None)


class Hosts:
    """The hosts of a cluster; tells which come and go, and ends a wait that nobody can end."""

    def __init__(self, ray: Any, gpus: float) -> None:
        self._ray = ray
        self._gpus = gpus
        self._alive = self._nodes()
        self._last_seen = time.monotonic()
        cores = sum(int(resources.get("CPU", 0)) for resources in self._alive.values())
        log.info("ray: %d hosts, %d cores", len(self._alive), cores)

    def _nodes(self) -> dict[tuple[str, str], Mapping[str, float]]:
        return {
            (node["NodeID"], node["NodeManagerHostname"]): node["Resources"]
            for node in self._ray.nodes()
            if node["Alive"]
        }

    def look(self) -> None:
        """Log which hosts came and went since the last look.

        Raises HashbenchError where for SECONDS_WITHOUT_HOSTS none was there that offers what a cell needs.
        """
        now = self._nodes()
        for _, name in self._alive.keys() - now.keys():
            log.warning("ray: lost host %s; its cells run again elsewhere", name)
        for node in now.keys() - self._alive.keys():
            log.info("ray: host %s with %d cores joined", node[1], now[node].get("CPU", 0))
        self._alive = now
        lacking = [_lacking(resources, self._gpus) for resources in now.values()]
        if None in lacking:
            self._last_seen = time.monotonic()
        elif time.monotonic() - self._last_seen > SECONDS_WITHOUT_HOSTS:
            raise HashbenchError(
                f"executor ray: for {SECONDS_WITHOUT_HOSTS:.0f} s no host of the cluster has offered a "
                f"{max(filter(None, lacking), default='CPU')}; add one with `ray start` and run again: finished cells "
                "are kept"
            )


def _put(ray: Any, path: Path) -> tuple[str, tuple[Any, ...]]:
    """Put a file into the object store: its sha256 and the references of its pieces."""
    sidecar = store.sidecar(path)
    sha = store.about(path)["sha256"] if sidecar.is_file() else store.sha256_of(path)
    if not path.stat().st_size:
        return sha, ()
    content = np.memmap(path, np.uint8, "r")
    return sha, tuple(ray.put(np.asarray(content[start : start + PIECE])) for start in range(0, len(content), PIECE))


@cache
def program() -> dict[str, str]:
    """What decides a cell's bits besides its files: hashbench's sources and the versions of the packages."""
    whole = program_of(*all_modules())
    return {"hashbench's sources": whole.digest, **whole.versions}


def run_here(
    do: Callable[[Item], None],
    item: Item,
    files: Sequence[Shipped],
    writes: Sequence[Path],
    driver: Mapping[str, str],
    with_torch: bool,
) -> dict[Path, bytes]:
    """Do an item on this host, in a folder of its own that holds `files`; the bytes of the files that it `writes`.

    Raises HashbenchError where this host's program is not the driver's.
    """
    require_same_program(driver)
    use_one_core(with_torch)
    os.environ.pop("HASHBENCH_WEIGHTS", None)  # shipped weights lie below the cell's folder
    with tempfile.TemporaryDirectory(prefix="cell-", dir=inputs_folder()) as folder, contextlib.chdir(folder):
        for file in files:
            file.place.parent.mkdir(parents=True, exist_ok=True)
            file.place.symlink_to(fetched(file))
        try:
            do(item)
        except HashbenchError as error:
            raise HashbenchError(f"{error} (on host {socket.gethostname()})") from None
        return {place: place.read_bytes() for place in writes}


def require_same_program(driver: Mapping[str, str]) -> None:
    """Raise HashbenchError where this host's sources or packages differ from the driver's."""
    for name, there in driver.items():
        here = program().get(name)
        if here != there:
            raise HashbenchError(
                f"host {socket.gethostname()}: {name} is {here}, the driver has {there}; "
                "check out the same commit there, run `uv sync --locked` and start Ray again"
            )


def inputs_folder() -> Path:
    """The folder of this host, below its folder for temporary files ($TMPDIR), that keeps what was shipped to it."""
    folder = Path(tempfile.gettempdir()) / f"hashbench-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise HashbenchError(f"host {socket.gethostname()}: {folder} belongs to someone else; set TMPDIR and start Ray")
    return folder


def fetched(file: Shipped) -> Path:
    """The path of a shipped file on this host: fetched on first use, kept until no cell has used it for a week."""
    path = inputs_folder() / file.sha256
    if not path.exists():
        _remove_unused(path.parent)
        incoming = Path(file.sha256)  # in the cell's own folder: several cells of a host may fetch the same file
        if _receive(file, incoming) != file.sha256:
            raise HashbenchError(f"{file.place} is damaged (its sha256 is not the recorded one); run `dvc repro`")
        incoming.replace(path)
    os.utime(path)
    return path


def _receive(file: Shipped, path: Path) -> str:
    """Write the pieces of `file` to `path`; the sha256 of what was written."""
    import ray

    sha = hashlib.sha256()
    with path.open("wb") as out:
        for piece in file.pieces:
            content = memoryview(ray.get(piece))
            sha.update(content)
            out.write(content)
    return sha.hexdigest()


def _remove_unused(folder: Path) -> None:
    """Remove the inputs that no cell has used for long, and the folders of cells that were killed."""
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < time.time() - KEPT_SECONDS:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
