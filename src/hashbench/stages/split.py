"""Divide every data set of a profile into query, database and train rows by its protocol."""

from __future__ import annotations

from hashbench import store
from hashbench.data.splits import protocol
from hashbench.layout import Layout
from hashbench.params import load_params
from hashbench.seeding import run_seed
from hashbench.stages.command import log, run_stage
from hashbench.stages.provide import open_dataset


def main(profile: str) -> None:
    """Write the split of every data set of `profile`."""
    params, layout = load_params(), Layout(profile)
    for name in params.profile(profile).datasets:
        chosen = params.datasets[name].protocol
        store.warn_of_damage(layout.split(name))
        split = protocol(chosen)(open_dataset(params, profile, name), run_seed(params.base_seed, chosen))
        store.write_split(layout.split(name), split)
        log.info(
            "%s: %s, %d query, %d train, %d database, digest %s",
            name,
            split.name,
            len(split.query),
            len(split.train),
            len(split.database),
            split.digest,
        )


if __name__ == "__main__":
    run_stage(main, "profile")
