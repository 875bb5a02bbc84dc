"""`hashbench fetch NAME`: get a data set's files, or learn where to put them."""

from __future__ import annotations

from hashbench.data.registry import load_dataset
from hashbench.params import known, load_params
from hashbench.stages.provide import source_of


def fetch_dataset(name: str) -> None:
    """Find or download the files of a data set of params.yaml, verify and load them, and say what was found."""
    block = known("data set", name, load_params().datasets)
    dataset = load_dataset(block.kind, source_of(name, block), block.load_options)
    print(f"{dataset.title}: {len(dataset)} images, {len(dataset.class_names)} classes, verified")
