"""Getting one file over HTTP: several mirrors, resumed after a break, and verified before anything else touches it.

A download grows as `<file>.part`, which survives a kill and is continued, and gets its name only when size and
checksum hold. A file that fails them is kept aside as `<file>.rejected`. Where no checksum was published, the sha256
of the first whole download is pinned in `<file>.sha256` (trust on first use) and holds from then on.
"""

from __future__ import annotations

import email.message
import errno
import hashlib
import http.client
import json
import logging
import os
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import filelock

from hashbench.errors import HashbenchError
from hashbench.progress import track

log = logging.getLogger("hashbench")

_MIB = 1 << 20
_TIMEOUT_SECONDS = 60
_BACK_OFF_SECONDS = (1.0, 3.0, 9.0, 27.0)
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_WORTH_ANOTHER_TRY = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class FileSpec:
    """A file of a data set, `name` being its path below the data folder.

    `urls`: mirrors in the order to try, http or https; none for a file that the publisher hands out by form only, for
    which `by_hand` says where to get it. `size` in bytes, `sha256` and `md5` in hex: None where nobody published one.
    """

    name: str
    urls: tuple[str, ...] = ()
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    by_hand: str = ""


class _BrokenOffError(Exception):
    """A transfer that may succeed if tried again."""


class _MirrorError(Exception):
    """A mirror that does not have the file."""


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
    if os.environ.get("HASHBENCH_OFFLINE", "0") not in ("", "0"):
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
        except (_MirrorError, HashbenchError) as error:
            log.warning("%s: %s", url, error)
            reasons.append(f"{url}: {error}")
            continue
        part.replace(target)
        _record(part).unlink(missing_ok=True)
        return
    raise HashbenchError(f"{target} could not be fetched ({'; '.join(reasons)}); try again, or put it there by hand")


def _from_mirror(url: str, part: Path, spec: FileSpec) -> None:
    """Bring `part` to its whole length. A try that came further than any before does not count as one."""
    if not url.startswith(("https://", "http://")):
        raise _MirrorError("only http and https addresses are fetched")
    tries_left = list(_BACK_OFF_SECONDS)
    furthest = _size(part)
    while True:
        try:
            return _transfer(url, part, spec)
        except _BrokenOffError as error:
            if _size(part) > furthest:
                tries_left = list(_BACK_OFF_SECONDS)
                furthest = _size(part)
            if not tries_left:
                raise _MirrorError(f"{error}, after {len(_BACK_OFF_SECONDS) + 1} tries without progress") from None
            pause = tries_left.pop(0)
            log.info("%s: %s; trying again in %g s", url, error, pause)
            time.sleep(pause)


