"""Every data set that is fetched, from a local server, through every accident on the way."""

from __future__ import annotations

import dataclasses
import gzip
import io
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import pytest

from hashbench.data import cifar10, fashion_mnist, imagenet100, mirflickr25k, mscoco, nuswide
from hashbench.data.base import Dataset, Source
from hashbench.data.images import BadImageError
from hashbench.errors import HashbenchError

from .publishers import cifar_archive, coco_files, idx, imagenet_files, mirflickr_files, nus_files


@dataclasses.dataclass(frozen=True)
class Published:
    """A data set on the server: how to load it, its number of images, and its files as (address, content)."""

    load: Callable[..., Dataset]
    n: int
    files: dict[str, bytes]


FILES_OF = {
    mirflickr25k: mirflickr_files,
    mscoco: coco_files,
    nuswide: nus_files,
    imagenet100: imagenet_files,
}
IMAGES_OF = {cifar10: 60, fashion_mnist: 15, mirflickr25k: 6, mscoco: 4, nuswide: 4, imagenet100: 4}


@pytest.fixture(params=IMAGES_OF, ids=lambda module: module.__name__.rpartition(".")[2])
def published(request, publish, source, cifar, zipped, jpeg, monkeypatch):
    """Each data set in turn, as if all its files could be fetched; images that come by form lie in place."""
    module = request.param
    options = {"concepts": 2} if module is nuswide else {}
    if module is cifar10:
        contents = [cifar_archive(cifar[1])]
    elif module is fashion_mnist:
        images, labels = np.random.default_rng(0).integers(0, 256, (15, 28, 28)), np.arange(15) % 10
        contents = [idx(images[:10]), idx(labels[:10]), idx(images[10:]), idx(labels[10:])]
    else:
        contents = FILES_OF[module](zipped, jpeg)
    monkeypatch.setattr(mirflickr25k, "_N_IMAGES", 6)
    if module in (nuswide, imagenet100):
        request.getfixturevalue("nus_images" if module is nuswide else "imagenet_images")
    names = [spec.name for spec in module.FILES]
    publish(module, contents)
    return Published(
        partial(module.load, source, **options), IMAGES_OF[module], dict(zip(names, contents, strict=True))
    )


def fetched(source: Source, names: Iterable[str]) -> set[str]:
    """Which of the files, their parts and the files kept aside lie in the data folder."""
    endings = ("", ".part", ".rejected")
    return {name + ending for name in names for ending in endings if (source.folders[0] / (name + ending)).exists()}


def test_it_arrives_whole_with_one_request_a_file_and_is_used_offline(published, server, source, monkeypatch):
    assert len(published.load()) == published.n
    assert sorted(path for path, _ in server.requests) == sorted(f"/{name}" for name in published.files)
    assert fetched(source, published.files) == set(published.files)
    monkeypatch.setenv("HASHBENCH_OFFLINE", "1")
    assert len(published.load()) == published.n
    assert len(server.requests) == len(published.files)


