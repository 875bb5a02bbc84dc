"""What a step draws of the train rows: stored views of them, or fresh pictures where the backbone is trained."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hashbench.errors import HashbenchError
from hashbench.learning.views import FreshViews, Pictures, StoredViews, draw_view_pairs, images_of, train_rows
from hashbench.seeding import torch_generator
from hashbench.types import TrainView


def test_view_pairs_differ_and_are_uniform():
    first, second = draw_view_pairs(4, 60_000, torch_generator(0))
    assert (first != second).all()
    counts = np.zeros((4, 4))
    np.add.at(counts, (first.numpy(), second.numpy()), 1)
    off_diagonal = counts[~np.eye(4, dtype=bool)]
    np.testing.assert_allclose(off_diagonal / 60_000, 1 / 12, rtol=0.05)


@pytest.mark.parametrize("n_views", [0, 1])
def test_one_view_is_not_enough(n_views):
    with pytest.raises(HashbenchError, match=f"at least 2 views an image, this run has {n_views}"):
        draw_view_pairs(n_views, 3, torch_generator(0))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_two_views_are_of_the_images_of_the_batch(dtype, tmp_path):
    views = np.arange(3 * 5 * 2 * 4, dtype=dtype).reshape(3, 5, 2, 4)
    np.save(tmp_path / "views.npy", views)
    mapped = np.load(tmp_path / "views.npy", mmap_mode="r")
    batch = torch.tensor([4, 0, 2])
    one, other = StoredViews(TrainView(np.arange(5), view_tokens=mapped), "view_tokens", "cpu").two(
        batch, torch_generator(3)
    )
    assert one.dtype == other.dtype == torch.float32
    assert one.shape == other.shape == (3, 2, 4)
    chosen = draw_view_pairs(3, 3, torch_generator(3))
    for drawn, view in zip((one, other), chosen, strict=True):
        for place, row in enumerate(batch.tolist()):
            assert np.array_equal(drawn[place].numpy(), views[view[place], row].astype(np.float32))


def test_one_view_is_of_the_images_of_the_batch():
    views = np.arange(3 * 5 * 4, dtype=np.float32).reshape(3, 5, 4)
    batch = torch.tensor([4, 0, 2])
    drawn = StoredViews(TrainView(np.arange(5), views=views), "views", "cpu").one(batch, torch_generator(3))
    chosen = torch.randint(3, (3,), generator=torch_generator(3))
    assert np.array_equal(drawn.numpy(), views[chosen.numpy(), batch.numpy()])


def test_train_rows_are_a_copy():
    pooled = np.ones((4, 2), dtype=np.float32)
    train_rows(TrainView(np.arange(4), pooled=pooled), "pooled", "cpu").zero_()
    assert (pooled == 1).all()


def test_stored_views_are_of_the_pooled_features_unless_it_is_said(transformer):
    frozen, batch = transformer.frozen, torch.tensor([4, 0, 2])
    pooled, tokens = images_of(frozen, "cpu"), images_of(frozen, "cpu", "view_tokens")
    assert isinstance(pooled, StoredViews)
    assert pooled.one(batch, torch_generator(3)).shape == (3, 32)
    assert tokens.one(batch, torch_generator(3)).shape == (3, 4, 32)
    for images in (pooled, tokens):
        assert np.array_equal(images.plain(batch).numpy(), frozen.pooled[[4, 0, 2]])


def test_a_backbone_in_training_gets_pictures_of_the_rows_of_the_batch(transformer):
    train, backbone, batch = transformer.train, transformer.backbone, torch.tensor([4, 0, 2])
    images, chosen = images_of(train, "cpu", "view_tokens"), [4, 0, 2]
    assert isinstance(images, FreshViews)
    plain = images.plain(batch)
    first, second = images.two(batch, torch_generator(3))
    (one, two), single = draw_view_pairs(2**31, 1, torch_generator(3)), images.one(batch, torch_generator(5))
    lone = int(torch.randint(2**31, (), generator=torch_generator(5)))
    assert torch.equal(plain, backbone.prepare(train.images[chosen]))
    for found, view in ((first, int(one)), (second, int(two)), (single, lone)):
        assert torch.equal(found, backbone.augment(train.images[chosen], train.rows[chosen], view))
    assert all(isinstance(found, Pictures) for found in (plain, first, second, single))
    assert not torch.equal(first, second)


def test_pictures_are_augmented_afresh_at_every_step(transformer):
    images, generator = images_of(transformer.train, "cpu"), torch_generator(0)
    drawn = [*images.two(torch.arange(5), generator), *images.two(torch.arange(5), generator)]
    assert not any(torch.equal(a, b) for number, a in enumerate(drawn) for b in drawn[:number])
