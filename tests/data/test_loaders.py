"""What every data set has in common, and where its files are looked for."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from hashbench.data.base import Dataset, Source
from hashbench.data.registry import dataset_kinds, load_dataset, load_dataset_module
from hashbench.errors import HashbenchError


@pytest.mark.parametrize("kind", dataset_kinds())
def test_every_data_set_says_what_it_is(kind):
    module = load_dataset_module(kind)
    assert module.TITLE
    assert module.LICENCE
    assert isinstance(module.CITATION, str)
    for spec in module.FILES:
        assert spec.urls or spec.by_hand
        assert all(url.startswith(("http://", "https://")) for url in spec.urls)
        assert spec.md5 is None or len(bytes.fromhex(spec.md5)) == 16
        assert not spec.name.startswith("/")
        assert ".." not in spec.name


def test_unknown_kinds_and_options_are_named_with_what_is_allowed(source):
    with pytest.raises(HashbenchError, match=r"unknown data set kind 'cifar11' \(allowed: cifar10, digits, "):
        load_dataset_module("cifar11")
    with pytest.raises(
        HashbenchError, match=r"tiny \(kind imagefolder\): .*'folder' \(its options: file, sha256, on_bad"
    ):
        load_dataset("imagefolder", source, {"file": "x", "folder": "y"})
    with pytest.raises(HashbenchError, match="missing a required argument: 'concepts'"):
        load_dataset("nuswide", source, {})
    assert len(load_dataset("digits", source, {})) == 1797


def test_no_data_set_imports_torch():
    program = (
        "import sys; from hashbench.data.registry import *; "
        "[load_dataset_module(kind) for kind in dataset_kinds()]; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_files_are_searched_in_the_shared_folder_first(tmp_path, monkeypatch, server):
    monkeypatch.chdir(tmp_path)
    spec = server.spec("file.bin", b"content")
    monkeypatch.setenv("HASHBENCH_DATA", str(tmp_path / "lab"))
    source = Source.default("tiny")
    assert source.fetch(spec) == tmp_path / "lab" / "file.bin"
    monkeypatch.delenv("HASHBENCH_DATA")
    assert Source.default("tiny").fetch(spec).parent.name == "data"
    (tmp_path / "lab" / "file.bin").unlink()
    assert source.fetch(spec).parent.name == "data"
    with pytest.raises(HashbenchError, match=r"tiny: .*lab/x\.zip or data/x\.zip is missing; make it"):
        source.find("x.zip", "make it")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.zeros((3, 2))}, "labels must be bool"),
        ({"class_names": ("a",)}, "labels must be bool"),
        ({"fold": np.array([0, 1, 2], np.int8)}, "fold must be int8"),
        ({"fold": np.zeros(2, np.int8)}, "2 fold for 3 rows"),
        ({"images": np.zeros((3, 8, 8), np.uint8)}, "images must be uint8"),
        ({"files": ("a",)}, "1 files for 3 rows"),
    ],
)
def test_a_data_set_whose_parts_do_not_fit_is_refused(change, message):
    good = {
        "name": "tiny",
        "title": "Tiny",
        "labels": np.zeros((3, 2), np.bool_),
        "class_names": ("a", "b"),
        "fold": np.zeros(3, np.int8),
        "images": np.zeros((3, 8, 8, 3), np.uint8),
    }
    assert len(Dataset(**good)) == 3
    with pytest.raises(HashbenchError, match=message):
        Dataset(**{**good, **change})
