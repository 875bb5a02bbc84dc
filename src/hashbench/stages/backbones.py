"""Make every backbone's weights ready: find or download and verify them, or train them without labels.

A backbone that is trained here is trained on the train rows of the data set that it will describe, and on nothing else.
"""

from __future__ import annotations

import numpy as np

from hashbench import store
from hashbench.features.backbones import published_weights
from hashbench.features.pretrain import pretrain
from hashbench.features.specs import BackboneSpec, Pretraining
from hashbench.layout import Layout
from hashbench.params import Params, load_params
from hashbench.seeding import run_seed
from hashbench.stages.command import log, run_stage
from hashbench.stages.provide import augmentation, backbone_spec, open_dataset


def main(profile: str) -> None:
    """Leave a weights record, and trained weights, for each data set and backbone of `profile`."""
    params, layout = load_params(), Layout(profile)
    for backbone in params.profile(profile).backbones:
        spec = backbone_spec(params, backbone)
        for dataset in params.profile(profile).datasets:
            if isinstance(spec.weights, Pretraining):
                train(params, layout, dataset, backbone, spec)
            else:
                path = published_weights(spec.weights)
                store.write_json(
                    layout.weights_record(dataset, backbone), {"file": path.name, "sha256": store.sha256_of(path)}
                )
                log.info("%s: weights %s verified", spec.title, path.name)


def train(params: Params, layout: Layout, dataset: str, backbone: str, spec: BackboneSpec) -> None:
    """Train a backbone on the train rows of `dataset`, unless that was done by the same code, numbers and rows."""
    split, recipe = store.read_split(layout.split(dataset)), augmentation(params, dataset)
    seed = run_seed(params.base_seed, "pretrain", dataset, backbone)
    made_from = {
        "spec": spec.model_dump(mode="json"),
        "augmentation": recipe.model_dump(mode="json"),
        "split": split.digest,
        "seed": seed,
    }
    images = np.stack(list(open_dataset(params, layout.profile, dataset).read(split.train)))
    state, _ = pretrain(spec, images, split.train, recipe, seed)
    path = layout.trained_weights(dataset, backbone)
    store.write_tensors(path, state, made_from)
    store.write_json(layout.weights_record(dataset, backbone), {"file": path.name, "sha256": store.sha256_of(path)})
    log.info("%s: trained without labels on %d images of %s", spec.title, len(split.train), dataset)


if __name__ == "__main__":
    run_stage(main, "profile")
