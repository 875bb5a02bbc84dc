"""Who computes the cells of a stage: the cores of this machine, or the hosts of a Ray cluster.

$HASHBENCH_EXECUTOR chooses (`local` unless it says `ray`), so that no pipeline file depends on where a run takes place.
Both executors leave the same files, byte for byte but for the seconds that they name.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from hashbench.errors import HashbenchError
from hashbench.execution.processes import run_side_by_side
from hashbench.settings import settings

Item = TypeVar("Item")


@dataclass(frozen=True)
class Work(Generic[Item]):
    """What is to be done for an item: a function of files below the working directory to files below it.

    `do(item)` opens no files but those of `reads(item)` and leaves those of `writes(item)`. `reads` maps the place of
    each file below the working directory to where it lies on this machine. `gpus` is the share of a GPU that an item
    takes while it is done.
    """

    do: Callable[[Item], None]
    reads: Callable[[Item], Mapping[Path, Path]]
    writes: Callable[[Item], Sequence[Path]]
    gpus: float = 0.0


def spread(work: Work[Item], items: Sequence[Item]) -> Iterator[Item]:
    """Do `work` for every item where $HASHBENCH_EXECUTOR says; yield each item when its files are in place.

    Raises the first error of an item, HashbenchError where the executor is unknown or cannot be reached.
    """
    if not _uses_ray():
        yield from run_side_by_side(work.do, items, 1 if work.gpus else None)
    elif items:
        from hashbench.execution.ray_cluster import run_on_cluster

        yield from run_on_cluster(work, items, settings().ray_address)


def check_executor(gpus: float) -> None:
    """Raise HashbenchError where items that take this share of a GPU could not be done as $HASHBENCH_EXECUTOR says."""
    if _uses_ray():
        from hashbench.execution.ray_cluster import connected

        with connected(settings().ray_address, gpus):
            pass


def _uses_ray() -> bool:
    """Whether $HASHBENCH_EXECUTOR says `ray`. Raises HashbenchError where Ray is not installed."""
    if settings().executor == "local":
        return False
    if importlib.util.find_spec("ray") is None:
        raise HashbenchError("executor ray: Ray is not installed; run `uv sync --locked --extra cluster`")
    return True
