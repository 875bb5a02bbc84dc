"""What earlier stages left behind, as later stages and methods see it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hashbench import store
from hashbench.data.base import Dataset, Source
from hashbench.data.images import ImageFiles
from hashbench.layout import Layout
from hashbench.params import DatasetParams, Params
from hashbench.types import Array, ItemView, Split, TrainView


def source_of(name: str, block: DatasetParams) -> Source:
    """The folders in which a data set's files are looked for."""
    return Source.default(name, block.title)


def open_dataset(params: Params, profile: str, name: str) -> Dataset:
    """A data set as the fetch stage prepared it: images of one size mapped into memory, others decoded on demand."""
    block, folder = params.datasets[name], Layout(profile).dataset(name)
    labels_path = folder / "labels.safetensors"
    arrays, said = store.read_tensors(labels_path), store.about(labels_path)
    paths = said["paths"]
    return Dataset(
        name=name,
        title=block.title,
        labels=arrays["labels"].astype(np.bool_),
        class_names=tuple(said["class_names"]),
        fold=arrays["fold"],
        images=store.open_array(folder / "images.npy") if paths is None else ImageFiles(tuple(paths)),
        files=tuple(said["files"]),
    )


@dataclass(frozen=True)
class Features:
    """The features of one data set by one backbone: what its methods are fitted on and encode."""

    split: Split
    train: TrainView
    pooled: Array
    token_mean: Array

    def items(self, rows: Array) -> ItemView:
        """The features of some rows."""
        pooled = np.asarray(self.pooled[rows])
        same = self.token_mean is self.pooled
        return ItemView(rows, pooled=pooled, token_mean=pooled if same else np.asarray(self.token_mean[rows]))


def open_features(profile: str, dataset: str, backbone: str, needs: frozenset[str]) -> Features:
    """Map the features that a method needs into memory, after checking that they are undamaged."""
    layout = Layout(profile)
    folder, split = layout.features(dataset, backbone), store.read_split(layout.split(dataset))
    pooled = store.open_array(folder / "pooled.npy")
    token_mean_path = folder / "token_mean.npy"
    token_mean = store.open_array(token_mean_path) if token_mean_path.exists() else pooled

    def by_view(name: str) -> Array | None:
        if name not in needs:
            return None
        flat = store.open_array(folder / f"{name}.npy")
        return flat.reshape(-1, len(split.train), *flat.shape[1:])

    train = TrainView(
        split.train,
        pooled=np.asarray(pooled[split.train]),
        token_mean=np.asarray(token_mean[split.train]),
        views=by_view("views"),
        view_tokens=by_view("view_tokens"),
    )
    return Features(split, train, pooled, token_mean)
