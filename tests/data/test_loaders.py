"""Every data set through its own download, from a local server that holds small archives in the true formats."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import json
import pickle
import shutil
import struct
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from hashbench.commands.fetch import fetch_dataset
from hashbench.data import (
    cifar10,
    digits,
    digits_mosaic,
    fashion_mnist,
    imagefolder,
    imagenet100,
    mirflickr25k,
    mscoco,
    nuswide,
)
from hashbench.data.base import Dataset, Source
from hashbench.data.images import BadImageError, ImageFiles
from hashbench.data.registry import dataset_kinds, load_dataset, load_dataset_module
from hashbench.data.splits import protocol
from hashbench.errors import HashbenchError


@pytest.fixture
def publish(server, monkeypatch):
    """Puts a data set's files on the server and points its FILES there; sizes and checksums are those of the files."""

    def put(module, contents: list[bytes], **habits: object) -> None:
        specs = []
        for spec, content in zip(module.FILES, contents, strict=True):
            url = server.add(spec.name, content, **{k: list(v) for k, v in habits.items()})
            md5 = hashlib.md5(content).hexdigest()
            specs.append(dataclasses.replace(spec, urls=(url,), size=len(content), md5=md5, sha256=None))
        monkeypatch.setattr(module, "FILES", tuple(specs))

    return put


# CIFAR-10: batches as Python 2 pickled them, byte strings and all.


def python2_string(text: bytes) -> bytes:
    return b"T" + struct.pack("<i", len(text)) + text


def python2_batch(pixels: np.ndarray, labels: list[int], names: list[bytes]) -> bytes:
    rows, columns = pixels.shape
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
        b"(K\x01(" + b"".join(b"J" + struct.pack("<i", n) for n in (rows, columns)) + b"t"
        b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"I00\n" + python2_string(pixels.tobytes()) + b"tb"
    )
    label_list = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    name_list = b"](" + b"".join(python2_string(name) for name in names) + b"e"
    items = b"U\x04data" + array + b"U\x06labels" + label_list + b"U\x09filenames" + name_list
    return b"\x80\x02}(" + items + b"u."


def cifar_archive(batches: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in batches.items():
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


CIFAR_BATCHES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]


@pytest.fixture(scope="module")
def cifar():
    pixels = np.random.default_rng(0).integers(0, 256, (60, 3072), dtype=np.uint8)
    batches = {
        name: python2_batch(pixels[part * 10 :][:10], list(range(10)), [b"img_%d.png" % n for n in range(10)])
        for part, name in enumerate(CIFAR_BATCHES)
    }
    return pixels, {**batches, "batches.meta": b"unread", "readme.html": b"unread"}


def test_cifar10(publish, source, cifar):
    pixels, batches = cifar
    publish(cifar10, [cifar_archive(batches)])
    dataset = cifar10.load(source)
    assert dataset.images.shape == (60, 32, 32, 3)
    np.testing.assert_array_equal(dataset.images[7, 5, 3], [pixels[7, plane * 1024 + 5 * 32 + 3] for plane in range(3)])
    np.testing.assert_array_equal(dataset.labels.argmax(axis=1), np.tile(np.arange(10), 6))
    assert dataset.fold.tolist() == [0] * 50 + [1] * 10
    assert dataset.files[59] == "test_batch/img_9.png"
    assert protocol("official")(dataset, 0).name == "official_10_50_50"


def test_the_command_fetches_and_says_what_came(publish, cifar, tmp_path, monkeypatch, capsys):
    publish(cifar10, [cifar_archive(cifar[1])])
    monkeypatch.setenv("HASHBENCH_DATA", str(tmp_path))
    fetch_dataset("cifar10")
    assert capsys.readouterr().out == "CIFAR-10: 60 images, 10 classes, verified\n"
    assert (tmp_path / "cifar-10-python.tar.gz").is_file()
    with pytest.raises(HashbenchError, match="cifar11"):
        fetch_dataset("cifar11")


