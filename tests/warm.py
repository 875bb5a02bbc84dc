"""Commands of checkouts, each in a process of its own, without the seconds that starting one takes.

Importing torch, DVC and what else hashbench stands on takes seconds, and the tests run hundreds of commands. A `Warm`
process imports all of it once, and never hashbench itself. Each command, and each stage that DVC starts, runs in a fork
of it, which finds hashbench in its own checkout.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import select
import shlex
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, BinaryIO

IMPORTED = (
    "diffsort", "dvc.cli", "dvc.commands.repro", "dvc.repo", "dvc.stage.run", "filelock", "jinja2",
    "matplotlib.backends.backend_agg", "matplotlib.backends.backend_pdf", "matplotlib.backends.backend_svg",
    "matplotlib.figure", "numba", "pandas", "PIL.Image", "pydantic_settings", "rich.progress", "safetensors.numpy",
    "scipy.linalg", "scipy.sparse", "scipy.special", "scipy.stats", "sklearn.cluster", "sklearn.datasets",
    "threadpoolctl", "timm", "torch", "torchvision.transforms.v2", "yaml",
)  # fmt: skip


class Warm:
    """A process that has imported what takes long; it ends with the one that made it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # it is killed with its forks
        )

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked for more."""
        return self._process.poll() is None

    def run(
        self, folder: Path, command: Sequence[str], environment: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run `dvc ...`, `hashbench ...`, `python -m module ...` or `python -c code ...` in a checkout, on one core."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"folder": str(folder), "command": [*command], "environment": {**environment}}
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
            if not select.select([self._process.stdout], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(command, timeout)
            said = json.loads(self._process.stdout.readline())
        except BaseException:  # a test's own time limit too: the answer would be taken for that of the next command
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            raise
        return subprocess.CompletedProcess(command, said["status"], said["stdout"], said["stderr"])


def serve() -> None:
    """Answer one request a line until there are no more."""
    for name in IMPORTED:
        importlib.import_module(name)
    assert "hashbench" not in sys.modules
    for line in sys.stdin:
        print(json.dumps(answer(**json.loads(line))), flush=True)


def answer(folder: str, command: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """Run a command in a fork, and in one more each stage that it asks for; its status and what it said."""
    ours, theirs = Pipe()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = fork(folder, environment, (out, err), partial(do, command, theirs))
        theirs.close()
        with contextlib.suppress(EOFError):
            while True:
                wdir, stage, of_stage = ours.recv()
                ours.send(status_of(fork(wdir, of_stage, (out, err), partial(do, shlex.split(stage), None))))
        status = status_of(process)
        said = {}
        for name, file in (("stdout", out), ("stderr", err)):
            file.seek(0)
            said[name] = file.read().decode("utf-8", "replace")
    return {"status": status, **said}


def fork(
    folder: str, environment: Mapping[str, str], said: tuple[BinaryIO, BinaryIO], action: Callable[[], None]
) -> int:
    """Let a fork do something in a folder, as a new interpreter would; its process number."""
    if number := os.fork():
        return number
    status = 1
    try:
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        with Path(os.devnull).open("rb") as nothing:
            for target, file in enumerate((nothing, *said)):
                os.dup2(file.fileno(), target)
        sys.path[:1] = [folder, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
        action()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def status_of(process: int) -> int:
    """The exit status of a fork, when it has ended."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def do(command: Sequence[str], stages: Connection | None) -> None:
    """Run a command in this process; `stages` takes what DVC would start."""
    program, *arguments = command
    if program == "dvc":
        from dvc.cli import main as dvc

        assert stages is not None
        fork_stages(stages)
        sys.argv = [program, *arguments]
        sys.exit(dvc(arguments))
    if program == "hashbench":
        sys.argv = [program, *arguments]
        from hashbench.cli import main

        main()
    elif arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments[:1] + arguments[2:]
        exec(compile(arguments[1], "<code>", "exec"), {"__name__": "__main__"})


def fork_stages(stages: Connection) -> None:
    """Let DVC hand its stages over instead of starting an interpreter for each."""
    from dvc.stage import run
    from dvc.stage.exceptions import StageCmdFailedError

    def hand_over(executable: str, cmd: str, *, cwd: str, env: dict[str, str], **_: Any) -> None:
        assert cmd.startswith("python -m hashbench.stages."), cmd
        sys.stdout.flush()
        stages.send((str(cwd), cmd, dict(env)))
        if status := stages.recv():
            raise StageCmdFailedError(cmd, status)

    run._run = hand_over


if __name__ == "__main__":
    serve()
