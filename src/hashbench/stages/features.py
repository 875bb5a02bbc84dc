"""Extract the features of every data set by every backbone of a profile, and of augmented views of the train rows.

Each finished block is on disk; an interrupted extraction goes on at the first block that is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hashbench import store
from hashbench.features import augment, backbones, resample, specs
from hashbench.features import extract as extract_module
from hashbench.features.backbones import Backbone, load_backbone
from hashbench.features.extract import Block, extract, extract_views, feature_shapes
from hashbench.features.specs import BackboneSpec
from hashbench.layout import Layout
from hashbench.params import Params, load_params
from hashbench.stages.command import log, run_stage
from hashbench.stages.provide import augmentation, backbone_spec, open_dataset, views_seed, weights_path

CODE = (augment, backbones, extract_module, resample, specs)
DTYPES = {"pooled": np.float32, "token_mean": np.float32, "views": np.float32, "view_tokens": np.float16}


def main(profile: str) -> None:
    """Write the features of each data set and backbone of `profile`."""
    params, layout = load_params(), Layout(profile)
    for backbone in params.profile(profile).backbones:
        spec = backbone_spec(params, backbone)
        for dataset in params.profile(profile).datasets:
            extract_all(params, layout, dataset, backbone, spec)


def extract_all(params: Params, layout: Layout, dataset: str, backbone: str, spec: BackboneSpec) -> None:
    """Features of all rows, then of the views of the train rows; nothing where they are already there."""
    profile, folder = params.profile(layout.profile), layout.features(dataset, backbone)
    split, images = store.read_split(layout.split(dataset)), open_dataset(params, layout.profile, dataset)
    recipe, seed = augmentation(params, dataset), views_seed(params, dataset)
    weights = store.read_sealed(layout.weights_record(dataset, backbone))
    code = store.digest_of_files([Path(str(module.__file__)) for module in CODE])
    rows_from = {"code": code, "spec": spec.model_dump(mode="json"), "weights": weights, "rows": len(images)}
    views_from = {**rows_from, "split": split.digest, "augmentation": recipe.model_dump(mode="json"), "seed": seed}

    network = load_backbone(spec, weights_path(params, layout, dataset, backbone), profile.device)
    rows, n_views = np.arange(len(images)), profile.views

    def row_blocks(start: int) -> Iterator[Block]:
        return extract(network, images.read, rows, start)

    def view_blocks(start: int) -> Iterator[Block]:
        return extract_views(network, images.read, split.train, recipe, n_views, seed, start)

    per_row = ("pooled",) if spec.pool == "avg" else ("pooled", "token_mean")
    written = write_blocks(
        folder, ("views", "view_tokens"), n_views * len(split.train), views_from, network, view_blocks
    )
    written |= write_blocks(folder, per_row, len(rows), rows_from, network, row_blocks)
    digest = store.digest_of(written)
    store.warn_of_damage(layout.features_record(dataset, backbone))
    store.write_sealed(layout.features_record(dataset, backbone), {"title": spec.title, "digest": digest})
    log.info("%s by %s: features of %d rows and %d views, digest %s", dataset, spec.title, len(rows), n_views, digest)


def write_blocks(
    folder: Path,
    names: tuple[str, ...],
    n: int,
    made_from: dict[str, Any],
    network: Backbone,
    blocks: Callable[[int], Iterator[Block]],
) -> dict[str, str]:
    """The sha256 of the arrays `names` of n positions; those that are not whole are made from `blocks` first."""
    paths = {name: folder / f"{name}.npy" for name in names}
    made = store.digest_of(made_from)
    missing = {name: path for name, path in paths.items() if not store.is_whole(path, made_from=made)}
    if missing:
        shapes = feature_shapes(network)
        builders = {
            name: store.ArrayBuilder(path, (n, *shapes[name]), DTYPES[name], {"made_from": made})
            for name, path in missing.items()
        }
        start = min(builder.done for builder in builders.values())
        for builder in builders.values():
            builder.rewind(start)
        for block in blocks(start):
            for name, builder in builders.items():
                builder.add(block.arrays[name])
        for builder in builders.values():
            builder.finish()
    return {name: store.about(path)["sha256"] for name, path in paths.items()}


if __name__ == "__main__":
    run_stage(main, "profile")