def test_cifar10_survives_a_broken_download(publish, server, source, cifar):
    archive = cifar_archive(cifar[1])
    publish(cifar10, [archive], cut=[len(archive) // 2])
    assert len(cifar10.load(source)) == 60
    assert server.sent == len(archive)


def test_cifar10_is_never_unpickled_before_its_checksum_holds(publish, server, source, cifar, monkeypatch):
    publish(cifar10, [cifar_archive(cifar[1])])
    server.resources[cifar10.FILES[0].name].content = cifar_archive({**cifar[1], "test_batch": b"anything else"})
    monkeypatch.setattr(cifar10, "tar_members", lambda _: pytest.fail("opened before it was verified"))
    with pytest.raises(HashbenchError, match=r"cifar-10-python\.tar\.gz"):
        cifar10.load(source)


def test_cifar10_refuses_a_pickle_that_would_run_code(publish, source, cifar):
    class Evil:
        def __reduce__(self):
            return (pytest.fail, ("code of a pickle was run",))

    publish(cifar10, [cifar_archive({**cifar[1], "test_batch": pickle.dumps(Evil(), protocol=2)})])
    with pytest.raises(HashbenchError, match=r"asks for .*Fail, which no CIFAR-10 batch does; refused"):
        cifar10.load(source)


def test_cifar10_names_a_batch_that_is_missing(publish, source, cifar):
    publish(cifar10, [cifar_archive({name: content for name, content in cifar[1].items() if name != "data_batch_3"})])
    with pytest.raises(HashbenchError, match="data_batch_3 is missing"):
        cifar10.load(source)


# Fashion-MNIST


def idx(values: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, values.ndim]) + b"".join(struct.pack(">I", length) for length in values.shape)
    return gzip.compress(header + values.astype(np.uint8).tobytes(), mtime=0)


def test_fashion_mnist(publish, source):
    images = np.random.default_rng(0).integers(0, 256, (15, 28, 28))
    labels = np.arange(15) % 10
    publish(fashion_mnist, [idx(images[:10]), idx(labels[:10]), idx(images[10:]), idx(labels[10:])])
    dataset = fashion_mnist.load(source)
    np.testing.assert_array_equal(dataset.images, np.repeat(images[..., None], 3, axis=3))
    assert dataset.labels.argmax(axis=1).tolist() == labels.tolist()
    assert dataset.fold.tolist() == [0] * 10 + [1] * 5


@pytest.mark.parametrize(
    "damaged", [b"", b"no gzip", gzip.compress(b"\0\0\x08", mtime=0), gzip.compress(b"\0\0\x0d\x01\0\0\0\1a", mtime=0)]
)
def test_fashion_mnist_names_a_damaged_file(publish, source, damaged):
    good = idx(np.zeros((1, 28, 28)))
    publish(fashion_mnist, [good, damaged, good, damaged])
    with pytest.raises(HashbenchError, match=r"train-labels-idx1-ubyte\.gz: damaged"):
        fashion_mnist.load(source)


# MIRFlickr-25k


def mirflickr_files(zipped, jpeg) -> list[bytes]:
    images = {f"mirflickr/im{n}.jpg": jpeg(n, 20 + n, 30) for n in range(1, 7)}
    tags = {f"mirflickr/meta/tags/tags{n}.txt": (b"sea\r\n" if n <= 3 else b"rare%d\r\n" % n) for n in range(1, 7)}
    annotations = {"README.txt": b"hello", "sky.txt": b"1\r\n2\r\n4\r\n", "baby.txt": b"2\n3\n", "baby_r1.txt": b"3\n"}
    return [zipped({**images, **tags, "mirflickr/doc/readme.txt": b""}), zipped(annotations)]


@pytest.fixture
def mirflickr(publish, zipped, jpeg, monkeypatch):
    monkeypatch.setattr(mirflickr25k, "_N_IMAGES", 6)
    publish(mirflickr25k, mirflickr_files(zipped, jpeg))


def test_mirflickr25k(mirflickr, source, jpeg):
    dataset = mirflickr25k.load(source)
    assert dataset.class_names == ("baby", "sky")
    assert dataset.labels.tolist() == [[0, 1], [1, 1], [1, 0], [0, 1], [0, 0], [0, 0]]
    assert isinstance(dataset.images, ImageFiles)
    assert [image.shape for image in dataset.read([0, 5])] == [(21, 30, 3), (26, 30, 3)]
    assert dataset.files[5] == "mirflickr/im6.jpg"
    with_relevant = mirflickr25k.load(source, labels=38)
    assert with_relevant.class_names == ("baby", "baby_r1", "sky")
    assert with_relevant.labels[2].tolist() == [True, True, False]


def test_mirflickr25k_with_common_tags_only(mirflickr, source):
    assert mirflickr25k.load(source, min_tag_images=3).files == tuple(f"mirflickr/im{n}.jpg" for n in (1, 2, 3))
    assert mirflickr25k.load(source, min_tag_images=1).files == tuple(f"mirflickr/im{n}.jpg" for n in (1, 2, 3, 4))


def test_mirflickr25k_allows_24_or_38_labels(mirflickr, source):
    with pytest.raises(HashbenchError, match=r"labels is 25 \(allowed: 24, 38\)"):
        mirflickr25k.load(source, labels=25)


# MS-COCO


def coco_part(part: str, shown: dict[int, list[int]]) -> bytes:
    return json.dumps(
        {
            "categories": [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}, {"id": 90, "name": "toothbrush"}],
            "images": [{"id": number, "file_name": f"COCO_{part}_{number:012}.jpg"} for number in shown],
            "annotations": [
                {"image_id": number, "category_id": category, "segmentation": [[0.5, 1.5]], "iscrowd": 0}
                for number, categories in shown.items()
                for category in categories
            ],
        }
    ).encode()


