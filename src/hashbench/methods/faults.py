"""What goes wrong inside of a method's own file, as one sentence; the traceback goes to the verbose log."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hashbench.errors import HashbenchError

log = logging.getLogger("hashbench")


@contextmanager
def own_code(name: str, doing: str, files: Iterable[str | Path]) -> Iterator[None]:
    """Turn an exception that a line of `files` lets through into a HashbenchError which names that line.

    `name`, `doing`: whose code runs in the block, and what for. An exception that passes none of these files is a fault
    of something else, and passes on as it is; so does every HashbenchError and every interrupt.
    """
    try:
        yield
    except HashbenchError:
        raise
    except SystemExit:
        raise HashbenchError(f"{name}: {doing} ended the whole process (`exit`); let it return or raise") from None
    except Exception as error:
        place = _place_of(error, {str(Path(file).resolve()) for file in files})
        if place is None:
            raise
        log.debug("%s", "".join(traceback.format_exception(error)).rstrip())
        said = f": {' '.join(str(error).split())}" if str(error) else ""
        raise HashbenchError(
            f"{name}: {doing} raised {type(error).__name__}{said} ({place}); `hashbench -v` shows the whole traceback"
        ) from error


def _place_of(error: Exception, files: set[str]) -> str | None:
    """File and line of the innermost frame that lies in one of `files`."""
    if isinstance(error, SyntaxError) and error.filename and str(Path(error.filename).resolve()) in files:
        return f"{error.filename}, line {error.lineno}"
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if str(Path(frame.filename).resolve()) in files
    ]
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else None
