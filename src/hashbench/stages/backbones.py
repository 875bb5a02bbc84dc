"""Make every backbone's weights ready: find or download and verify them, or train them without labels.

A backbone that is trained here is trained on the train rows of the data set that it will describe, and on nothing else.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from hashbench import store
from hashbench.features import augment, backbones, resample, specs
from hashbench.features import pretrain as pretrain_module
from hashbench.features.backbones import published_weights
from hashbench.features.pretrain import pretrain
from hashbench.features.specs import BackboneSpec, Pretraining
from hashbench.layout import Layout
from hashbench.params import Params, load_params
from hashbench.seeding import run_seed
from hashbench.stages.command import log, run_stage
from hashbench.stages.provide import augmentation, backbone_spec, open_dataset
from hashbench.stages.side_by_side import run_side_by_side

CODE = (augment, backbones, pretrain_module, resample, specs)


def main(profile: str) -> None:
    """Leave a weights record, and trained weights, for each data set and backbone of `profile`."""
    chosen = load_params().profile(profile)
    pairs = [(dataset, backbone) for backbone in chosen.backbones for dataset in chosen.datasets]
    for _ in run_side_by_side(partial(make_ready, profile), pairs):
        pass


def make_ready(profile: str, pair: tuple[str, str]) -> None:
    """Train or find the weights of one (data set, backbone)."""
    dataset, backbone = pair
    params, layout = load_params(), Layout(profile)
    spec = backbone_spec(params, backbone)
    if isinstance(spec.weights, Pretraining):
        train(params, layout, dataset, backbone, spec)
        return
    path = published_weights(spec.weights)
    record_weights(layout, dataset, backbone, path)
    log.info("%s: weights %s verified", spec.title, path.name)


def train(params: Params, layout: Layout, dataset: str, backbone: str, spec: BackboneSpec) -> None:
    """Train a backbone on the train rows of `dataset`, without their labels."""
    split, recipe = store.read_split(layout.split(dataset)), augmentation(params, dataset)
    seed = run_seed(params.base_seed, "pretrain", dataset, backbone)
    made_from = {
        "code": store.digest_of_files([Path(str(module.__file__)) for module in CODE]),
        "spec": spec.model_dump(mode="json"),
        "augmentation": recipe.model_dump(mode="json"),
        "split": split.digest,
        "seed": seed,
    }
    path = layout.trained_weights(dataset, backbone)
    if not store.is_whole(path, **made_from):
        images = np.stack(list(open_dataset(params, layout.profile, dataset).read(split.train)))
        state, _ = pretrain(spec, images, split.train, recipe, seed)
        store.write_tensors(path, state, made_from)
        log.info("%s: trained without labels on %d images of %s", spec.title, len(split.train), dataset)
    record_weights(layout, dataset, backbone, path)


def record_weights(layout: Layout, dataset: str, backbone: str, path: Path) -> None:
    """Write down which weights a run's backbone has."""
    record = layout.weights_record(dataset, backbone)
    store.warn_of_damage(record)
    store.write_sealed(record, {"file": path.name, "sha256": store.sha256_of(path)})


if __name__ == "__main__":
    run_stage(main, "profile")
