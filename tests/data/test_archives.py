from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hashbench.data.archives import Limits, open_zip, read_member, tar_members
from hashbench.errors import HashbenchError

OUTSIDE = ["../evil.txt", "a/../../evil.txt", "/etc/evil.txt", "..\\evil.txt", "C:/evil.txt"]


def make_tar(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def test_honest_archives_are_read_in_place(tmp_path, zipped):
    (tmp_path / "a.zip").write_bytes(zipped({"x/1.txt": b"one", "x/2.txt": b"two"}))
    assert open_zip(tmp_path / "a.zip").namelist() == ["x/1.txt", "x/2.txt"]
    assert read_member(tmp_path / "a.zip", "x/2.txt") == b"two"
    tar = make_tar(tmp_path / "a.tar.gz", [(tarfile.TarInfo("x/1.txt"), b"one"), (tarfile.TarInfo("2.txt"), b"two")])
    assert list(tar_members(tar)) == [("x/1.txt", b"one"), ("2.txt", b"two")]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_zip_that_points_outside_is_refused(tmp_path, zipped, name):
    (tmp_path / "a.zip").write_bytes(zipped({"fine.txt": b"", name: b"evil"}))
    with pytest.raises(HashbenchError, match=r"a\.zip: member .*evil.* points outside"):
        open_zip(tmp_path / "a.zip")


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_tar_that_points_outside_is_refused(tmp_path, name):
    tar = make_tar(tmp_path / "a.tar.gz", [(tarfile.TarInfo(name), b"evil")])
    with pytest.raises(HashbenchError, match="points outside"):
        list(tar_members(tar))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    info = tarfile.TarInfo("innocent")
    info.type, info.linkname = kind, "/etc/passwd"
    with pytest.raises(HashbenchError, match="'innocent' is a link or a device"):
        list(tar_members(make_tar(tmp_path / "a.tar.gz", [(info, b"")])))


def test_a_link_in_a_zip_is_refused(tmp_path):
    info = zipfile.ZipInfo("innocent")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(HashbenchError, match="'innocent' is a link or a device"):
        open_zip(tmp_path / "a.zip")


def test_a_bomb_is_refused_by_the_default_limits(tmp_path, zipped):
    (tmp_path / "a.zip").write_bytes(zipped({f"{n}.bin": bytes(1 << 26) for n in range(5)}))
    with pytest.raises(HashbenchError, match="refused as a bomb"):
        open_zip(tmp_path / "a.zip")


def test_a_tar_bomb_is_refused_as_soon_as_it_shows(tmp_path):
    tar = make_tar(tmp_path / "a.tar.gz", [(tarfile.TarInfo(str(n)), bytes(100_000)) for n in range(3)])
    with pytest.raises(HashbenchError, match="refused as a bomb"):
        list(tar_members(tar, Limits(ratio_from=150_000)))


@pytest.mark.parametrize(
    ("limits", "message"),
    [(Limits(members=2), "more than 2 members"), (Limits(total=25), "unpacks to more than 25 bytes")],
)
def test_limits_on_count_and_size_hold_for_both_kinds(tmp_path, zipped, limits, message):
    contents = {f"{n}.txt": b"ten bytes!" for n in range(3)}
    (tmp_path / "a.zip").write_bytes(zipped(contents))
    with pytest.raises(HashbenchError, match=message):
        open_zip(tmp_path / "a.zip", limits)
    tar = make_tar(tmp_path / "a.tar.gz", [(tarfile.TarInfo(name), content) for name, content in contents.items()])
    with pytest.raises(HashbenchError, match=message):
        list(tar_members(tar, limits))


@pytest.mark.parametrize("keep", [0, 10, 600])
def test_a_damaged_archive_is_named(tmp_path, zipped, keep):
    content = np.random.default_rng(0).bytes(1000)
    (tmp_path / "a.zip").write_bytes(zipped({"1.txt": content})[:keep])
    with pytest.raises(HashbenchError, match=r"a\.zip: not a readable zip .* fetch it again"):
        open_zip(tmp_path / "a.zip")
    tar = make_tar(tmp_path / "a.tar.gz", [(tarfile.TarInfo("1.txt"), content)])
    tar.write_bytes(tar.read_bytes()[:keep])
    with pytest.raises(HashbenchError, match=r"a\.tar\.gz: not a whole tar .* fetch it again"):
        list(tar_members(tar))


def test_a_missing_or_damaged_member_is_named(tmp_path, zipped):
    path = tmp_path / "a.zip"
    path.write_bytes(zipped({"1.txt": b"some text"}))
    with pytest.raises(HashbenchError, match=r"a\.zip: 2\.txt cannot be read"):
        read_member(path, "2.txt")
    damaged = bytearray(path.read_bytes())
    damaged[36] ^= 0xFF
    path.write_bytes(damaged)
    with pytest.raises(HashbenchError, match=r"a\.zip: 1\.txt cannot be read"):
        read_member(path, "1.txt")