def coco_files(zipped, jpeg) -> list[bytes]:
    train, val = {9: [1, 1, 18], 25: [], 30: [90]}, {42: [18], 73: [1, 90]}
    annotations = {
        "annotations/instances_train2014.json": coco_part("train2014", train),
        "annotations/instances_val2014.json": coco_part("val2014", val),
        "annotations/captions_val2014.json": b"{}",
    }
    folders = [
        zipped({f"{part}/COCO_{part}_{number:012}.jpg": jpeg(number, 10 + number) for number in numbers})
        for part, numbers in (("train2014", train), ("val2014", val))
    ]
    return [*folders, zipped(annotations)]


@pytest.fixture
def coco(publish, zipped, jpeg):
    return lambda **habits: publish(mscoco, coco_files(zipped, jpeg), **habits)


def test_mscoco_keeps_the_images_that_show_an_object(coco, source):
    coco()
    dataset = mscoco.load(source)
    assert dataset.class_names == ("person", "dog", "toothbrush")
    assert dataset.labels.tolist() == [[1, 1, 0], [0, 0, 1], [0, 1, 0], [1, 0, 1]]
    assert dataset.fold.tolist() == [0, 0, 1, 1]
    assert dataset.files[0] == "train2014/COCO_train2014_000000000009.jpg"
    assert [image.shape[0] for image in dataset.read(np.arange(4))] == [19, 40, 52, 83]


def test_mscoco_survives_broken_downloads_and_busy_servers(coco, source):
    coco(cut=[1000, 1500], statuses=[503])
    assert len(mscoco.load(source)) == 4


def test_mscoco_follows_published_lists_with_their_own_paths_and_class_order(coco, source, tmp_path):
    coco()
    dataset = mscoco.load(source)
    (tmp_path / "test.txt").write_text("/home/someone/dataset/coco/val2014/COCO_val2014_000000000073.jpg 1 0 1\n")
    (tmp_path / "train.txt").write_text(
        "/home/someone/dataset/coco/train2014/COCO_train2014_000000000009.jpg 0 1 1\n"
        "/home/someone/dataset/coco/train2014/COCO_train2014_000000000030.jpg 1 0 0\n"
    )
    split = protocol(f"lists:{tmp_path}")(dataset, 0)
    assert split.query.tolist() == [3]
    assert sorted(split.train.tolist()) == [0, 1]
    assert sorted(split.database.tolist()) == [0, 1, 2]