def test_cut_off_half_way_it_goes_on_where_it_stopped(published, server):
    for name, content in published.files.items():
        server.resources[name].cut = [len(content) // 2]
    assert len(published.load()) == published.n
    assert server.sent == sum(map(len, published.files.values()))
    assert len(server.requests) == 2 * len(published.files)


def test_a_wrong_file_is_refused_kept_aside_and_never_opened(published, server, source, monkeypatch):
    for opener in (cifar10, mirflickr25k, mscoco, nuswide):
        for function in {"tar_members", "open_zip", "read_member"} & set(vars(opener)):
            monkeypatch.setattr(opener, function, lambda *_: pytest.fail("opened before all was verified"))
    name, content = list(published.files.items())[-1]
    wrong = content[:-1] + bytes([content[-1] ^ 1])
    server.resources[name].content = wrong
    with pytest.raises(HashbenchError, match=rf"{name} is not the published file: its md5 is .*kept aside as"):
        published.load()
    assert (source.folders[0] / f"{name}.rejected").read_bytes() == wrong
    assert name not in fetched(source, published.files)


def test_the_next_mirror_is_asked_where_the_first_has_no_such_file(published, server, monkeypatch):
    module = sys.modules[published.load.func.__module__]
    moved = tuple(dataclasses.replace(spec, urls=(f"{server.url}/moved", *spec.urls)) for spec in module.FILES)
    monkeypatch.setattr(module, "FILES", moved)
    assert len(published.load()) == published.n
    assert len(server.requests) == 2 * len(published.files)


def test_a_full_disk_is_said_and_leaves_nothing_behind(published, source, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(HashbenchError, match=r"the disk is full \([\d,]+ bytes are needed, 10 are free\)"):
        published.load()
    assert not fetched(source, published.files)


def test_offline_all_that_is_missing_is_named_and_nobody_asked(published, server, monkeypatch):
    monkeypatch.setenv("HASHBENCH_OFFLINE", "1")
    with pytest.raises(HashbenchError, match="HASHBENCH_OFFLINE forbids the network") as caught:
        published.load()
    for name in published.files:
        assert f"{name} is missing" in str(caught.value)
    assert not server.requests


def spoiled(archive: bytes, name: str, declared: int) -> bytes:
    """The tar or zip with one more member, of which its index claims that it unpacks to `declared` bytes."""
    out = io.BytesIO(archive)
    if archive[:2] == b"PK":
        with zipfile.ZipFile(out, "a") as packed:
            packed.writestr(name, b"evil")
            packed.filelist[-1].file_size = declared
        return out.getvalue()
    info = tarfile.TarInfo(name)
    info.size = declared
    return gzip.compress(info.tobuf() + bytes(1024), mtime=0)


@pytest.mark.parametrize(
    ("name", "declared", "refusal"),
    [("../../evil.txt", 4, "points outside the archive's folder"), ("zeros.bin", 1 << 33, "refused as a bomb")],
)
@pytest.mark.parametrize("published", [cifar10, mirflickr25k, mscoco, nuswide], indirect=True)
def test_an_archive_that_points_outside_or_is_a_bomb_is_refused(
    published, publish, source, tmp_path, name, declared, refusal
):
    module = sys.modules[published.load.func.__module__]
    publish(module, [spoiled(content, name, declared) for content in published.files.values()])
    with pytest.raises(HashbenchError, match=refusal):
        published.load()
    assert not list(tmp_path.rglob("evil.txt"))


def truncated(content: bytes, member: str) -> bytes:
    """The zip with one member cut off in the middle."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name)[: len(old.read(name)) // 2 if name == member else None])
    return out.getvalue()


@pytest.mark.parametrize(
    ("published", "file", "image"),
    [
        (mirflickr25k, "mirflickr25k.zip", "mirflickr/im2.jpg"),
        (mscoco, "mscoco/val2014.zip", "val2014/COCO_val2014_000000000042.jpg"),
        (nuswide, "", "nuswide/Flickr/zoo/0002_2.jpg"),
        (imagenet100, "", "imagenet100/image/n02/n02_1.JPEG"),
    ],
    indirect=["published"],
)
def test_a_truncated_image_inside_is_named_or_by_policy_left_out(published, publish, source, file, image):
    if file:
        files = published.files | {file: truncated(published.files[file], image)}
        publish(sys.modules[published.load.func.__module__], list(files.values()))
    else:
        path = source.folders[0] / image
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadImageError, match=rf"{image}: image cannot be decoded .*on_bad_image: skip"):
        published.load().read(np.arange(published.n))  # images of one size are decoded at once, others when read
    left = published.load(on_bad_image="skip")
    assert len(left) == published.n - 1
    assert len(left.read(np.arange(len(left)))) == published.n - 1
    assert [path.endswith(image) for path in left.skipped] == [True]
