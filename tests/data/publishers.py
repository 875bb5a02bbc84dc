"""Small files in the true formats of every publisher."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
from pathlib import Path

import numpy as np


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


def idx(values: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, values.ndim]) + b"".join(struct.pack(">I", length) for length in values.shape)
    return gzip.compress(header + values.astype(np.uint8).tobytes(), mtime=0)


def mirflickr_files(zipped, jpeg) -> list[bytes]:
    images = {f"mirflickr/im{n}.jpg": jpeg(n, 20 + n, 30) for n in range(1, 7)}
    tags = {f"mirflickr/meta/tags/tags{n}.txt": (b"sea\r\n" if n <= 3 else b"rare%d\r\n" % n) for n in range(1, 7)}
    annotations = {"README.txt": b"hello", "sky.txt": b"1\r\n2\r\n4\r\n", "baby.txt": b"2\n3\n", "baby_r1.txt": b"3\n"}
    return [zipped({**images, **tags, "mirflickr/doc/readme.txt": b""}), zipped(annotations)]


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
