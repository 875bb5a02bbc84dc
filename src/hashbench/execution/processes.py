"""Work on several cores: one process a core, one core a process."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

from hashbench.execution.machine import cores

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def run_side_by_side(
    work: Callable[[_Item], None], items: Sequence[_Item], at_once: int | None = None
) -> Iterator[_Item]:
    """Do `work` for every item, as `map_side_by_side` does; yield each item that is finished."""
    for item, _ in map_side_by_side(work, items, at_once):
        yield item


def map_side_by_side(
    function: Callable[[_Item], _Result], items: Sequence[_Item], at_once: int | None = None
) -> Iterator[tuple[_Item, _Result]]:
    """Call `function` for every item in as many processes as there are cores, or `at_once`; yield each with its result.

    They come in the order in which they are finished. Raises the first error, after the items that were under way have
    ended; these are asked to stop where the error is an interrupt.
    """
    workers = min(at_once or cores(), len(items))
    if not workers:
        return
    # A fork has torch imported already; nothing was computed before, so no thread pool is lost in it.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    with ProcessPoolExecutor(workers, context, _begin_worker, ("torch" in sys.modules,)) as pool:
        futures = {pool.submit(function, item): item for item in items}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                for process in multiprocessing.active_children():
                    process.terminate()
            pool.shutdown(cancel_futures=True)
            raise


def _begin_worker(with_torch: bool) -> None:
    # Without this a worker whose parent was killed would wait for its next item for ever.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    use_one_core(with_torch)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def use_one_core(with_torch: bool = False) -> None:
    """Let this process compute on one core, with algorithms that give the same bits every time.

    `with_torch`: torch will be in use here, if it is not yet.
    """
    from threadpoolctl import threadpool_limits

    os.environ["OMP_NUM_THREADS"] = "1"  # for what is imported later
    if with_torch or "torch" in sys.modules:
        import torch

        torch.set_num_threads(1)
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS may add in another order
        torch.use_deterministic_algorithms(True, warn_only=True)
    threadpool_limits(1)
