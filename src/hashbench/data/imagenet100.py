"""ImageNet100: the 100 classes of ImageNet (ILSVRC 2012) that HashNet chose."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hashbench.data.base import TEST_FOLD, TRAIN_FOLD, Dataset, Source, one_hot
from hashbench.data.fetch import FileSpec
from hashbench.data.images import BadImagePolicy, ImageFiles, open_images
from hashbench.errors import HashbenchError

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

_LISTS = (
    "https://raw.githubusercontent.com/thuml/HashNet/48652bff55009f81c5291bdf8b096b43d258e7e2/pytorch/data/imagenet/"
)
FILES = (
    FileSpec("imagenet100/train.txt", urls=(_LISTS + "train.txt",)),
    FileSpec("imagenet100/test.txt", urls=(_LISTS + "test.txt",)),
)
_TRAIN, _VAL = "imagenet100/image", "imagenet100/val_image"
_BY_HAND = (
    "put there the {part} images of ILSVRC 2012 (https://image-net.org/download, on registration), at any depth and "
    "under their own names, or unpack imagenet.tar.gz of https://github.com/thuml/HashNet into imagenet100/"
)


def load(source: Source, on_bad_image: BadImagePolicy = "fatal") -> Dataset:
    """100 classes; the train part holds all train images of these classes that are there, whatever other classes lie
    beside them; the test part holds the validation images that HashNet's query list names, 50 a class."""
    folders = {_TRAIN: _BY_HAND.format(part="train"), _VAL: _BY_HAND.format(part="validation")}
    train_list, test_list, train_folder, val_folder = source.gather(FILES, folders)

    class_of = {name.partition("_")[0]: number for name, number in _read_list(train_list)}
    synsets = sorted(class_of, key=class_of.__getitem__)
    train_paths = sorted(path for path in train_folder.rglob("*.JPEG") if path.name.partition("_")[0] in class_of)
    found = {path.name: path for path in val_folder.rglob("*.JPEG")}
    queries = _read_list(test_list)
    paths = [*train_paths, *(found.get(name, val_folder / name) for name, _ in queries)]
    classes = np.array([class_of[path.name.partition("_")[0]] for path in train_paths] + [c for _, c in queries])
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


def _read_list(path: Path) -> list[tuple[str, int]]:
    """File name and class number of each line: a path, then the zeros and the one of its label."""
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        return [(name.rpartition("/")[2], label.index("1")) for name, *label in lines]
    except ValueError:
        raise HashbenchError(f"{path}: not a list of paths and labels; delete it and fetch it again") from None
