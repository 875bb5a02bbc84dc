"""How a stage is run: its arguments, its log, and how a user's mistake ends it."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from hashbench.errors import HashbenchError
from hashbench.settings import settings

log = logging.getLogger("hashbench")
LEVELS = {"quiet": logging.WARNING, "normal": logging.INFO, "verbose": logging.DEBUG}


def set_up_log(level: str | None = None) -> None:
    """Send the log to standard error; `level` (quiet, normal, verbose) defaults to $HASHBENCH_LOG.

    Raises HashbenchError where that is none of the three.
    """
    level = level or settings().log
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.handlers[:] = [handler]
    log.setLevel(LEVELS[level])
    log.propagate = False


def run_stage(stage: Callable[..., None], *argument_names: str) -> NoReturn:
    """Call `stage` with the command line's arguments and exit: 0, or 2 with one sentence for a user's mistake.

    A second process of the same stage and arguments waits for the first, and then finds its work done.
    """
    from hashbench.artefacts.layout import Layout  # here: `hashbench` itself takes the log and the exit status alone
    from hashbench.config.params import load_params
    from hashbench.execution.locks import holding

    signal.signal(signal.SIGTERM, _interrupt)  # what batch systems send: end as on Ctrl-C, with what is finished kept
    name, arguments = Path(sys.argv[0]).stem, sys.argv[1:]
    if len(arguments) != len(argument_names):
        sys.exit(f"usage: python -m hashbench.stages.{name} {' '.join(name.upper() for name in argument_names)}")

    def run_alone() -> None:
        set_up_log()
        layout = Layout(arguments[0])
        if not layout.artefacts.is_dir():
            load_params().profile(arguments[0])  # before a folder is made for a misspelt one
        with holding(layout.lock("-".join([name, *arguments[1:]]))):
            stage(*arguments)

    sys.exit(run_guarded(run_alone))


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def run_guarded(action: Callable[[], int | None]) -> int:
    """Run `action` and return its exit status; a user's mistake or an interrupt becomes a status and one line."""
    try:
        return action() or 0
    except HashbenchError as error:
        print(f"hashbench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("hashbench: interrupted; finished work is kept, run the same command to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 141
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "hashbench"):
            raise
        print(
            f"hashbench: this needs the package {package}, which is not installed; `pip install hashbench` brings what "
            "evaluating codes needs, `pip install 'hashbench[suite]'` all else, and `uv sync` both in a clone",
            file=sys.stderr,
        )
        return 2
    except OSError as error:
        if error.errno is None:
            raise
        print(f"hashbench: {error.strerror}: {error.filename or 'disk'}; mend it and run again", file=sys.stderr)
        return 2
