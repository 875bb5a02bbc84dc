"""Put every data set of a profile in place: download or find its files, verify them, and keep images and labels."""

from __future__ import annotations

from hashbench.artefacts.dataset import write_dataset
from hashbench.artefacts.layout import Layout
from hashbench.artefacts.params import read_params
from hashbench.config.selection import DatasetSource, FetchParams
from hashbench.data.base import Source
from hashbench.data.registry import load_dataset
from hashbench.execution.command import log, run_stage


def main(profile: str) -> None:
    """Prepare the data sets of `profile`."""
    layout = Layout(profile)
    for name, source in read_params(layout, "fetch", FetchParams).datasets.items():
        prepare(layout, name, source)


def prepare(layout: Layout, name: str, source: DatasetSource) -> None:
    """Load one data set from its files and keep it."""
    dataset = load_dataset(source.kind, Source.default(name), source.options)
    write_dataset(layout, dataset)
    skipped = f", {len(dataset.skipped)} undecodable images left out" if dataset.skipped else ""
    log.info("%s: %d images, %d classes%s", name, len(dataset), len(dataset.class_names), skipped)


if __name__ == "__main__":
    run_stage(main, "profile")
