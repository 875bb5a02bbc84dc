"""Features on disk: arrays of all rows and of augmented views, and a record of what they were made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.artefacts import store
from hashbench.artefacts.array_builder import ArrayBuilder
from hashbench.artefacts.dataset import dataset_files, read_dataset
from hashbench.artefacts.layout import Layout
from hashbench.artefacts.split import read_split
from hashbench.cells import Frozen
from hashbench.data.base import Dataset
from hashbench.errors import HashbenchError
from hashbench.fingerprint import digest_of
from hashbench.types import Array, ItemView, Split, TrainableBackbone, TrainView

# What a vision-language model says of images and texts: the fields of `TrainView`, and the arrays that hold them. Its
# embeddings of images are its features.
EMBEDDINGS = {"clip_pooled": "pooled", "clip_views": "views", "clip_concepts": "concepts", "clip_nouns": "nouns"}
TEXTS = frozenset({"concepts", "nouns"})

DTYPES = {"pooled": np.float32, "token_mean": np.float32, "views": np.float32, "view_tokens": np.float16}


class FeaturesRecord(Frozen):
    """`digest`: of the features' content; `made_from`: what each array was made from."""

    digest: str
    made_from: dict[str, dict[str, Any]]


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
            clip_pooled=None if self.train.clip_pooled is None else pooled,
            embedded_by=self.train.embedded_by,
        )


def open_features(
    layout: Layout, dataset: str, backbone: str, needs: frozenset[str], trainable: TrainableBackbone | None = None
) -> Features:
    """Map the features that a method needs into memory, after checking that they are undamaged.

    `trainable`: the run's backbone, for a method that trains a copy of it.
    """
    folder, split = layout.features(dataset, backbone), read_split(layout.split(dataset))
    pooled = _of_all_rows(folder / "pooled.npy", split)
    token_mean_path = folder / "token_mean.npy"
    token_mean = _of_all_rows(token_mean_path, split) if token_mean_path.exists() else pooled
    images = read_dataset(layout, dataset) if "images" in needs else None

    def by_view(name: str) -> Array | None:
        return _of_views(folder / f"{name}.npy", split) if needs & {name, f"clip_{name}"} else None

    of_train = np.asarray(pooled[split.train])
    train = TrainView(
        split.train,
        pooled=of_train,
        token_mean=np.asarray(token_mean[split.train]),
        images=None if images is None else _of_one_size(images, split.train),
        views=by_view("views"),
        view_tokens=by_view("view_tokens"),
        backbone=trainable,
    )
    if needs & EMBEDDINGS.keys():
        train = _with_embeddings(train, needs, layout, dataset, backbone)
    return Features(split, train, pooled, token_mean, images, trainable)


def _with_embeddings(train: TrainView, needs: frozenset[str], layout: Layout, dataset: str, backbone: str) -> TrainView:
    """`train` with those embeddings that a method needs; without any where the backbone is no vision-language model."""
    folder, made_from = layout.features(dataset, backbone), read_record(layout, dataset, backbone).made_from
    texts = {f"clip_{name}": name for name in TEXTS if name in made_from}
    if not texts:
        return train
    found: dict[str, Any] = {"clip_pooled": train.pooled, "clip_views": train.views}
    found |= {field: np.asarray(store.open_array(folder / f"{name}.npy")) for field, name in texts.items()}
    chosen = {field: array for field, array in found.items() if field in needs}
    # The weights by which each array says that it was made, so that two models are told apart even of equal width.
    models = {field: f"{backbone}, weights {made_from[EMBEDDINGS[field]]['weights'][:12]}" for field in chosen}
    return replace(train, **chosen, embedded_by=models)


def _of_all_rows(path: Path, split: Split) -> Array:
    """An array of one position for each row of the data set."""
    rows = store.open_array(path)
    if rows.ndim < 2 or len(rows) != len(split.labels):
        raise store.DamagedError(path, f"shape {rows.shape} for {len(split.labels)} rows of the data set")
    return rows


def _of_views(path: Path, split: Split) -> Array:
    """An array (views, train rows, ...) of one position for each view of each train row."""
    flat = store.open_array(path)
    if flat.ndim < 2 or len(flat) == 0 or len(flat) % len(split.train):
        raise store.DamagedError(path, f"shape {flat.shape} for views of {len(split.train)} train rows")
    return flat.reshape(-1, len(split.train), *flat.shape[1:])


def files_of_features(layout: Layout, dataset: str, backbone: str, needs: frozenset[str]) -> list[Path]:
    """Every file that `open_features` opens."""
    arrays = {"pooled", "token_mean"} | (needs & {"views", "view_tokens"})
    arrays |= {array for field, array in EMBEDDINGS.items() if field in needs}
    artefacts = [
        *(layout.features(dataset, backbone) / f"{name}.npy" for name in sorted(arrays)),
        *(dataset_files(layout, dataset) if "images" in needs else []),
    ]
    files = [layout.split(dataset), _record(layout, dataset, backbone), *artefacts, *map(store.sidecar, artefacts)]
    return [path for path in files if path.is_file()]


def write_record(layout: Layout, dataset: str, backbone: str, made_from: Mapping[str, Any]) -> str:
    """Note what the features of a data set were made from; their digest, which it returns, is of their content."""
    folder, path = layout.features(dataset, backbone), _record(layout, dataset, backbone)
    digest = digest_of({name: store.about(folder / f"{name}.npy")["sha256"] for name in made_from})
    record = FeaturesRecord(digest=digest, made_from=dict(made_from))
    store.warn_of_damage(path)
    store.write_sealed(path, record.model_dump(mode="json"))
    return digest


def read_record(layout: Layout, dataset: str, backbone: str) -> FeaturesRecord:
    """The record of a data set's features. Raises HashbenchError where it is missing or damaged."""
    return store.read_sealed_as(_record(layout, dataset, backbone), FeaturesRecord)


def _record(layout: Layout, dataset: str, backbone: str) -> Path:
    return layout.features(dataset, backbone) / "features.json"


def write_blocks(
    folder: Path,
    shapes: Mapping[str, tuple[int, ...]],
    n: int,
    made_from: Mapping[str, Any],
    blocks: Callable[[int], Iterator[Mapping[str, Array]]],
) -> None:
    """Write arrays of `n` positions, `shapes` giving one position of each, from `blocks(start)`.

    Finished rows made from the same are kept.
    """
    builders = {
        name: ArrayBuilder(folder / f"{name}.npy", (n, *shape), DTYPES[name], {"made_from": dict(made_from)})
        for name, shape in shapes.items()
    }
    start = min(builder.done for builder in builders.values())
    for builder in builders.values():
        builder.rewind(start)
    for block in blocks(start):
        for name, builder in builders.items():
            builder.add(block[name])
    for builder in builders.values():
        builder.finish()


def write_texts(folder: Path, name: str, embeddings: Array, made_from: Mapping[str, Any]) -> None:
    """Keep the text embeddings `name`, one of `TEXTS`, float32 (m, e)."""
    store.write_array(folder / f"{name}.npy", embeddings, {"made_from": dict(made_from)})


def missing_arrays(folder: Path, names: tuple[str, ...], made_from: Mapping[str, Any]) -> list[str]:
    """Those of the arrays `names` that are not there, undamaged and made from the same."""
    return [n for n in names if not store.is_whole(folder / f"{n}.npy", made_from=dict(made_from))]


def _of_one_size(dataset: Dataset, rows: Array) -> Array:
    images = dataset.read(rows)
    if not isinstance(images, np.ndarray):
        raise HashbenchError(f"{dataset.title}: training a backbone needs images of one size; resize them first")
    return images
