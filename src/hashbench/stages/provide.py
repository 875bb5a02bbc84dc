"""What earlier stages left behind, as later stages and methods see it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hashbench import store
from hashbench.data.base import Dataset, Source
from hashbench.data.images import ImageFiles
from hashbench.errors import HashbenchError
from hashbench.features.specs import Augmentation, BackboneSpec, Pretraining
from hashbench.layout import Layout
from hashbench.params import DatasetParams, Params
from hashbench.seeding import run_seed
from hashbench.types import Array, ItemView, Split, TrainableBackbone, TrainView


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
    """The features of one data set by one backbone: what its methods are fitted on and encode.

    `images` and `backbone` are there for a method that trains its own copy of the backbone.
    """

    split: Split
    train: TrainView
    pooled: Array
    token_mean: Array
    images: Dataset | None
    backbone: TrainableBackbone | None

    def items(self, rows: Array) -> ItemView:
        """The features of some rows."""
        pooled = np.asarray(self.pooled[rows])
        same = self.token_mean is self.pooled
        return ItemView(
            rows,
            pooled=pooled,
            token_mean=pooled if same else np.asarray(self.token_mean[rows]),
            images=None if self.images is None else _of_one_size(self.images, rows),
            backbone=self.backbone,
        )


def open_features(params: Params, profile: str, dataset: str, backbone: str, needs: frozenset[str]) -> Features:
    """Map the features that a method needs into memory, after checking that they are undamaged."""
    layout = Layout(profile)
    folder, split = layout.features(dataset, backbone), store.read_split(layout.split(dataset))
    pooled = store.open_array(folder / "pooled.npy")
    token_mean_path = folder / "token_mean.npy"
    token_mean = store.open_array(token_mean_path) if token_mean_path.exists() else pooled
    images = open_dataset(params, profile, dataset) if "images" in needs else None
    trainable = trainable_backbone(params, layout, dataset, backbone) if "backbone" in needs else None

    def by_view(name: str) -> Array | None:
        if name not in needs:
            return None
        flat = store.open_array(folder / f"{name}.npy")
        return flat.reshape(-1, len(split.train), *flat.shape[1:])

    train = TrainView(
        split.train,
        pooled=np.asarray(pooled[split.train]),
        token_mean=np.asarray(token_mean[split.train]),
        images=None if images is None else _of_one_size(images, split.train),
        views=by_view("views"),
        view_tokens=by_view("view_tokens"),
        backbone=trainable,
    )
    return Features(split, train, pooled, token_mean, images, trainable)


def files_of_features(
    params: Params, profile: str, dataset: str, backbone: str, needs: frozenset[str]
) -> dict[Path, Path]:
    """Every file that `open_features` opens: its place below the project's folder, and where it lies."""
    layout = Layout(profile)
    arrays = {"pooled", "token_mean"} | (needs & {"views", "view_tokens"})
    artefacts = [
        layout.split(dataset),
        *(layout.features(dataset, backbone) / f"{name}.npy" for name in sorted(arrays)),
        *(layout.dataset(dataset) / name for name in ("labels.safetensors", "images.npy") if "images" in needs),
        *([layout.trained_weights(dataset, backbone)] if "backbone" in needs else []),
    ]
    files = [layout.features_record(dataset, backbone), *artefacts, *map(store.sidecar, artefacts)]
    found = {path: path for path in files if path.is_file()}
    weights = backbone_spec(params, backbone).weights
    if "backbone" in needs and not isinstance(weights, Pretraining):
        found[Path("weights") / weights.file] = weights_path(params, layout, dataset, backbone)
    return found


def _of_one_size(dataset: Dataset, rows: Array) -> Array:
    images = dataset.read(rows)
    if not isinstance(images, np.ndarray):
        raise HashbenchError(f"{dataset.title}: training a backbone needs images of one size; resize them first")
    return images


def backbone_spec(params: Params, backbone: str) -> BackboneSpec:
    """The block of a backbone, checked."""
    return BackboneSpec.read(f"backbones.{backbone}", params.backbones[backbone])


def augmentation(params: Params, dataset: str) -> Augmentation:
    """The augmentation of a data set, checked."""
    name = params.datasets[dataset].augmentation
    return Augmentation.read(f"augmentations.{name}", params.augmentations[name])


def views_seed(params: Params, dataset: str) -> int:
    """The seed of every augmented view of a data set."""
    return run_seed(params.base_seed, "views", dataset)


def weights_path(params: Params, layout: Layout, dataset: str, backbone: str) -> Path:
    """The file that holds a run's weights: published ones, or those that were trained here."""
    from hashbench.features.backbones import published_weights

    weights = backbone_spec(params, backbone).weights
    if isinstance(weights, Pretraining):
        path = layout.trained_weights(dataset, backbone)
        store.check(path)
        return path
    return published_weights(weights)


def trainable_backbone(params: Params, layout: Layout, dataset: str, backbone: str) -> TrainableBackbone:
    """A run's backbone as a method may train its own copy of it."""
    from hashbench.features.finetune import FineTuning

    return FineTuning(
        backbone_spec(params, backbone),
        weights_path(params, layout, dataset, backbone),
        augmentation(params, dataset),
        views_seed(params, dataset),
        params.profile(layout.profile).device,
        params.profile(layout.profile).checkpoint_layers,
    )
