"""`MANIFEST.json`: the sha256 of every file of a folder of results, and what these were made from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from hashbench.artefacts import store
from hashbench.artefacts.features import FeaturesRecord
from hashbench.artefacts.layout import Layout
from hashbench.artefacts.weights import WeightsRecord
from hashbench.cells import Frozen

# Seconds differ from run to run; the others are other pipelines'.
_LEFT_OUT = ("cost", "ablations", "official", "search")


class DatasetNote(Frozen):
    """What the results hold of a data set besides its split: its classes, and the digest of its images."""

    classes: list[str]
    pixels: str


class Manifest(Frozen):
    """`files`: sha256 by name below the folder; `programs`: source digests by the digest that records name;
    `datasets` by name; `weights`, `features`: the record of each data set and backbone."""

    files: dict[str, str]
    programs: dict[str, dict[str, str]]
    datasets: dict[str, DatasetNote]
    weights: dict[str, WeightsRecord]
    features: dict[str, FeaturesRecord]


def write_manifest(layout: Layout, manifest: Manifest) -> None:
    """Write a manifest."""
    store.write_json(layout.manifest, manifest.model_dump(mode="json"))


def digests_of_files(layout: Layout) -> dict[str, str]:
    """The sha256 of every file of the results that lies there now, by name."""
    return {path.relative_to(layout.results).as_posix(): store.sha256_of(path) for path in result_files(layout)}


def read_manifest(layout: Layout) -> Manifest:
    """The manifest of a folder of results. Raises HashbenchError where it is missing or not valid."""
    try:
        return Manifest.model_validate(store.read_json(layout.manifest))
    except ValidationError as error:
        raise store.DamagedError(layout.manifest, str(error).splitlines()[0]) from None


def result_files(layout: Layout) -> Iterator[Path]:
    """Every file that the manifest of a folder of results covers."""
    for path in sorted(layout.results.rglob("*")):
        first = path.relative_to(layout.results).parts[0]
        if path.is_file() and first not in _LEFT_OUT and path != layout.manifest and path.suffix != ".tmp":
            yield path
