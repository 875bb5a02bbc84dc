"""Getting one file over HTTP: several mirrors, resumed after a break, and verified before anything else touches it.

A download grows as `<file>.part`, which survives a kill and is continued, and gets its name only when size and
checksum hold. A file that fails them is kept aside as `<file>.rejected`. Where no checksum was published, what is known
of the content is checked instead, and the sha256 of the first whole download is pinned in `<file>.sha256` (trust on
first use) and holds from then on.
"""

from __future__ import annotations

import codecs
import errno
import hashlib
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import filelock

from hashbench.data.transfer import BrokenOffError, MirrorError, MisfitError, record_of, size_of, transfer
from hashbench.errors import HashbenchError
from hashbench.settings import settings

log = logging.getLogger("hashbench")

_BACK_OFF_SECONDS = (1.0, 3.0, 9.0, 27.0)
_PROGRESS_BYTES = 1 << 16
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True)
class FileSpec:
    """A file of a data set, `name` being its path below the data folder.

    `urls`: mirrors in the order to try, http or https; none for a file that the publisher hands out by form only, for
    which `by_hand` says where to get it. `size` in bytes, `sha256` and `md5` in hex: None where nobody published one.
    `check`: a function that raises ValueError, saying what is wrong, where the content of a file without a checksum
    is not what its publisher's is known to be.
    """

    name: str
    urls: tuple[str, ...] = ()
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    by_hand: str = ""
    check: Callable[[Path], None] | None = None

    @property
    def checksum(self) -> dict[str, str]:
        """The published checksum by its kind, the stronger one of two; empty where there is none."""
        return {"sha256": self.sha256} if self.sha256 else {"md5": self.md5} if self.md5 else {}


