"""Divide every data set of a profile into query, database and train rows by its protocol."""

from __future__ import annotations

from hashbench.artefacts.dataset import read_dataset
from hashbench.artefacts.layout import Layout
from hashbench.artefacts.params import read_params
from hashbench.artefacts.split import warn_of_damage, write_split
from hashbench.config.selection import SplitParams
from hashbench.data.base import Dataset
from hashbench.data.splits import protocol
from hashbench.execution.command import log, run_stage
from hashbench.seeding import run_seed
from hashbench.types import Split


def main(profile: str) -> None:
    """Write the split of every data set of `profile`."""
    layout = Layout(profile)
    params = read_params(layout, "split", SplitParams)
    for name, chosen in params.protocols.items():
        warn_of_damage(layout.split(name))
        split = draw(read_dataset(layout, name), chosen, params.base_seed)
        write_split(layout.split(name), split)
        log.info(
            "%s: %s, %d query, %d train, %d database, digest %s",
            name,
            split.name,
            len(split.query),
            len(split.train),
            len(split.database),
            split.digest,
        )


def draw(dataset: Dataset, chosen: str, base_seed: int) -> Split:
    """The split of a data set by the protocol called `chosen`."""
    return protocol(chosen)(dataset, run_seed(base_seed, chosen))


if __name__ == "__main__":
    run_stage(main, "profile")
