"""A sealed file that is whole and says too little, or something else, is named as damaged by every reader of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from hashbench.artefacts import dataset, features, fits, records, store, weights
from hashbench.artefacts.layout import Layout
from hashbench.artefacts.split import read_split, write_split
from hashbench.cells import Cell, FitRecord
from hashbench.data.base import Dataset
from hashbench.types import Array, Codes, Split

PAIR = ("digits", "vit")
NEEDS = frozenset({"pooled", "views", "view_tokens"})


@pytest.fixture
def readers(
    layout: Layout,
    split: Split,
    cell: Cell,
    codes: tuple[Codes, Codes],
    fit_record: FitRecord,
    evaluated: tuple[records.StoredEvaluation, dict[str, Array]],
) -> dict[str, tuple[Path, Callable[[], object]]]:
    """Every sealed file of a small profile, with what reads it."""
    images, labels = np.zeros((30, 2, 2, 3), dtype=np.uint8), np.ones((30, 1), dtype=np.bool_)
    dataset.write_dataset(layout, Dataset("digits", "Digits", labels, ("a",), np.zeros(30, dtype=np.int8), images))
    write_split(layout.split("digits"), split)
    save_file({"w": np.ones(3)}, layout.root / "w.safetensors")
    weights.write_weights_record(layout, PAIR, layout.root / "w.safetensors", {"seed": 1})
    store.write_array(layout.features(*PAIR) / "pooled.npy", np.ones((30, 4)), {})
    features.write_record(layout, *PAIR, {"pooled": {"code": "a"}})
    fits.write_fit(layout, cell, {}, dict(zip(("query", "database"), codes, strict=True)), "f" * 12, fit_record)
    records.write_evaluation(layout, cell, evaluated[1], evaluated[0])
    labels_path = layout.dataset("digits") / "labels.safetensors"
    return {
        "dataset": (store.sidecar(labels_path), lambda: dataset.read_dataset(layout, "digits")),
        "pixels": (store.sidecar(labels_path), lambda: dataset.pixels_digest(layout, "digits")),
        "weights": (layout.weights_record(*PAIR), lambda: weights.read_weights_record(layout, *PAIR)),
        "features": (layout.features(*PAIR) / "features.json", lambda: features.read_record(layout, *PAIR)),
        "fit": (store.sidecar(layout.codes(cell)), lambda: fits.read_fit(layout, cell)),
        "evaluation": (store.sidecar(layout.evaluation(cell)), lambda: records.read_evaluation(layout, cell)),
    }


@pytest.mark.parametrize("name", ["dataset", "pixels", "weights", "features", "fit", "evaluation"])
@pytest.mark.parametrize("instead", [..., 3.5, {"x": 1}], ids=["missing", "a number", "something else"])
def test_every_key_of_a_sealed_file_is_looked_at(
    readers: dict[str, tuple[Path, Callable[[], object]]], name: str, instead: object
) -> None:
    path, read = readers[name]
    read()
    said = store.read_sealed(path)
    may_be_anything = {"made_from"} if name == "weights" and isinstance(instead, dict) else set()
    for key in said.keys() - may_be_anything:
        changed = {**said, key: instead}
        store.write_sealed(path, {each: value for each, value in changed.items() if value is not ...})
        with pytest.raises(store.DamagedError) as caught:
            read()
        assert str(caught.value).startswith(f"{path} is damaged (")
        assert key in str(caught.value)
        assert str(caught.value).endswith("; delete it and run `dvc repro`")
        assert str(caught.value).isprintable()
    store.write_sealed(path, {**said, "more": 1})
    with pytest.raises(store.DamagedError, match="more: "):
        read()


@pytest.mark.parametrize("name", ["labels", "fold"])
def test_a_data_set_without_one_of_its_arrays_is_told(readers: object, layout: Layout, name: str) -> None:
    path = layout.dataset("digits") / "labels.safetensors"
    arrays, said = store.read_tensors(path), store.about(path)
    del arrays[name], said["sha256"]
    store.write_tensors(path, arrays, said)
    with pytest.raises(store.DamagedError, match=f"it has no '{name}'"):
        dataset.read_dataset(layout, "digits")


@pytest.mark.parametrize(
    ("name", "shape"),
    [("pooled", (29, 4)), ("pooled", (30,)), ("token_mean", (31, 4)), ("views", (27, 4)), ("view_tokens", (0, 2, 4))],
)
def test_features_of_other_rows_are_told(
    readers: object, layout: Layout, split: Split, name: str, shape: tuple[int, ...]
) -> None:
    assert (len(split.labels), len(split.train)) == (30, 13)
    for each, whole in (("views", (26, 4)), ("view_tokens", (26, 2, 4))):
        store.write_array(layout.features(*PAIR) / f"{each}.npy", np.ones(whole), {})
    features.open_features(layout, *PAIR, NEEDS)
    path = layout.features(*PAIR) / f"{name}.npy"
    store.write_array(path, np.ones(shape), {})
    with pytest.raises(store.DamagedError) as caught:
        features.open_features(layout, *PAIR, NEEDS)
    assert str(caught.value).startswith(f"{path} is damaged (shape {shape} for ")


@pytest.mark.parametrize("key", ["name", "digest", "classes"])
@pytest.mark.parametrize("instead", [-1, []], ids=str)
def test_a_split_that_says_something_else_is_told(readers: object, layout: Layout, key: str, instead: object) -> None:
    path = layout.split("digits")
    arrays, said = store.read_plain_tensors(path)
    store.write_plain_tensors(path, arrays, {**said, key: instead})
    with pytest.raises(store.DamagedError, match="is damaged"):
        read_split(path)