def _transfer(url: str, part: Path, spec: FileSpec) -> None:
    """One request for what is still missing of `part`."""
    if part.exists() and _size(part) == spec.size:
        return
    headers = {"User-Agent": "hashbench", "Accept-Encoding": "identity", **_resume_headers(url, part, spec)}
    try:
        response = _opener().open(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # the part is as long as the file, or longer than another file now at this address
            part.unlink()
            raise _BrokenOffError("the part that was here does not fit the file") from None
        kind = _BrokenOffError if error.code in _WORTH_ANOTHER_TRY else _MirrorError
        raise kind(f"HTTP {error.code} {error.reason}") from None
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", error)
        no_network = isinstance(reason, socket.gaierror) and not _size(part)
        raise (_MirrorError if no_network else _BrokenOffError)(str(reason) or type(reason).__name__) from None
    with response:
        start = _start(response.headers, response.status)
        if start is None:
            raise _MirrorError("the server answered a range request with a range that was not asked for")
        length = response.headers.get("Content-Length", "")
        whole = start + int(length) if length.isdigit() else spec.size
        if spec.size is not None and whole != spec.size:
            raise _MirrorError(f"has a file of {whole:,} bytes in place of {spec.size:,}")
        _check_space(part, start, whole)
        _record(part).write_text(json.dumps({"url": url, "validator": _validator(response.headers)}))
        with part.open("r+b" if start else "wb", buffering=0) as file:
            file.seek(start)
            file.truncate()
            blocks = _receive(response, file, whole)
            for _ in track(blocks, f"fetching {spec.name} (MiB)", -(-(whole - start) // _MIB) if whole else None):
                pass
            if whole is not None and file.tell() < whole:
                raise _BrokenOffError(f"broke off after {file.tell():,} of {whole:,} bytes")


def _receive(response: IO[bytes], file: IO[bytes], whole: int | None) -> Iterator[None]:
    """Write what comes at once, so that a kill loses nothing; yield after each MiB."""
    pending = 0
    while True:
        try:
            block = response.read1(_MIB)  # type: ignore[attr-defined]
        except (http.client.HTTPException, OSError) as error:
            raise _BrokenOffError(str(error) or type(error).__name__) from None
        if not block:
            break
        file.write(block)
        if whole is not None and file.tell() > whole:
            raise _MirrorError(f"sends more than the {whole:,} bytes that the file has")
        pending += len(block)
        for _ in range(pending // _MIB):
            yield
        pending %= _MIB
    if pending:
        yield


def _resume_headers(url: str, part: Path, spec: FileSpec) -> dict[str, str]:
    """Ask for the rest of a part, where it is sure to be a part of the same file."""
    if not _size(part):
        return {}
    try:
        record = json.loads(_record(part).read_text())
        known, validator = record["url"] == url, str(record["validator"])
    except (OSError, ValueError, KeyError, TypeError):
        known, validator = False, ""
    resume = {"Range": f"bytes={_size(part)}-"}
    if spec.sha256 or spec.md5:
        return resume
    return {**resume, "If-Range": validator} if known and validator else {}


def _validator(headers: email.message.Message) -> str:
    etag = headers.get("ETag", "")
    return headers.get("Last-Modified", "") if not etag or etag.startswith("W/") else etag


def _start(headers: email.message.Message, status: int) -> int | None:
    """The position in the file of the first byte that comes; None where it cannot be told."""
    if status != 206:
        return 0
    unit, _, span = headers.get("Content-Range", "").partition(" ")
    first = span.partition("-")[0]
    return int(first) if unit == "bytes" and first.isdigit() else None


def _check_space(part: Path, start: int, whole: int | None) -> None:
    free = shutil.disk_usage(part.parent).free
    if whole is not None and whole - start > free:
        raise OSError(errno.ENOSPC, f"{whole - start:,} bytes are needed, {free:,} are free")


def _verify(path: Path, target: Path, spec: FileSpec) -> None:
    """Raise HashbenchError, and keep the file aside, unless `path` is the file that `spec` (or its pin) describes."""
    pin = target.with_name(target.name + ".sha256")
    expected = {"sha256": spec.sha256} if spec.sha256 else {"md5": spec.md5} if spec.md5 else _pinned(pin)
    if spec.size is not None and _size(path) != spec.size:
        problem = f"it has {_size(path):,} bytes in place of {spec.size:,}"
    else:
        wrong = [
            f"its {kind} is {found} in place of {value}"
            for kind, value in expected.items()
            if (found := _digest(path, kind)) != str(value).lower()
        ]
        problem = wrong[0] if wrong else ""
    if problem:
        raise HashbenchError(f"{target} is not the published file: {problem}; {_set_aside(path, target)}")
    if not expected:
        _pin(pin, target.name, _digest(path, "sha256"))


def _pinned(pin: Path) -> dict[str, str]:
    try:
        return {"sha256": pin.read_text(encoding="utf-8").split()[0]}
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
    _record(path).unlink(missing_ok=True)
    return f"kept aside as {rejected.name}"


def _writable(folder: Path) -> bool:
    """Whether files may be made in a folder, by its own word: root may write everywhere and should not."""
    return os.access(folder, os.W_OK) and bool(folder.stat().st_mode & 0o222)


def _record(part: Path) -> Path:
    """Where a part's address and version are noted."""
    return part.with_name(part.name + ".json")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _disk_error(error: OSError) -> str:
    if error.errno in _DISK_FULL:
        return (
            f"the disk is full ({error.strerror}); free some space, or name another folder in HASHBENCH_DATA, and "
            f"run again: what has come is kept"
        )
    return f"cannot be written ({error.strerror or error}); name a writable folder in HASHBENCH_DATA"


def _opener() -> urllib.request.OpenerDirector:
    """An opener that knows http and https alone, so that a redirect leads nowhere else."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    return opener
