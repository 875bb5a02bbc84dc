"""Stored views of the train rows, and which of them a step draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hashbench.errors import HashbenchError
from hashbench.learning.views import StoredViews, draw_view_pairs, train_rows
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