# NUS-WIDE: by form only


NUS_NAMES = [f"{word}\\000{n}_{n}.jpg" for n, word in enumerate(["actor", "actor", "zoo", "zoo", "zoo"])]


def nus_files(zipped, _) -> list[bytes]:
    lists = {
        "ImageList/Imagelist.txt": NUS_NAMES,
        "ImageList/TestImagelist.txt": NUS_NAMES[3:],
        "ImageList/TrainImagelist.txt": NUS_NAMES[:3],
    }
    concepts = {"sky": "11010", "cow": "00001", "person": "01110", "rare": "00000"}
    truth = {f"Groundtruth/AllLabels/Labels_{name}.txt": "\n".join(row).encode() for name, row in concepts.items()}
    return [zipped({name: "\r\n".join(rows).encode() for name, rows in lists.items()}), zipped(truth)]


def put(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


@pytest.fixture
def nus_images(source, jpeg):
    files = {"Flickr/" + name.replace("\\", "/"): jpeg(n, 20 + n) for n, name in enumerate(NUS_NAMES)}
    put(source.folders[0] / "nuswide", files)


@pytest.fixture
def nus(source, nus_images, zipped, jpeg):
    put(source.folders[0], dict(zip([spec.name for spec in nuswide.FILES], nus_files(zipped, jpeg), strict=True)))
    return source.folders[0] / "nuswide"


def test_nuswide_keeps_the_images_of_the_most_frequent_concepts(nus, source):
    dataset = nuswide.load(source, concepts=2)
    assert dataset.class_names == ("person", "sky")
    assert dataset.labels.tolist() == [[0, 1], [1, 1], [1, 0], [1, 1]]
    assert dataset.files == ("actor/0000_0.jpg", "actor/0001_1.jpg", "zoo/0002_2.jpg", "zoo/0003_3.jpg")
    assert dataset.fold.tolist() == [0, 0, 0, 1]
    assert dataset.read([2])[0].shape == (22, 24, 3)
    assert nuswide.load(source, concepts=3).class_names == ("cow", "person", "sky")
    with pytest.raises(HashbenchError, match=r"concepts is 81 \(allowed: 1 to 4\)"):
        nuswide.load(source, concepts=81)


def test_nuswide_images_that_flickr_lost_are_named_or_skipped(nus, source):
    (nus / "Flickr/actor/0001_1.jpg").unlink()
    with pytest.raises(BadImageError, match=r"actor/0001_1\.jpg: image missing, one of 1"):
        nuswide.load(source, concepts=2)
    dataset = nuswide.load(source, concepts=2, on_bad_image="skip")
    assert dataset.labels.tolist() == [[0, 1], [1, 0], [1, 1]]
    assert [path.rpartition("Flickr/")[2] for path in dataset.skipped] == ["actor/0001_1.jpg"]


def test_nuswide_says_what_to_put_where(source):
    with pytest.raises(HashbenchError) as caught:
        nuswide.load(source, concepts=21)
    folder = source.folders[0] / "nuswide"
    for place, what in (
        ("ImageList.zip", "is missing and cannot be fetched: put there the 'Image List' zip of https"),
        ("Groundtruth.zip", "is missing and cannot be fetched: put there the 'Groundtruth' zip"),
        ("Flickr", "is missing; ask for the images by the form at https"),
    ):
        assert f"{folder / place} {what}" in str(caught.value)


def test_nuswide_keeps_images_without_a_label_on_request(nus, source):
    dataset = nuswide.load(source, concepts=2, unlabelled=True)
    assert len(dataset) == 5
    assert not dataset.labels[4].any()


def test_nuswide_follows_published_lists_that_name_photographs_by_their_web_address(nus, source, tmp_path):
    (tmp_path / "test.txt").write_text("images/17_3_0a1b2c3d4e_m.jpg 1 1\n")
    (tmp_path / "train.txt").write_text("./data/images/4_0_0123456789_m.jpg 1 0\nactor/0001_1.jpg 1 1\n")
    split = protocol(f"lists:{tmp_path}")(nuswide.load(source, concepts=2), 0)
    assert split.query.tolist() == [3]
    assert sorted(split.train.tolist()) == [0, 1]


def test_nuswide_notices_a_label_file_that_does_not_fit(nus, source, zipped):
    (nus / "Groundtruth.zip").write_bytes(zipped({"Groundtruth/AllLabels/Labels_sky.txt": b"1\n0\n"}))
    with pytest.raises(HashbenchError, match=r"Labels_sky\.txt is no list of 5 zeros and ones"):
        nuswide.load(source, concepts=1)


# ImageNet100: the lists are fetched, the images come on registration


IMAGENET_IMAGES = (
    "image/n01_1.JPEG",
    "image/n01_2.JPEG",
    "image/n02/n02_1.JPEG",
    "image/n99_1.JPEG",
    "val_image/ILSVRC2012_val_00000001.JPEG",
    "val_image/ILSVRC2012_val_00000002.JPEG",
)


def imagenet_files(*_) -> list[bytes]:
    return [
        b"/home/x/image/n02_1.JPEG 0 1\n/home/x/image/n01_2.JPEG 1 0\n",
        b"/home/x/val_image/ILSVRC2012_val_00000002.JPEG 0 1\n",
    ]


@pytest.fixture
def imagenet_images(source, jpeg):
    put(source.folders[0] / "imagenet100", {name: jpeg(len(name), len(name)) for name in IMAGENET_IMAGES})


def test_imagenet100(publish, source, imagenet_images):
    folder = source.folders[0] / "imagenet100"
    publish(imagenet100, imagenet_files())
    dataset = imagenet100.load(source)
    assert dataset.class_names == ("n01", "n02")
    assert dataset.files == ("n01_1.JPEG", "n01_2.JPEG", "n02_1.JPEG", "ILSVRC2012_val_00000002.JPEG")
    assert dataset.labels.argmax(axis=1).tolist() == [0, 0, 1, 1]
    assert dataset.fold.tolist() == [0, 0, 0, 1]
    (folder / "val_image/ILSVRC2012_val_00000002.JPEG").unlink()
    with pytest.raises(BadImageError, match=r"ILSVRC2012_val_00000002\.JPEG: image missing"):
        imagenet100.load(source)


def test_imagenet100_says_what_to_put_where(publish, source):
    publish(imagenet100, [b"n01_1.JPEG 1\n", b"val_1.JPEG 1\n"])
    with pytest.raises(
        HashbenchError,
        match=r"(?s)imagenet100/image is missing; put there the train images of ILSVRC 2012.*100/val_image is missing",
    ):
        imagenet100.load(source)


# Image folder


@pytest.fixture
def tree(jpeg):
    return {
        f"{part}/{name}/{n}.jpg": jpeg(n)
        for part, count in (("train", 4), ("test", 2))
        for name in ("cat", "ant")
        for n in range(count)
    }


def test_imagefolder_reads_a_zip_and_a_folder_alike(source, tree, zipped):
    folder = source.folders[0]
    for name, content in {**tree, "train/cat/notes.txt": b"", "train/cat/.hidden.jpg": b""}.items():
        path = folder / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / "tree.zip").write_bytes(zipped(tree))
    unpacked, packed = imagefolder.load(source, "tree"), imagefolder.load(source, "tree.zip")
    np.testing.assert_array_equal(unpacked.images, packed.images)
    for dataset in (unpacked, packed):
        assert dataset.class_names == ("ant", "cat")
        assert dataset.images.shape == (12, 24, 24, 3)
        assert dataset.labels.sum(axis=0).tolist() == [6, 6]
        assert dataset.fold.sum() == 4
        assert dataset.files == tuple(sorted(tree))


