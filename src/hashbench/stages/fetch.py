"""Put every data set of a profile in place: download or find its files, verify them, and keep images and labels.

Small images of one size become one array, which later stages map into memory; others stay in their files.
"""

from __future__ import annotations

import numpy as np

from hashbench import store
from hashbench.data.registry import load_dataset
from hashbench.layout import Layout
from hashbench.params import DatasetParams, load_params
from hashbench.stages.command import log, run_stage
from hashbench.stages.provide import source_of


def main(profile: str) -> None:
    """Prepare the data sets of `profile`."""
    params, layout = load_params(), Layout(profile)
    for name in params.profile(profile).datasets:
        prepare(name, params.datasets[name], layout)


def prepare(name: str, block: DatasetParams, layout: Layout) -> None:
    """Load one data set from its files and write it to the profile's artefacts."""
    dataset = load_dataset(block.kind, source_of(name, block), block.load_options)
    folder = layout.dataset(name)
    store.warn_of_damage(folder / "images.npy", folder / "labels.safetensors")
    paths = None
    if isinstance(dataset.images, np.ndarray):
        store.write_array(folder / "images.npy", dataset.images, {})
    else:
        paths = list(dataset.images.paths)
    store.write_tensors(
        folder / "labels.safetensors",
        {"labels": dataset.labels.astype(np.uint8), "fold": dataset.fold},
        {"class_names": list(dataset.class_names), "files": list(dataset.files), "paths": paths},
    )
    skipped = f", {len(dataset.skipped)} undecodable images left out" if dataset.skipped else ""
    log.info("%s: %d images, %d classes%s", dataset.title, len(dataset), len(dataset.class_names), skipped)


if __name__ == "__main__":
    run_stage(main, "profile")
