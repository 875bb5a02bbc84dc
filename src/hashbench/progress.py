"""Progress of long loops: a bar with the time left on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

log = logging.getLogger("hashbench")
_T = TypeVar("_T")
_SECONDS_BETWEEN_LINES = 15.0


def track(items: Iterable[_T], description: str, total: int | None = None) -> Iterator[_T]:
    """Yield `items` and show how far the loop is, with the estimated time left.

    Shown only where the `hashbench` logger lets INFO through, so `-q` silences it.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    if not log.isEnabledFor(logging.INFO):
        yield from items
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track as bar

        yield from bar(items, description, total, console=Console(stderr=True), transient=True)
    else:
        yield from tell(items, description, total)


def tell(items: Iterable[_T], description: str, total: int | None = None) -> Iterator[_T]:
    """Yield `items` and log a plain line now and then: for a loop that may run inside one that has a bar."""
    start = last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES:
            last = now
            left = f", {(now - start) / done * (total - done):.0f} s left" if total else ""
            log.info("%s: %d%s%s", description, done, f" of {total}" if total else "", left)
