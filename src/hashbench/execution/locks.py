"""One writer at a time."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

log = logging.getLogger("hashbench")


@contextlib.contextmanager
def holding(path: Path) -> Iterator[None]:
    """Hold the lock file `path`; while another process holds it, say which one and wait.

    A lock ends with the process that holds it, however that ends: the file that stays behind locks nothing. Processes
    forked in the block do not hold it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, fallback_to_soft=False)  # a soft lock would outlive its process
    try:
        lock.acquire(blocking=False)
    except Timeout:
        holder = path.read_text(encoding="utf-8").strip() or "another process"
        log.warning("%s is held by %s; waiting for it to end", path, holder)
        lock.acquire()
    try:
        path.write_text(f"process {os.getpid()} on {platform.node()}: {' '.join(sys.argv)}\n", encoding="utf-8")
        yield
    finally:
        lock.release()
