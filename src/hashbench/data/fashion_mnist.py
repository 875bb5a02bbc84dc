"""Fashion-MNIST: grey images of clothing, 28 x 28 pixels."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np

from hashbench.data.base import TEST_FOLD, TRAIN_FOLD, Dataset, Source, one_hot
from hashbench.data.fetch import FileSpec
from hashbench.errors import HashbenchError
from hashbench.types import Array

TITLE = "Fashion-MNIST"
LICENCE = "MIT"
CITATION = """\
@misc{xiao2017fashion,
  author = {Xiao, Han and Rasul, Kashif and Vollgraf, Roland},
  title = {Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms},
  year = {2017},
  eprint = {1708.07747},
  archivePrefix = {arXiv}
}"""

_MIRRORS = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)
_MD5 = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
FILES = tuple(
    FileSpec(f"fashion-mnist/{name}", urls=tuple(mirror + name for mirror in _MIRRORS), md5=md5)
    for name, md5 in _MD5.items()
)

_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_UNSIGNED_BYTES = 8


def load(source: Source) -> Dataset:
    """10 classes; uint8 (70000, 28, 28, 3), the grey level in all three channels; 60,000 train and 10,000 test."""
    train_images, train_labels, test_images, test_labels = map(_read_idx, source.gather(FILES, {}))
    images = np.concatenate([train_images, test_images])
    return Dataset(
        name=source.name,
        title=source.title,
        labels=one_hot(np.concatenate([train_labels, test_labels]), len(_CLASSES)),
        class_names=_CLASSES,
        fold=np.repeat(np.array([TRAIN_FOLD, TEST_FOLD], dtype=np.int8), [len(train_labels), len(test_labels)]),
        images=np.repeat(images[..., None], 3, axis=3),
    )


def _read_idx(path: Path) -> Array:
    """An array in the IDX format: two zero bytes, the type, the number of axes, their lengths, then the values."""
    try:
        content = gzip.decompress(path.read_bytes())
        axes = content[3]
        shape = np.frombuffer(content, dtype=">u4", count=axes, offset=4).astype(int)
        values = np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * axes)
        if content[:3] != bytes([0, 0, _UNSIGNED_BYTES]):
            raise ValueError("not an IDX file of bytes")
        return values.reshape(shape)
    except (OSError, EOFError, IndexError, ValueError, zlib.error) as error:
        raise HashbenchError(f"{path}: damaged ({error}); delete it and fetch it again") from None
