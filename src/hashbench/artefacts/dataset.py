"""A prepared data set: images as one array where they are small and of one size, else where they lie; and labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hashbench.artefacts import store
from hashbench.artefacts.layout import Layout
from hashbench.data.base import Dataset
from hashbench.data.images import ImageFiles


def write_dataset(layout: Layout, dataset: Dataset) -> None:
    """Keep a data set for the later stages, with a digest of its images down to the pixels or the files' bytes."""
    images, labels = _paths(layout, dataset.name)
    store.warn_of_damage(images, labels)
    if isinstance(dataset.images, np.ndarray):
        store.write_array(images, dataset.images, {})
    paths = None if isinstance(dataset.images, np.ndarray) else list(dataset.images.paths)
    store.write_tensors(
        labels,
        {"labels": dataset.labels.astype(np.uint8), "fold": dataset.fold},
        {
            "class_names": list(dataset.class_names),
            "files": list(dataset.files),
            "paths": paths,
            "pixels": dataset.pixels_digest(),
        },
    )


def read_dataset(layout: Layout, name: str) -> Dataset:
    """A prepared data set: images of one size mapped into memory, others decoded on demand."""
    images, labels = _paths(layout, name)
    arrays, said = store.read_tensors(labels), store.about(labels)
    paths = said["paths"]
    return Dataset(
        name=name,
        title=name,
        labels=arrays["labels"].astype(np.bool_),
        class_names=tuple(said["class_names"]),
        fold=arrays["fold"],
        images=store.open_array(images) if paths is None else ImageFiles(tuple(paths)),
        files=tuple(said["files"]),
    )


def pixels_digest(layout: Layout, name: str) -> str:
    """The digest of a prepared data set's images."""
    return str(store.about(_paths(layout, name)[1])["pixels"])


def dataset_files(layout: Layout, name: str) -> list[Path]:
    """The files of a prepared data set that are there."""
    return [path for path in _paths(layout, name) if path.is_file()]


def _paths(layout: Layout, name: str) -> tuple[Path, Path]:
    folder = layout.dataset(name)
    return folder / "images.npy", folder / "labels.safetensors"
