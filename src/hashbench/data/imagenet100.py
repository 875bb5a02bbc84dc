"""ImageNet100: the 100 classes of ImageNet (ILSVRC 2012) that HashNet chose."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hashbench.data.base import TEST_FOLD, TRAIN_FOLD, Dataset, Source, one_hot
from hashbench.data.fetch import FileSpec
from hashbench.data.images import BadImagePolicy, ImageFiles, open_images

TITLE = "ImageNet100"
LICENCE = "ImageNet terms of access: non-commercial research and education"
CITATION = """\
@article{russakovsky2015imagenet,
  author = {Russakovsky, Olga and Deng, Jia and Su, Hao and Krause, Jonathan and Satheesh, Sanjeev and Ma, Sean and
            Huang, Zhiheng and Karpathy, Andrej and Khosla, Aditya and Bernstein, Michael and Berg, Alexander C. and
            Fei-Fei, Li},
  title = {{ImageNet} Large Scale Visual Recognition Challenge},
  journal = {International Journal of Computer Vision},
  volume = {115},
  year = {2015}
}"""

_N_CLASSES, _N_TRAIN_LINES, _N_QUERIES_A_CLASS = 100, 13_000, 50
_NAMES = {
    "train": re.compile(r"n[0-9]{8}_[0-9]+\.JPEG"),
    "validation": re.compile(r"ILSVRC2012_val_[0-9]{8}\.JPEG"),
}


def check_train_list(path: Path) -> None:
    """Raise ValueError unless 13,000 train images are listed, of one synset for each of 100 class numbers."""
    synset_of: dict[int, str] = {}
    for name, number in _checked(path, "train", _N_TRAIN_LINES):
        synset = _synset(name)
        if synset_of.setdefault(number, synset) != synset:
            raise ValueError(f"its class {number} is both {synset_of[number]} and {synset}")
    if len(set(synset_of.values())) != _N_CLASSES:
        raise ValueError(f"it names {len(set(synset_of.values()))} synsets in place of {_N_CLASSES}")


def check_query_list(path: Path) -> None:
    """Raise ValueError unless 50 different validation images of each of 100 classes are listed."""
    class_of = dict(_checked(path, "validation", _N_CLASSES * _N_QUERIES_A_CLASS))
    counts = Counter(class_of.values())
    for number in range(_N_CLASSES):
        if counts[number] != _N_QUERIES_A_CLASS:
            raise ValueError(f"its class {number} has {counts[number]} images in place of {_N_QUERIES_A_CLASS}")


def _checked(path: Path, part: str, n_lines: int) -> list[tuple[str, int]]:
    """File name and class number of each line, all of HashNet's form.

    Train and validation images have names of different forms, so that a train and a query list share no image.
    """
    listed = []
    for line, (name, label) in enumerate(_lines(path), start=1):
        if not _NAMES[part].fullmatch(name):
            raise ValueError(f"line {line} names no {part} image of ILSVRC 2012")
        if sorted(label) != ["0"] * (_N_CLASSES - 1) + ["1"]:
            raise ValueError(f"line {line} does not end in {_N_CLASSES} labels, a single 1 among 0s")
        listed.append((name, label.index("1")))
    if len(listed) != n_lines:
        raise ValueError(f"it has {len(listed):,} lines in place of {n_lines:,}")
    return listed


def _lines(path: Path) -> Iterator[tuple[str, list[str]]]:
    """File name and label of each line, which is an image's path, then the 0s and the 1 of its label."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            image, *label = line.split() or [""]
            yield image.rpartition("/")[2], label


def _synset(name: str) -> str:
    return name.partition("_")[0]


_LISTS = (
    "https://raw.githubusercontent.com/thuml/HashNet/48652bff55009f81c5291bdf8b096b43d258e7e2/pytorch/data/imagenet/"
)
FILES = (
    FileSpec("imagenet100/train.txt", urls=(_LISTS + "train.txt",), check=check_train_list),
    FileSpec("imagenet100/test.txt", urls=(_LISTS + "test.txt",), check=check_query_list),
)
BY_HAND = {
    f"imagenet100/{folder}": f"put there the {part} images of ILSVRC 2012 (https://image-net.org/download, on "
    "registration), at any depth and under their own names, or unpack imagenet.tar.gz of "
    "https://github.com/thuml/HashNet into imagenet100/"
    for folder, part in (("image", "train"), ("val_image", "validation"))
}


def load(source: Source, on_bad_image: BadImagePolicy = "fatal") -> Dataset:
    """100 classes; the train part holds all train images of these classes that are there, whatever other classes lie
    beside them; the test part holds the validation images that HashNet's query list names, 50 a class."""
    train_list, test_list, train_folder, val_folder = source.gather(FILES, BY_HAND)

    class_of = {_synset(name): label.index("1") for name, label in _lines(train_list)}
    synsets = sorted(class_of, key=class_of.__getitem__)
    train_paths = sorted(path for path in train_folder.rglob("*.JPEG") if _synset(path.name) in class_of)
    found = {path.name: path for path in val_folder.rglob("*.JPEG")}
    queries = [(name, label.index("1")) for name, label in _lines(test_list)]
    paths = [*train_paths, *(found.get(name, val_folder / name) for name, _ in queries)]
    classes = np.array([class_of[_synset(path.name)] for path in train_paths] + [c for _, c in queries])
    fold = np.repeat(np.array([TRAIN_FOLD, TEST_FOLD], dtype=np.int8), [len(train_paths), len(queries)])

    opened = open_images(ImageFiles(tuple(map(str, paths))), on_bad_image, source.title)
    return Dataset(
        name=source.name,
        title=source.title,
        labels=one_hot(classes[opened.kept], len(synsets)),
        class_names=tuple(synsets),
        fold=fold[opened.kept],
        images=opened.images,
        files=tuple(paths[row].name for row in opened.kept),
        skipped=opened.skipped,
    )
