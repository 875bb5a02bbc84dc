"""A prepared data set: images as one array where they are small and of one size, else where they lie; and labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hashbench.artefacts import store
from hashbench.artefacts.layout import Layout
from hashbench.cells import Frozen
from hashbench.data.base import Dataset
from hashbench.data.images import ImageFiles


class _Note(Frozen):
    """What a prepared data set holds besides arrays; `paths` of images that stay where they lie, else None."""

    class_names: tuple[str, ...]
    files: tuple[str, ...]
    paths: tuple[str, ...] | None
    pixels: str


def write_dataset(layout: Layout, dataset: Dataset) -> None:
    """Keep a data set for the later stages, with a digest of its images down to the pixels or the files' bytes."""
    images, labels = _paths(layout, dataset.name)
    store.warn_of_damage(images, labels)
    if isinstance(dataset.images, np.ndarray):
        store.write_array(images, dataset.images, {})
    note = _Note(
        class_names=dataset.class_names,
        files=dataset.files,
        paths=None if isinstance(dataset.images, np.ndarray) else dataset.images.paths,
        pixels=dataset.pixels_digest(),
    )
    arrays = {"labels": dataset.labels.astype(np.uint8), "fold": dataset.fold}
    store.write_tensors(labels, arrays, note.model_dump(mode="json"))


def read_dataset(layout: Layout, name: str) -> Dataset:
    """A prepared data set: images of one size mapped into memory, others decoded on demand.

    Raises HashbenchError where a file of it is missing or damaged.
    """
    images, labels = _paths(layout, name)
    arrays, note = store.read_tensors(labels, ("labels", "fold")), store.about_as(labels, _Note)
    return Dataset(
        name=name,
        title=name,
        labels=arrays["labels"].astype(np.bool_),
        class_names=note.class_names,
        fold=arrays["fold"],
        images=store.open_array(images) if note.paths is None else ImageFiles(note.paths),
        files=note.files,
    )


def pixels_digest(layout: Layout, name: str) -> str:
    """The digest of a prepared data set's images. Raises HashbenchError where it is missing or damaged."""
    return store.about_as(_paths(layout, name)[1], _Note).pixels


def dataset_files(layout: Layout, name: str) -> list[Path]:
    """The files of a prepared data set that are there."""
    return [path for path in _paths(layout, name) if path.is_file()]


def _paths(layout: Layout, name: str) -> tuple[Path, Path]:
    folder = layout.dataset(name)
    return folder / "images.npy", folder / "labels.safetensors"
