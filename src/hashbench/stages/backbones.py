"""Make every backbone's weights ready: find or download and verify them, or train them without labels.

A backbone that is trained here is trained on the train rows of the data set that it will describe, and on nothing else.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from hashbench.artefacts import store
from hashbench.artefacts.dataset import pixels_digest, read_dataset
from hashbench.artefacts.layout import Layout
from hashbench.artefacts.params import read_params
from hashbench.artefacts.split import read_split
from hashbench.artefacts.weights import write_weights_record
from hashbench.config.selection import BackboneParams
from hashbench.execution.command import log, run_stage
from hashbench.execution.processes import run_side_by_side
from hashbench.features.backbones import published_weights
from hashbench.features.pretrain import pretrain
from hashbench.features.specs import Pretraining
from hashbench.provenance import weights_made_from

Pair = tuple[str, str]  # data set, backbone


def main(profile: str) -> None:
    """Leave a weights record, and trained weights, for each data set and backbone of `profile`."""
    params = read_params(Layout(profile), "backbones", BackboneParams)
    pairs = [(dataset, backbone) for backbone in params.backbones for dataset in params.augmentations]
    for _ in run_side_by_side(partial(make_ready, profile), pairs):
        pass


def make_ready(profile: str, pair: Pair) -> None:
    """Train or find the weights of one (data set, backbone)."""
    layout = Layout(profile)
    params = read_params(layout, "backbones", BackboneParams)
    weights = params.backbones[pair[1]].weights
    if isinstance(weights, Pretraining):
        train(params, layout, pair)
        return
    path = published_weights(weights)
    write_weights_record(layout, pair, path, None)
    log.info("%s: weights %s verified", pair[1], path.name)


def train(params: BackboneParams, layout: Layout, pair: Pair) -> None:
    """Train a backbone on the train rows of a data set, without their labels."""
    dataset, backbone = pair
    split = read_split(layout.split(dataset))
    made_from = weights_made_from(params, pair, pixels_digest(layout, dataset), split)
    seed = made_from["seed"]
    path = layout.trained_weights(dataset, backbone)
    if not store.is_whole(path, made_from=made_from):
        images = np.stack(list(read_dataset(layout, dataset).read(split.train)))
        state, _ = pretrain(params.backbones[backbone], images, split.train, params.augmentations[dataset], seed)
        store.write_tensors(path, state, {"made_from": made_from})
        log.info("%s: trained without labels on %d images of %s", backbone, len(split.train), dataset)
    write_weights_record(layout, pair, path, made_from)


if __name__ == "__main__":
    run_stage(main, "profile")