def test_imagefolder_refuses_another_layout_and_a_zip_that_changed(source, tree, zipped):
    path = source.folders[0] / "tree.zip"
    path.parent.mkdir(parents=True)
    path.write_bytes(zipped({**tree, "val/cat/0.jpg": b""}))
    with pytest.raises(HashbenchError, match=r"tree\.zip: val/cat/0\.jpg is not laid out train/<class>/<image>"):
        imagefolder.load(source, "tree.zip")
    path.write_bytes(zipped(tree))
    with pytest.raises(HashbenchError, match="not the published file"):
        imagefolder.load(source, "tree.zip")


def test_imagefolder_skips_or_names_a_truncated_image_in_a_zip(source, tree, zipped):
    path = source.folders[0] / "tree.zip"
    path.parent.mkdir(parents=True)
    path.write_bytes(zipped({**tree, "test/ant/0.jpg": tree["test/ant/0.jpg"][:200]}))
    with pytest.raises(BadImageError, match=r"tree\.zip/test/ant/0\.jpg: image cannot be decoded"):
        imagefolder.load(source, "tree.zip")
    dataset = imagefolder.load(source, "tree.zip", on_bad_image="skip")
    assert len(dataset) == 11
    assert "test/ant/0.jpg" not in dataset.files


def test_the_real_cifar10_as_jpeg(shared, source, zipped):
    """Every twentieth of the 60,000 real images; all of them take ten seconds to decode and show no more."""
    with zipfile.ZipFile(shared / "data" / "cifar10-jpeg.zip") as whole:
        assert len(whole.namelist()) == 60_000
        some = zipped({name: whole.read(name) for name in whole.namelist()[::20]})
    path = source.folders[0] / "some.zip"
    path.parent.mkdir(parents=True)
    path.write_bytes(some)
    dataset = imagefolder.load(source, "some.zip")
    assert dataset.images.shape == (3000, 32, 32, 3)
    assert dataset.class_names == cifar10._CLASSES
    assert dataset.labels.sum(axis=0).tolist() == [300] * 10
    assert dataset.fold.sum() == 500
    assert 100 < dataset.images.mean() < 140
    assert protocol("per_class_5_25_without_train")(dataset, 0).name.endswith("_50_250_2700")


