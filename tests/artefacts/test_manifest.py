"""The manifest of a folder of results: which files it covers, and how it comes back."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from hashbench.artefacts import store
from hashbench.artefacts.features import FeaturesRecord
from hashbench.artefacts.layout import Layout
from hashbench.artefacts.manifest import DatasetNote, Manifest, digests_of_files, read_manifest, write_manifest
from hashbench.artefacts.weights import WeightsRecord
from hashbench.errors import HashbenchError


@pytest.fixture
def manifest() -> Manifest:
    return Manifest(
        files={"table1.md": "0" * 64},
        programs={"0123456789ab": {"hashbench.stages.fit": "ba9876543210"}},
        datasets={"digits": DatasetNote(classes=["0", "µ"], pixels="1" * 64)},
        weights={"digits-vit_micro": WeightsRecord(file="a.safetensors", tensors="2" * 64, made_from=None)},
        features={"digits-vit_micro": FeaturesRecord(digest="3" * 12, made_from={"pooled": {"views": 2}})},
    )


def test_a_manifest_comes_back(layout: Layout, manifest: Manifest) -> None:
    write_manifest(layout, manifest)
    assert read_manifest(layout) == manifest


def test_every_file_is_covered_but_for_seconds_ablations_and_itself(layout: Layout, manifest: Manifest) -> None:
    write_manifest(layout, manifest)
    names = ("table1.md", "figures/map.svg", "codes/lsh.safetensors", "cost/table3.md", "ablations/table1.md", "x.tmp")
    for name in names:
        (layout.results / name).parent.mkdir(exist_ok=True)
        (layout.results / name).write_text(name)
    covered = {name: hashlib.sha256(name.encode()).hexdigest() for name in names[:3]}
    assert digests_of_files(layout) == covered
    ablations = Layout("quick", "ablations", root=layout.root)
    assert set(digests_of_files(ablations)) == {"table1.md"}


def test_a_missing_manifest_is_told_with_its_remedy(layout: Layout) -> None:
    with pytest.raises(HashbenchError, match=r"MANIFEST\.json is missing; run `dvc repro` to make it"):
        read_manifest(layout)


@pytest.mark.parametrize(
    "change",
    [{"files": ...}, {"files": {"a": 1}}, {"more": 1}, {"datasets": {"digits": {}}}, {"programs": []}],
    ids=str,
)
def test_a_manifest_of_other_content_is_told(layout: Layout, manifest: Manifest, change: dict[str, Any]) -> None:
    values = {**manifest.model_dump(mode="json"), **change}
    store.write_json(layout.manifest, {name: value for name, value in values.items() if value is not ...})
    with pytest.raises(store.DamagedError) as caught:
        read_manifest(layout)
    assert str(caught.value).startswith(f"{layout.manifest} is damaged (")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("content", [b"", b"\xff", b"null", json.dumps([1]).encode(), b"[" * 100_000])
def test_what_is_no_manifest_is_told(layout: Layout, content: bytes) -> None:
    layout.results.mkdir(parents=True)
    layout.manifest.write_bytes(content)
    with pytest.raises(store.DamagedError, match=r"MANIFEST\.json is damaged"):
        read_manifest(layout)
