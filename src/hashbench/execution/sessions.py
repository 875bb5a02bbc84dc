"""What surrounds the fit of a cell: its checkpoint on disk, its scalars for TensorBoard, and stopping on a signal."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from hashbench.artefacts import store
from hashbench.cells import Frozen
from hashbench.errors import HashbenchError
from hashbench.execution.command import log
from hashbench.learning.session import Session
from hashbench.settings import settings
from hashbench.types import Array


class _Note(Frozen):
    """What a checkpoint says of itself: the fit that it is of, how many were written with it, and what the fit adds."""

    fingerprint: str
    written: int
    state: dict[str, Any]


class CheckpointFiles:
    """The checkpoint of an unfinished fit, in two files that are written in turn: one of them is always whole.

    Only a checkpoint of the same `fingerprint` is read.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self._paths = [path.with_name(f"{path.stem}.{number}{path.suffix}") for number in (0, 1)]
        self._fingerprint = fingerprint
        self._written = 0

    def read(self) -> tuple[Mapping[str, Array], Mapping[str, Any]] | None:
        """See `Checkpoint`."""
        notes = {path: note for path in self._paths if (note := self._note_if_ours(path)) is not None}
        if not notes:
            return None
        latest = max(notes, key=lambda path: notes[path].written)
        self._written = notes[latest].written
        return store.read_tensors(latest), notes[latest].state

    def _note_if_ours(self, path: Path) -> _Note | None:
        """What an undamaged checkpoint of the same fit says of itself."""
        if not store.sidecar(path).is_file():
            return None
        try:
            store.check(path)
            note = store.about_as(path, _Note)
        except HashbenchError as error:
            log.warning("%s; this checkpoint is not used", error)
            return None
        return note if note.fingerprint == self._fingerprint else None

    def write(self, arrays: Mapping[str, Array], about: Mapping[str, Any]) -> None:
        """See `Checkpoint`."""
        self._written += 1
        note = _Note(fingerprint=self._fingerprint, written=self._written, state=dict(about))
        store.write_tensors(self._paths[self._written % 2], arrays, note.model_dump(mode="json"))

    def remove(self) -> None:
        """Forget the checkpoint: the fit is finished and kept."""
        for path in self._paths:
            store.sidecar(path).unlink(missing_ok=True)
            path.unlink(missing_ok=True)


class Run(Protocol):
    """Where fits run: a profile, or what a fit stage reads of it."""

    @property
    def device(self) -> Literal["cpu", "cuda"]: ...

    @property
    def precision(self) -> Literal["fp32", "bf16"]: ...


def session_of(run: Run, name: str, checkpoint: CheckpointFiles | None, stopping: Callable[[], bool]) -> Session:
    """The session of the fit called `name`."""
    return Session(
        device=run.device,
        precision=run.precision,
        checkpoint=checkpoint,
        watch=_tensorboard(name),
        stopping=stopping,
    )


@contextlib.contextmanager
def stopping_on_signals() -> Iterator[Callable[[], bool]]:
    """Within the block SIGINT and SIGTERM do not end the process; they make the function given to it return True.

    A second SIGINT interrupts at once.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def ask(number: int, frame: object) -> None:
        if asked.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tensorboard(name: str) -> Callable[[str, int, Mapping[str, float]], None] | None:
    """A writer of every step's loss terms below $HASHBENCH_TENSORBOARD, where that is set."""
    folder = settings().tensorboard
    if folder is None:
        return None
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise HashbenchError(
            "HASHBENCH_TENSORBOARD is set, but tensorboard is not installed; `uv sync --extra tensorboard` brings it"
        ) from None
    writer = SummaryWriter(str(folder / name))

    def write(description: str, step: int, terms: Mapping[str, float]) -> None:
        for term, value in terms.items():
            writer.add_scalar(f"loss/{term}", value, step)

    return write
