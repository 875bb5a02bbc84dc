"""Extract the features of every data set by every backbone of a profile, and of augmented views of the train rows.

Each finished block is on disk; an interrupted extraction goes on at the first block that is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from hashbench.artefacts import store
from hashbench.artefacts.dataset import pixels_digest, read_dataset
from hashbench.artefacts.features import missing_arrays, write_blocks, write_record, write_texts
from hashbench.artefacts.layout import Layout
from hashbench.artefacts.params import read_params
from hashbench.artefacts.split import read_split
from hashbench.artefacts.weights import read_weights_record, weights_path
from hashbench.config.selection import FeatureParams
from hashbench.execution.command import log, run_stage
from hashbench.features.texts import digest_of_texts, read_texts
from hashbench.features.views import views_seed
from hashbench.provenance import features_made_from, texts_made_from
from hashbench.types import Array

Arrays = Mapping[str, Array]


def main(profile: str) -> None:
    """Write the features of each data set and backbone of `profile`."""
    layout = Layout(profile)
    params = read_params(layout, "features", FeatureParams)
    for backbone in params.backbones:
        for dataset in params.augmentations:
            Extraction(params, layout, dataset, backbone).run()


class Extraction:
    """The features of one data set by one backbone."""

    def __init__(self, params: FeatureParams, layout: Layout, dataset: str, backbone: str) -> None:
        self.layout, self.dataset, self.backbone = layout, dataset, backbone
        self.params, self.device, self.n_views = params, params.device, params.views
        self.spec, self.recipe = params.backbones[backbone], params.augmentations[dataset]
        self.seed = views_seed(params.base_seed, dataset)
        self.split, self.images = read_split(layout.split(dataset)), read_dataset(layout, dataset)
        self._weights = read_weights_record(layout, dataset, backbone).tensors
        self._pixels = pixels_digest(layout, dataset)

    def run(self) -> None:
        """Features of all rows, and of the views of the train rows; nothing where they are already there."""
        rows_from, views_from = features_made_from(
            self.params, (self.dataset, self.backbone), self._weights, self._pixels, self.split
        )
        per_row = ("pooled",) if self.spec.pool == "avg" else ("pooled", "token_mean")
        per_view = ("views", "view_tokens") if self.params.view_tokens else ("views",)
        self._write(per_view, self.n_views * len(self.split.train), views_from, self._view_blocks)
        self._write(per_row, len(self.images), rows_from, self._row_blocks)
        made_from = dict.fromkeys(per_row, rows_from) | dict.fromkeys(per_view, views_from) | self._texts()
        digest = write_record(self.layout, self.dataset, self.backbone, made_from)
        n = len(self.images)
        log.info("%s by %s: %d rows and %d views, digest %s", self.dataset, self.backbone, n, self.n_views, digest)

    def _write(
        self, names: tuple[str, ...], n: int, made_from: Mapping[str, Any], blocks: Callable[[int], Iterator[Arrays]]
    ) -> None:
        from hashbench.features.extract import feature_shapes

        folder = self.layout.features(self.dataset, self.backbone)
        missing = missing_arrays(folder, names, made_from)
        if missing:
            shapes = feature_shapes(self._network)
            write_blocks(folder, {name: shapes[name] for name in missing}, n, made_from, blocks)

    def _texts(self) -> dict[str, dict[str, Any]]:
        """Put the text embeddings of a vision-language model beside those of images; what each was made from."""
        folder, found = self.layout.features(self.dataset, self.backbone), {}
        for name, file in self.spec.texts.files.items() if self.spec.texts else ():
            width = store.open_array(folder / "pooled.npy").shape[1]
            embeddings = read_texts(file, self._weights, width)
            found[name] = texts_made_from(self._weights, digest_of_texts(file))
            if missing_arrays(folder, (name,), found[name]):
                write_texts(folder, name, embeddings, found[name])
        return found

    @cached_property
    def _network(self) -> Any:
        from hashbench.features.backbones import load_backbone

        path = weights_path(self.layout, self.dataset, self.backbone, self.spec)
        return load_backbone(self.spec, path, self.device)

    def _row_blocks(self, start: int) -> Iterator[Arrays]:
        from hashbench.features.extract import extract

        rows = np.arange(len(self.images))
        return (block.arrays for block in extract(self._network, self.images.read, rows, start))

    def _view_blocks(self, start: int) -> Iterator[Arrays]:
        from hashbench.features.extract import extract_views

        read, train = self.images.read, self.split.train
        blocks = extract_views(self._network, read, train, self.recipe, self.n_views, self.seed, start)
        return (block.arrays for block in blocks)


if __name__ == "__main__":
    run_stage(main, "profile")
