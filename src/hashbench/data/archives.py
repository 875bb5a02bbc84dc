"""Reading zip and tar archives that nobody has vetted.

An archive is refused before a byte of it is used where a member would land outside the folder, is a link or a
device, or where the whole is larger than `Limits` allows. The limits are generous for data sets and fatal for bombs.
"""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hashbench.errors import HashbenchError

_READ_ERRORS = (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, ValueError, RuntimeError, NotImplementedError)


@dataclass(frozen=True)
class Limits:
    """How large an archive may be: members, bytes unpacked, and unpacked over packed size.

    The ratio counts only where more than `ratio_from` bytes come out: small text packs to a hundredth honestly.
    """

    members: int = 2_000_000
    total: int = 1 << 40
    ratio: float = 100.0
    ratio_from: int = 1 << 28


def open_zip(path: Path, limits: Limits = Limits()) -> zipfile.ZipFile:  # noqa: B008  frozen, so safe to share
    """Open a zip whose every member passed the checks. Raises HashbenchError that names archive and member."""
    try:
        archive = zipfile.ZipFile(path)
    except _READ_ERRORS as error:
        raise HashbenchError(f"{path}: not a readable zip ({error}); delete it and fetch it again") from None
    try:
        total = 0
        for member in archive.infolist():
            _check_name(path, member.filename)
            mode = member.external_attr >> 16
            if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise HashbenchError(f"{path}: member {member.filename!r} is a link or a device; archive refused")
            total += member.file_size
        _check_size(path, len(archive.infolist()), total, limits)
    except HashbenchError:
        archive.close()
        raise
    return archive


def tar_members(path: Path, limits: Limits = Limits()) -> Iterator[tuple[str, bytes]]:  # noqa: B008
    """Name and content of every file of a tar (plain, gz, bz2 or xz), in its order, checked as it is read."""
    with _open_tar(path) as archive:
        for member in _checked(path, archive, limits):
            yield member.name, _content(path, archive, member).read()


def extract(path: Path, folder: Path, keep: Callable[[str], bool], limits: Limits = Limits()) -> int:  # noqa: B008
    """Unpack the files of a tar whose name `keep` accepts into `folder`; return how many.

    A file appears under its name only when it is whole, and one that is there with the right size is left alone, so
    a run that was killed continues where it stopped.
    """
    count = 0
    with _open_tar(path) as archive:
        for member in _checked(path, archive, limits):
            if not keep(member.name):
                continue
            count += 1
            target = folder / member.name
            if target.is_file() and target.stat().st_size == member.size:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
            try:
                with temporary.open("wb") as out:
                    shutil.copyfileobj(_content(path, archive, member), out)
                temporary.replace(target)
            except OSError as error:
                raise HashbenchError(f"{target}: cannot be unpacked from {path}: {error.strerror or error}") from None
            finally:
                temporary.unlink(missing_ok=True)
    return count


def _open_tar(path: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(path)
    except _READ_ERRORS as error:
        raise HashbenchError(f"{path}: not a readable tar ({error}); delete it and fetch it again") from None


def _checked(path: Path, archive: tarfile.TarFile, limits: Limits) -> Iterator[tarfile.TarInfo]:
    """The files of a tar, each after its checks; a tar has no index, so the limits hold for what was seen so far."""
    total = 0
    try:
        for number, member in enumerate(archive, start=1):
            _check_name(path, member.name)
            if not (member.isfile() or member.isdir()):
                raise HashbenchError(f"{path}: member {member.name!r} is a link or a device; archive refused")
            total += member.size
            _check_size(path, number, total, limits)
            if member.isfile():
                yield member
    except _READ_ERRORS as error:
        raise HashbenchError(f"{path}: damaged tar ({error}); delete it and fetch it again") from None


def _content(path: Path, archive: tarfile.TarFile, member: tarfile.TarInfo):  # type: ignore[no-untyped-def]
    content = archive.extractfile(member)
    if content is None:
        raise HashbenchError(f"{path}: member {member.name!r} cannot be read; archive refused")
    return content


def _check_name(path: Path, name: str) -> None:
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or ":" in name.split("/")[0] or "\0" in name:
        raise HashbenchError(f"{path}: member {name!r} points outside the archive's folder; archive refused")


def _check_size(path: Path, members: int, total: int, limits: Limits) -> None:
    if members > limits.members:
        raise HashbenchError(f"{path}: more than {limits.members:,} members; archive refused")
    if total > limits.total:
        raise HashbenchError(f"{path}: unpacks to more than {limits.total:,} bytes; archive refused")
    if total > limits.ratio_from and total > limits.ratio * path.stat().st_size:
        raise HashbenchError(f"{path}: unpacks to over {limits.ratio:g} times its own size; archive refused as a bomb")
