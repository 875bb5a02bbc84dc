"""One writer at a time."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger("hashbench")


@contextlib.contextmanager
def holding(path: Path) -> Iterator[None]:
    """Hold the lock file `path`; while another process holds it, say which one and wait.

    A lock ends with the process that holds it, however that ends: the file that stays behind locks nothing. Processes
    forked in the block do not hold it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            file.seek(0)
            log.warning("%s is held by %s; waiting for it to end", path, file.read().strip() or "another process")
            fcntl.lockf(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}: {' '.join(sys.argv)}\n")
        file.flush()
        yield
