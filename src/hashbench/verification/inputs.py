"""Data sets, splits, weights and features: are they what params.yaml and the sources of today give?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from hashbench.artefacts.features import TEXTS, FeaturesRecord, read_record
from hashbench.artefacts.layout import Layout
from hashbench.artefacts.manifest import Manifest
from hashbench.artefacts.split import PARTS, read_split
from hashbench.artefacts.weights import WeightsRecord, read_weights_record
from hashbench.config.params import Params
from hashbench.config.selection import (
    DatasetSource,
    FeatureParams,
    backbone_params,
    feature_params,
    fetch_params,
    split_params,
)
from hashbench.data.base import Dataset, Source
from hashbench.data.registry import load_dataset
from hashbench.data.splits import Protocol, protocol
from hashbench.errors import HashbenchError
from hashbench.features.specs import Pretraining
from hashbench.features.texts import digest_of_texts, find_texts
from hashbench.features.weights import tensors_digest
from hashbench.fingerprint import Program, program_of
from hashbench.provenance import features_made_from, texts_made_from, weights_made_from
from hashbench.seeding import run_seed
from hashbench.settings import places, settings
from hashbench.types import Split
from hashbench.verification.findings import Findings


def check_datasets(params: Params, layout: Layout, manifest: Manifest, findings: Findings) -> dict[str, Dataset]:
    """The data sets of a profile, loaded anew from their files, and held against what the results say of them."""
    found = {}
    for name, source in fetch_params(params, layout.profile).datasets.items():
        dataset = _loaded(name, source, findings)
        note = manifest.datasets.get(name)
        if note is None:
            findings.fault(f"{layout.manifest} says nothing of the data set {name}")
        if dataset is None:
            continue
        found[name] = dataset
        if note is not None and tuple(note.classes) != dataset.class_names:
            findings.fault(f"{layout.manifest}: the classes of {name} are not those of the data set")
        if note is not None and note.pixels != dataset.pixels_digest():
            findings.fault(f"{name}: stale, the images are others than those that the results were made from")
    return found


def _loaded(name: str, source: DatasetSource, findings: Findings) -> Dataset | None:
    try:
        return load_dataset(source.kind, Source.default(name), source.options)
    except HashbenchError as error:
        findings.note(f"labels and images of {name} are taken from the results, its files are not here ({error})")
        return None


def check_splits(params: Params, layout: Layout, datasets: dict[str, Dataset], findings: Findings) -> dict[str, Split]:
    """The stored splits that can be read, each held against what its protocol draws from the data set."""
    found = {}
    chosen = split_params(params, layout.profile)
    for name, name_of_protocol in chosen.protocols.items():
        path = layout.split(name)
        try:
            found[name] = split = read_split(path)
        except HashbenchError as error:
            findings.fault(f"{error}; no run on {name} can be checked")
            continue
        rule = protocol(name_of_protocol)
        if split.name != _name_by(rule, split):
            findings.fault(f"{path}: the protocol is {split.name}, params.yaml says {name_of_protocol}", path)
        if name not in datasets:
            continue
        drawn = rule(datasets[name], run_seed(chosen.base_seed, name_of_protocol))
        for part in PARTS:
            if not np.array_equal(getattr(split, part), getattr(drawn, part)):
                findings.fault(f"{path}: the {part} rows are not those that {name_of_protocol} draws", path)
        for fault in _labels(split, datasets[name]):
            findings.fault(f"{path}: {fault}", path)
    return found


def _name_by(rule: Protocol, split: Split) -> str:
    """How `rule` would call a split of these counts."""
    counts = [str(len(getattr(split, part))) for part in ("query", "train", "database")]
    return rule.name if rule.counts is not None else "_".join([rule.name, *counts])


def _labels(split: Split, dataset: Dataset) -> Iterator[str]:
    """The items whose stored labels, bool (n, c), are not the data set's."""
    if split.labels.shape != dataset.labels.shape:
        yield f"labels of shape {split.labels.shape}, the data set has {dataset.labels.shape}"
        return
    names = np.array(dataset.class_names)
    for item in np.flatnonzero((split.labels != dataset.labels).any(axis=1)):
        is_, should = (", ".join(names[of[item]]) or "nothing" for of in (split.labels, dataset.labels))
        yield f"item {item} is labelled {is_}, the data set says {should}"


def check_features(
    params: Params, layout: Layout, manifest: Manifest, splits: dict[str, Split], findings: Findings
) -> dict[tuple[str, str], str]:
    """The digest of the features of each data set and backbone; faults where today's code and params give others."""
    digests = {}
    chosen = feature_params(params, layout.profile)
    for dataset in chosen.augmentations:
        for backbone in chosen.backbones:
            pair, name = (dataset, backbone), f"{dataset}-{backbone}"
            weights, features = manifest.weights.get(name), manifest.features.get(name)
            if weights is None or features is None:
                findings.fault(f"{layout.manifest} says nothing of the features of {dataset} by {backbone}")
                continue
            digests[pair] = features.digest
            if dataset in splits and dataset in manifest.datasets:
                pixels = manifest.datasets[dataset].pixels
                _check_weights(params, layout, pair, weights, (pixels, splits[dataset]), findings)
                _check_made_from(chosen, pair, weights, features, (pixels, splits[dataset]), findings)
                _check_texts(chosen, pair, weights, features, findings)
            try:
                _check_stored(layout, pair, weights, features, findings)
            except HashbenchError as error:
                findings.fault(str(error))
    return digests


