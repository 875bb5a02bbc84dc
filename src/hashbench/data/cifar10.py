"""CIFAR-10, the publisher's lossless Python version."""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np

from hashbench.data.archives import tar_members
from hashbench.data.base import TEST_FOLD, TRAIN_FOLD, Dataset, Source, one_hot
from hashbench.data.fetch import FileSpec
from hashbench.errors import HashbenchError

TITLE = "CIFAR-10"
LICENCE = "none stated by the publisher; used for research with citation"
CITATION = """\
@techreport{krizhevsky2009learning,
  author = {Krizhevsky, Alex},
  title = {Learning Multiple Layers of Features from Tiny Images},
  institution = {University of Toronto},
  year = {2009}
}"""
FILES = (
    FileSpec(
        "cifar-10-python.tar.gz",
        urls=(
            "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
            "http://s3-eu-west-1.amazonaws.com/graphcore-public-mirror/cifar-10-python.tar.gz",
        ),
        size=170_498_071,
        md5="c58f30108f718f92721af3b95e74349a",
    ),
)

_FOLDS = {**{f"data_batch_{number}": TRAIN_FOLD for number in range(1, 6)}, "test_batch": TEST_FOLD}
_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def load(source: Source) -> Dataset:
    """10 classes; uint8 (60000, 32, 32, 3); 50,000 train and 10,000 test images. Read from the archive in place."""
    path = source.fetch(FILES[0])
    batches = {name.rpartition("/")[2]: content for name, content in tar_members(path)}
    missing = set(_FOLDS) - set(batches)
    if missing:
        raise HashbenchError(f"{path}: {sorted(missing)[0]} is missing in the archive; delete it and fetch it again")
    loaded = {name: _ArraysOnly(io.BytesIO(batches[name]), encoding="latin1").load() for name in _FOLDS}
    planes = np.concatenate([batch["data"] for batch in loaded.values()]).reshape(-1, 3, 32, 32)
    classes = np.concatenate([batch["labels"] for batch in loaded.values()])
    return Dataset(
        name=source.name,
        title=source.title,
        labels=one_hot(classes, len(_CLASSES)),
        class_names=_CLASSES,
        fold=np.concatenate([np.full(len(loaded[name]["labels"]), fold, np.int8) for name, fold in _FOLDS.items()]),
        images=np.ascontiguousarray(planes.transpose(0, 2, 3, 1)),
        files=tuple(f"{name}/{file}" for name, batch in loaded.items() for file in batch["filenames"]),
    )


class _ArraysOnly(pickle.Unpickler):
    """Builds NumPy arrays and plain values, and refuses whatever else a pickle may ask for."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return np._core.multiarray._reconstruct  # type: ignore[attr-defined]
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        raise HashbenchError(f"the pickle asks for {module}.{name}, which no CIFAR-10 batch does; refused")