# The two that need no download


def test_digits(source):
    dataset = digits.load(source)
    assert dataset.images.shape == (1797, 8, 8, 3)
    assert (dataset.images.min(), dataset.images.max()) == (0, 255)
    assert dataset.is_single_label
    assert dataset.fold.sum() == 360
    assert dataset.labels[dataset.fold == 1].sum(axis=0).min() >= 30


def test_digits_mosaic_shows_its_labels_and_shares_no_digit_between_the_parts(source):
    singles, dataset = digits.load(source), digits_mosaic.load(source)
    assert dataset.images.shape == (1800, 16, 16, 3)
    assert not dataset.is_single_label
    rows_of: dict[bytes, set[int]] = {}
    for row, image in enumerate(singles.images):
        rows_of.setdefault(image.tobytes(), set()).add(row)
    for row in range(len(dataset)):
        image = dataset.images[row]
        cells = [image[top : top + 8, left : left + 8] for top in (0, 8) for left in (0, 8)]
        shown = [rows_of[np.ascontiguousarray(cell).tobytes()] for cell in cells if cell.any()]
        assert 1 <= len(shown) <= 4
        assert all({int(singles.fold[source_row]) for source_row in rows} == {dataset.fold[row]} for rows in shown)
        digits_shown = {int(singles.labels[next(iter(rows))].argmax()) for rows in shown}
        assert digits_shown == set(np.flatnonzero(dataset.labels[row]))
    sizes = np.unique(dataset.labels.sum(axis=1))
    assert sizes.tolist() == [1, 2, 3, 4]
    assert digits_mosaic.load(source).images.tobytes() == dataset.images.tobytes()


