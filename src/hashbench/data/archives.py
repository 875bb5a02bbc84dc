"""Reading zip and tar archives that nobody has vetted, in place: nothing is ever unpacked to disk.

An archive is refused where a member's name points outside its folder, a member is a link or a device, or the whole is
larger than `Limits` allows. The limits are generous for data sets and fatal for bombs.
"""

from __future__ import annotations

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hashbench.errors import HashbenchError

_READ_ERRORS = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError)


@dataclass(frozen=True)
class Limits:
    """How large an archive may be: members, bytes unpacked, and unpacked over packed size.

    The ratio counts only where more than `ratio_from` bytes come out: small text packs to a hundredth honestly.
    """

    members: int = 2_000_000
    total: int = 1 << 40
    ratio: float = 100.0
    ratio_from: int = 1 << 28


def open_zip(path: Path, limits: Limits = Limits()) -> zipfile.ZipFile:
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


def read_member(path: Path, name: str) -> bytes:
    """The content of one file of a zip. Raises HashbenchError where it is missing or damaged."""
    with open_zip(path) as archive:
        try:
            return archive.read(name)
        except (KeyError, *_READ_ERRORS) as error:
            raise HashbenchError(
                f"{path}: {name} cannot be read ({error}); delete the zip and fetch it again"
            ) from None


def tar_members(path: Path, limits: Limits = Limits()) -> Iterator[tuple[str, bytes]]:
    """Name and content of every file of a tar (plain, gz, bz2 or xz), in its order.

    A tar has no index: a member is checked when it is reached, and the limits hold for what came up to there.
    """
    total = 0
    try:
        with tarfile.open(path) as archive:
            for number, member in enumerate(archive, start=1):
                _check_name(path, member.name)
                if not (member.isfile() or member.isdir()):
                    raise HashbenchError(f"{path}: member {member.name!r} is a link or a device; archive refused")
                total += member.size
                _check_size(path, number, total, limits)
                if content := archive.extractfile(member):
                    yield member.name, content.read()
    except _READ_ERRORS as error:
        reason = " ".join(str(error).split())
        raise HashbenchError(f"{path}: not a whole tar ({reason}); delete it and fetch it again") from None


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