def fetch(spec: FileSpec, folder: Path) -> Path:
    """The verified file `folder / spec.name`, downloaded where it is missing.

    Raises HashbenchError: no mirror has it, the network is forbidden, the disk is full, or the file that is there (or
    came) is not the published one.
    """
    target = folder / spec.name
    if target.is_file():
        _verify(target, target, spec)
        return target
    if obstacle := obstacle_to_fetching(spec):
        raise HashbenchError(f"{target} is missing and {obstacle}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not _writable(target.parent):
            raise PermissionError(errno.EACCES, "the folder is read-only")
        with filelock.FileLock(target.with_name(f".{target.name}.lock")):
            if not target.is_file():
                _download(spec, target)
    except OSError as error:
        raise HashbenchError(f"{target}: {_disk_error(error)}") from None
    return target


def obstacle_to_fetching(spec: FileSpec) -> str:
    """Why a missing file has to be put in place by hand, and how; empty where it can be fetched."""
    if not spec.urls:
        return f"cannot be fetched: {spec.by_hand or 'put it there by hand'}"
    if settings().offline:
        return (
            f"HASHBENCH_OFFLINE forbids the network: fetch {spec.urls[0]} elsewhere and put it there, or unset "
            f"HASHBENCH_OFFLINE"
        )
    return ""


def _download(spec: FileSpec, target: Path) -> None:
    part = target.with_name(target.name + ".part")
    reasons = []
    for url in spec.urls:
        try:
            _from_mirror(url, part, spec)
            _verify(part, target, spec)
        except (MirrorError, HashbenchError) as error:
            log.warning("%s: %s", url, error)
            reasons.append(f"{url}: {error}")
            continue
        part.replace(target)
        record_of(part).unlink(missing_ok=True)
        return
    raise HashbenchError(f"{target} could not be fetched ({'; '.join(reasons)}); try again, or put it there by hand")


def _from_mirror(url: str, part: Path, spec: FileSpec) -> None:
    """Bring `part` to its whole length. A try that brought it well further than any before does not count as one."""
    tries_left, furthest, started_afresh = list(_BACK_OFF_SECONDS), size_of(part), False
    while True:
        try:
            return transfer(url, part, spec.size, bool(spec.checksum))
        except MisfitError as error:
            if started_afresh:
                raise MirrorError(f"{error}: the part that it sent itself does not fit its file") from None
            part.unlink()
            furthest, started_afresh = 0, True
        except BrokenOffError as error:
            if size_of(part) >= furthest + _PROGRESS_BYTES:
                tries_left, furthest = list(_BACK_OFF_SECONDS), size_of(part)
            if not tries_left:
                raise MirrorError(f"{error}, after {len(_BACK_OFF_SECONDS) + 1} tries without progress") from None
            pause = tries_left.pop(0)
            log.info("%s: %s; trying again in %g s", url, error, pause)
            time.sleep(pause)


def _verify(path: Path, target: Path, spec: FileSpec) -> None:
    """Raise HashbenchError, and keep the file aside, unless `path` is the file that `spec` (or its pin) describes."""
    pin = target.with_name(target.name + ".sha256")
    try:
        _check_size(path, spec)
        _check_sum(path, spec, pin)
        if not spec.checksum:
            _check_content(path, spec)
    except ValueError as error:
        problem = f"{target} is not the published file: {error}"
        raise HashbenchError(f"{problem}; {_set_aside(path, target)}") from None
    if not spec.checksum and not _pinned(pin):
        _pin(pin, target.name, _digest(path, "sha256"))


def _check_size(path: Path, spec: FileSpec) -> None:
    if spec.size is not None and size_of(path) != spec.size:
        raise ValueError(f"it has {size_of(path):,} bytes in place of {spec.size:,}")


def _check_sum(path: Path, spec: FileSpec, pin: Path) -> None:
    for kind, value in (spec.checksum or _pinned(pin)).items():
        if (found := _digest(path, kind)) != value.lower():
            source = "" if spec.checksum else f" in {pin.name}"
            raise ValueError(f"its {kind} is {found} in place of {value}{source}")


def _check_content(path: Path, spec: FileSpec) -> None:
    """Notice, where no checksum does, that something else came in place of the file. Raises ValueError."""
    with path.open("rb") as file:
        beginning = file.read(1024).removeprefix(codecs.BOM_UTF8).lstrip().lower()
    if size_of(path) == 0:
        raise ValueError("it is empty")
    if beginning.startswith((b"<!doctype html", b"<html")):
        raise ValueError("it is a web page")
    if spec.check:
        spec.check(path)


def _pinned(pin: Path) -> dict[str, str]:
    try:
        return {"sha256": pin.read_text(encoding="utf-8", errors="replace").split()[0]}
    except (FileNotFoundError, IndexError):
        return {}


def _pin(pin: Path, name: str, sha256: str) -> None:
    """Write the pin in the form that `sha256sum --check` reads; a folder that is read-only goes without."""
    if not _writable(pin.parent):
        log.info("%s: no checksum is published, and the folder is read-only, so its sha256 is not pinned", name)
        return
    pin.write_text(f"{sha256}  {name}\n", encoding="utf-8")
    log.info("%s: no checksum is published; its sha256 %s is pinned from now on", name, sha256)


def _digest(path: Path, kind: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()


def _set_aside(path: Path, target: Path) -> str:
    rejected = target.with_name(target.name + ".rejected")
    if not _writable(target.parent):
        return "replace it"
    path.replace(rejected)
    record_of(path).unlink(missing_ok=True)
    return f"kept aside as {rejected.name}"


def _writable(folder: Path) -> bool:
    """Whether files may be made in a folder, by its own word: root may write everywhere and should not."""
    return os.access(folder, os.W_OK) and bool(folder.stat().st_mode & 0o222)


def _disk_error(error: OSError) -> str:
    if error.errno in _DISK_FULL:
        return (
            f"the disk is full ({error.strerror}); free some space, or name another folder in HASHBENCH_DATA, and "
            f"run again: what has come is kept"
        )
    return f"cannot be written ({error.strerror or error}); name a writable folder in HASHBENCH_DATA"