# Every data set that is fetched, through every accident on the way


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


# All of them


@pytest.mark.parametrize("kind", dataset_kinds())
def test_every_data_set_says_what_it_is(kind):
    module = load_dataset_module(kind)
    assert module.TITLE
    assert module.LICENCE
    assert isinstance(module.CITATION, str)
    for spec in module.FILES:
        assert spec.urls or spec.by_hand
        assert all(url.startswith(("http://", "https://")) for url in spec.urls)
        assert spec.md5 is None or len(bytes.fromhex(spec.md5)) == 16
        assert not spec.name.startswith("/")
        assert ".." not in spec.name


def test_unknown_kinds_and_options_are_named_with_what_is_allowed(source):
    with pytest.raises(HashbenchError, match=r"unknown data set kind 'cifar11' \(allowed: cifar10, digits, "):
        load_dataset_module("cifar11")
    with pytest.raises(
        HashbenchError, match=r"tiny \(kind imagefolder\): .*'folder' \(its options: file, sha256, on_bad"
    ):
        load_dataset("imagefolder", source, {"file": "x", "folder": "y"})
    with pytest.raises(HashbenchError, match="missing a required argument: 'concepts'"):
        load_dataset("nuswide", source, {})
    assert len(load_dataset("digits", source, {})) == 1797


def test_no_data_set_imports_torch():
    import subprocess

    program = (
        "import sys; from hashbench.data.registry import *; "
        "[load_dataset_module(kind) for kind in dataset_kinds()]; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_files_are_searched_in_the_shared_folder_first(tmp_path, monkeypatch, server):
    monkeypatch.chdir(tmp_path)
    spec = server.spec("file.bin", b"content")
    monkeypatch.setenv("HASHBENCH_DATA", str(tmp_path / "lab"))
    source = Source.default("tiny", "Tiny")
    assert source.fetch(spec) == tmp_path / "lab" / "file.bin"
    monkeypatch.delenv("HASHBENCH_DATA")
    assert Source.default("tiny", "Tiny").fetch(spec).parent.name == "data"
    (tmp_path / "lab" / "file.bin").unlink()
    assert source.fetch(spec).parent.name == "data"
    with pytest.raises(HashbenchError, match=r"tiny: .*lab/x\.zip or data/x\.zip is missing; make it"):
        source.find("x.zip", "make it")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.zeros((3, 2))}, "labels must be bool"),
        ({"class_names": ("a",)}, "labels must be bool"),
        ({"fold": np.array([0, 1, 2], np.int8)}, "fold must be int8"),
        ({"fold": np.zeros(2, np.int8)}, "2 fold for 3 rows"),
        ({"images": np.zeros((3, 8, 8), np.uint8)}, "images must be uint8"),
        ({"files": ("a",)}, "1 files for 3 rows"),
    ],
)
def test_a_data_set_whose_parts_do_not_fit_is_refused(change, message):
    good = {
        "name": "tiny",
        "title": "Tiny",
        "labels": np.zeros((3, 2), np.bool_),
        "class_names": ("a", "b"),
        "fold": np.zeros(3, np.int8),
        "images": np.zeros((3, 8, 8, 3), np.uint8),
    }
    assert len(Dataset(**good)) == 3
    with pytest.raises(HashbenchError, match=message):
        Dataset(**{**good, **change})


def test_the_zip_of_a_data_set_is_opened_only_when_verified(publish, source, zipped, monkeypatch):
    monkeypatch.setattr(mirflickr25k, "_N_IMAGES", 1)
    publish(mirflickr25k, [zipped({"mirflickr/im1.jpg": b""}), zipped({"sky.txt": b"1"})])
    target = source.folders[0] / mirflickr25k.FILES[0].name
    target.parent.mkdir(parents=True)
    target.write_bytes(b"not it")
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("opened before it was verified"))
    with pytest.raises(HashbenchError, match=r"mirflickr25k\.zip is not the published file"):
        mirflickr25k.load(source)
