"""Which weights the backbone of a run has, and where they lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hashbench.artefacts import store
from hashbench.artefacts.layout import Layout
from hashbench.cells import Frozen
from hashbench.features.specs import BackboneSpec, Pretraining
from hashbench.features.weights import tensors_digest


class WeightsRecord(Frozen):
    """Which weights a backbone has: file name, digest of the tensors, and what these were made from if trained here."""

    file: str
    tensors: str
    made_from: dict[str, Any] | None


def write_weights_record(
    layout: Layout, pair: tuple[str, str], path: Path, made_from: Mapping[str, Any] | None
) -> None:
    """Note the weights file of a (data set, backbone), and what it was made from where it was trained here."""
    record = layout.weights_record(*pair)
    store.warn_of_damage(record)
    made = None if made_from is None else dict(made_from)
    written = WeightsRecord(file=path.name, tensors=tensors_digest(path), made_from=made)
    store.write_sealed(record, written.model_dump(mode="json"))


def read_weights_record(layout: Layout, dataset: str, backbone: str) -> WeightsRecord:
    """The record of a run's weights. Raises HashbenchError where it is missing or damaged."""
    return store.read_sealed_as(layout.weights_record(dataset, backbone), WeightsRecord)


def weights_path(layout: Layout, dataset: str, backbone: str, spec: BackboneSpec) -> Path:
    """The file that holds a run's weights: published ones, or those that were trained here."""
    from hashbench.features.backbones import published_weights

    if isinstance(spec.weights, Pretraining):
        path = layout.trained_weights(dataset, backbone)
        store.check(path)
        return path
    return published_weights(spec.weights)
