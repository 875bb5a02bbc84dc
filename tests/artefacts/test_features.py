"""Features and weights on disk: which arrays are there, what they were made from, and what reading them finds out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest
from helpers import flip_a_byte
from safetensors.numpy import save_file

from hashbench.artefacts import features, store, weights
from hashbench.artefacts.dataset import write_dataset
from hashbench.artefacts.layout import Layout
from hashbench.artefacts.split import write_split
from hashbench.data.base import Dataset
from hashbench.errors import HashbenchError
from hashbench.types import Array, Split

POOLED = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
N_VIEWS = 2
MADE_FROM = {"code": "abc", "views": N_VIEWS}
IMAGES = np.random.default_rng(1).integers(256, size=(30, 2, 2, 3), dtype=np.uint8)


@pytest.fixture
def views(split: Split) -> Array:
    return np.random.default_rng(2).normal(size=(N_VIEWS * len(split.train), 4)).astype(np.float32)


@pytest.fixture(autouse=True)
def written(layout: Layout, split: Split, views: Array) -> None:
    """The features of 30 images, without tokens."""
    write_split(layout.split("digits"), split)
    labels = np.ones((30, 1), dtype=np.bool_)
    write_dataset(layout, Dataset("digits", "Digits", labels, ("a",), np.zeros(30, dtype=np.int8), IMAGES))
    folder = layout.features("digits", "vit")
    for name, rows in (("pooled", POOLED), ("views", views)):
        features.write_blocks(folder, {name: (4,)}, len(rows), MADE_FROM, in_blocks(name, rows))
    features.write_record(layout, "digits", "vit", dict.fromkeys(("pooled", "views"), MADE_FROM))


def in_blocks(name: str, rows: Array, size: int = 7):
    def blocks(start: int) -> Iterator[Mapping[str, Array]]:
        for first in range(start, len(rows), size):
            yield {name: rows[first : first + size]}

    return blocks


def test_features_come_back(layout: Layout, split: Split, views: Array) -> None:
    found = features.open_features(layout, "digits", "vit", frozenset({"pooled", "views", "images"}))
    assert found.split.digest == split.digest
    assert np.array_equal(found.train.rows, split.train)
    assert np.array_equal(found.train.pooled, POOLED[split.train])
    assert np.array_equal(found.train.views, views.reshape(N_VIEWS, len(split.train), 4))
    assert np.array_equal(found.train.images, IMAGES[split.train])
    items = found.items(split.query)
    assert items.provides == {"pooled", "token_mean", "images"}
    assert np.array_equal(items.pooled, POOLED[split.query])
    assert np.array_equal(items.images, IMAGES[split.query])


def test_what_a_method_does_not_need_is_not_opened(layout: Layout) -> None:
    flip_a_byte(layout.features("digits", "vit") / "views.npy")
    found = features.open_features(layout, "digits", "vit", frozenset({"pooled"}))
    assert found.train.provides == {"pooled", "token_mean"}


@pytest.mark.parametrize("name", ["pooled.npy", "pooled.npy.json", "views.npy", "views.npy.json"])
def test_damage_is_refused_and_made_again(layout: Layout, name: str, caplog: pytest.LogCaptureFixture) -> None:
    folder = layout.features("digits", "vit")
    assert features.missing_arrays(folder, ("pooled", "views"), MADE_FROM) == []
    flip_a_byte(folder / name)
    with pytest.raises(store.DamagedError, match=f"{name} is damaged"):
        features.open_features(layout, "digits", "vit", frozenset({"pooled", "views"}))
    with caplog.at_level("WARNING", logger="hashbench"):
        assert features.missing_arrays(folder, ("pooled", "views"), MADE_FROM) == [name.partition(".")[0]]
    assert f"{folder / name} is damaged" in caplog.text


def test_arrays_made_from_something_else_are_missing(layout: Layout) -> None:
    folder = layout.features("digits", "vit")
    assert features.missing_arrays(folder, ("pooled",), {**MADE_FROM, "views": 3}) == ["pooled"]


def test_blocks_go_on_after_the_finished_rows(layout: Layout) -> None:
    def broken_off(start: int) -> Iterator[Mapping[str, Array]]:
        yield {"pooled": POOLED[:7]}
        raise KeyboardInterrupt

    asked = []

    def the_rest(start: int) -> Iterator[Mapping[str, Array]]:
        asked.append(start)
        return in_blocks("pooled", POOLED)(start)

    folder = layout.features("digits", "other")
    with pytest.raises(KeyboardInterrupt):
        features.write_blocks(folder, {"pooled": (4,)}, 30, MADE_FROM, broken_off)
    features.write_blocks(folder, {"pooled": (4,)}, 30, MADE_FROM, the_rest)
    assert asked == [7]
    assert np.array_equal(store.open_array(folder / "pooled.npy"), POOLED)


def test_the_digest_of_features_is_that_of_their_content(layout: Layout) -> None:
    before = features.read_record(layout, "digits", "vit")
    assert before.made_from == {"pooled": MADE_FROM, "views": MADE_FROM}
    other_code = {**MADE_FROM, "code": "abd"}
    assert features.write_record(layout, "digits", "vit", {"pooled": other_code, "views": MADE_FROM}) == before.digest
    folder = layout.features("digits", "vit")
    store.write_array(folder / "pooled.npy", POOLED + 1, {})
    assert features.write_record(layout, "digits", "vit", before.made_from) != before.digest


def test_a_damaged_record_is_refused(layout: Layout) -> None:
    path = layout.features("digits", "vit") / "features.json"
    flip_a_byte(path)
    with pytest.raises(store.DamagedError, match=r"features\.json is damaged"):
        features.read_record(layout, "digits", "vit")


def test_every_file_that_is_opened_is_listed(layout: Layout) -> None:
    names = {path.name for path in features.files_of_features(layout, "digits", "vit", frozenset({"views", "images"}))}
    assert names == {
        "digits.safetensors", "features.json", "pooled.npy", "pooled.npy.json", "views.npy", "views.npy.json",
        "images.npy", "images.npy.json", "labels.safetensors", "labels.safetensors.json",
    }  # fmt: skip


# Embeddings of a vision-language model.

TEXTS = np.random.default_rng(3).normal(size=(6, 4)).astype(np.float32)
CLIP = {"clip_pooled", "clip_views", "clip_concepts", "clip_nouns"}


@pytest.fixture
def joint(layout: Layout) -> Layout:
    """The same features, by a vision-language model with two banks of texts."""
    folder, by = layout.features("digits", "vit"), {"weights": "f" * 64}
    features.write_texts(folder, "concepts", TEXTS, by)
    features.write_texts(folder, "nouns", TEXTS[::-1], by)
    made_from = {name: {**MADE_FROM, **by} for name in ("pooled", "views")} | {"concepts": by, "nouns": by}
    features.write_record(layout, "digits", "vit", made_from)
    return layout


def test_features_of_a_vision_language_model_are_its_embeddings(joint: Layout, split: Split) -> None:
    found = features.open_features(joint, "digits", "vit", frozenset(CLIP))
    train, items = found.train, found.items(split.query)
    assert train.provides >= CLIP
    assert np.array_equal(train.clip_pooled, POOLED[split.train])
    assert train.clip_views.shape == (N_VIEWS, len(split.train), 4)
    assert np.array_equal(train.clip_concepts, TEXTS)
    assert np.array_equal(train.clip_nouns, TEXTS[::-1])
    assert set(train.embedded_by) == CLIP
    assert set(train.embedded_by.values()) == {"vit, weights ffffffffffff"}
    assert np.array_equal(items.clip_pooled, POOLED[split.query])


def test_only_the_embeddings_that_are_needed_are_given(joint: Layout, split: Split) -> None:
    found = features.open_features(joint, "digits", "vit", frozenset({"pooled", "clip_pooled", "clip_concepts"}))
    assert found.train.provides == {"pooled", "token_mean", "clip_pooled", "clip_concepts"}
    plain = features.open_features(joint, "digits", "vit", frozenset({"pooled", "views"}))
    assert not plain.train.provides & CLIP
    assert plain.items(split.query).clip_pooled is None


def test_features_of_another_backbone_never_stand_in(layout: Layout, split: Split) -> None:
    """Nor do texts that lie there from a time when it had some."""
    features.write_texts(layout.features("digits", "vit"), "concepts", TEXTS, {"weights": "f" * 64})
    found = features.open_features(layout, "digits", "vit", frozenset({"pooled", *CLIP}))
    assert not found.train.provides & CLIP
    assert found.items(split.query).clip_pooled is None


def test_each_embedding_says_which_weights_made_it(joint: Layout) -> None:
    made_from = features.read_record(joint, "digits", "vit").made_from
    features.write_record(joint, "digits", "vit", {**made_from, "concepts": {"weights": "0" * 64}})
    train = features.open_features(joint, "digits", "vit", frozenset(CLIP)).train
    assert train.embedded_by["clip_concepts"] == "vit, weights 000000000000"
    assert train.embedded_by["clip_pooled"] == "vit, weights ffffffffffff"


def test_damaged_texts_are_refused(joint: Layout) -> None:
    flip_a_byte(joint.features("digits", "vit") / "nouns.npy")
    with pytest.raises(store.DamagedError, match=r"nouns\.npy is damaged"):
        features.open_features(joint, "digits", "vit", frozenset(CLIP))


def test_every_file_of_embeddings_that_is_opened_is_listed(joint: Layout) -> None:
    names = {path.name for path in features.files_of_features(joint, "digits", "vit", frozenset(CLIP))}
    assert {"pooled.npy", "views.npy", "concepts.npy", "nouns.npy", "nouns.npy.json"} <= names


# Weights.


def test_a_weights_record_comes_back_and_is_refused_when_damaged(layout: Layout) -> None:
    file = layout.root / "published.safetensors"
    save_file({"w": POOLED}, file)
    weights.write_weights_record(layout, ("digits", "vit"), file, None)
    first = weights.read_weights_record(layout, "digits", "vit")
    assert (first.file, first.made_from) == ("published.safetensors", None)
    save_file({"w": POOLED}, file, {"another": "header"})
    weights.write_weights_record(layout, ("digits", "vit"), file, {"seed": 1})
    assert weights.read_weights_record(layout, "digits", "vit") == first.model_copy(update={"made_from": {"seed": 1}})
    save_file({"w": POOLED + 1}, file)
    weights.write_weights_record(layout, ("digits", "vit"), file, None)
    assert weights.read_weights_record(layout, "digits", "vit").tensors != first.tensors
    flip_a_byte(layout.weights_record("digits", "vit"))
    with pytest.raises(store.DamagedError, match=r"digits-vit\.json is damaged"):
        weights.read_weights_record(layout, "digits", "vit")
    layout.weights_record("digits", "vit").unlink()
    with pytest.raises(HashbenchError, match=r"digits-vit\.json is missing; run `dvc repro`"):
        weights.read_weights_record(layout, "digits", "vit")