def _check_stored(
    layout: Layout, pair: tuple[str, str], weights: WeightsRecord, features: FeaturesRecord, findings: Findings
) -> None:
    """What the results say of weights and features against what lies in artefacts, where it does."""
    if layout.weights_record(*pair).is_file() and read_weights_record(layout, *pair) != weights:
        findings.fault(f"weights of {pair[1]} for {pair[0]}: {layout.manifest} says others than lie in artefacts")
    if (layout.features(*pair) / "features.json").is_file() and read_record(layout, *pair) != features:
        findings.fault(f"features of {pair[0]} by {pair[1]}: {layout.manifest} says others than lie in artefacts")


def _check_weights(
    params: Params,
    layout: Layout,
    pair: tuple[str, str],
    weights: WeightsRecord,
    inputs: tuple[str, Split],
    findings: Findings,
) -> None:
    chosen = backbone_params(params, layout.profile)
    spec = chosen.backbones[pair[1]].weights
    if isinstance(spec, Pretraining):
        expected = weights_made_from(chosen, pair, *inputs)
        program = program_of("hashbench.stages.backbones")
        _compare(f"weights of {pair[1]} for {pair[0]}", weights.made_from or {}, expected, program, findings)
        return
    if spec.tensors_sha256 is not None and weights.tensors != spec.tensors_sha256:
        was = f"their tensors have the sha256 {weights.tensors} in the results"
        findings.fault(f"weights of {pair[1]}: {was}, {spec.tensors_sha256} in params.yaml")
    for path in places(settings().weights_folders, spec.file):
        if path.is_file():
            if tensors_digest(path) != weights.tensors:
                findings.fault(f"weights of {pair[1]}: stale, {path} holds others than the results were made with")
            return


def _check_made_from(
    chosen: FeatureParams,
    pair: tuple[str, str],
    weights: WeightsRecord,
    features: FeaturesRecord,
    inputs: tuple[str, Split],
    findings: Findings,
) -> None:
    rows_from, views_from = features_made_from(chosen, pair, weights.tensors, *inputs)
    program = program_of("hashbench.stages.features")
    for name, made_from in features.made_from.items():
        if name in TEXTS:
            continue
        expected = views_from if name.startswith("view") else rows_from
        _compare(f"{name} of {pair[0]} by {pair[1]}", made_from, expected, program, findings)


def _check_texts(
    chosen: FeatureParams,
    pair: tuple[str, str],
    weights: WeightsRecord,
    features: FeaturesRecord,
    findings: Findings,
) -> None:
    """Text embeddings: those that params.yaml names, of the backbone's own model, and of the files that are here."""
    texts = chosen.backbones[pair[1]].texts
    files = texts.files if texts else {}
    for name in sorted({*files, *(TEXTS & features.made_from.keys())}):
        what, made_from = f"{name} of {pair[0]} by {pair[1]}", features.made_from.get(name)
        if made_from is None or name not in files:
            told = "params.yaml" if name in files else "the results"
            findings.fault(f"{what}: stale, {told} alone have them")
            continue
        here = find_texts(files[name]) is not None
        expected = texts_made_from(
            weights.tensors, digest_of_texts(files[name]) if here else made_from.get("texts", "")
        )
        for key, value in expected.items():
            if made_from.get(key) != value:
                findings.fault(f"{what}: stale, {key} was {made_from.get(key)}, {value} today")


def _compare(
    what: str, made_from: dict[str, Any], expected: dict[str, Any], program: Program, findings: Findings
) -> None:
    """Say which of the things that something was made from are others today; versions are told as a note."""
    for key in sorted({*made_from, *expected} - {"versions"}):
        if made_from.get(key) != expected.get(key):
            of_today = f"{expected.get(key)} today" if key != "code" else f"today's sources give {program.digest}"
            findings.fault(f"{what}: stale, {key} was {made_from.get(key)}, {of_today}")
    check_versions(what, made_from.get("versions", {}), program.versions, findings)


def check_versions(what: str, found: dict[str, str], today: dict[str, str], findings: Findings) -> None:
    """Note which packages computed in other versions than those that are installed here."""
    if set(found) != set(today):
        findings.fault(f"{what}: made by {', '.join(sorted(found)) or 'no package'}, not by {', '.join(sorted(today))}")
        return
    others = [f"{name} {found[name]} (here {today[name]})" for name in sorted(found) if found[name] != today[name]]
    if others:
        findings.note(f"{what}: computed by {', '.join(others)}")
