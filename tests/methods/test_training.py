"""The training loop: batches, curves, schedules and losses that are not finite; and the drawing of views."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from hashbench.errors import HashbenchError
from hashbench.methods.training import draw_view_pairs, minimise, two_views
from hashbench.seeding import torch_generator


def _run(n_items, batch_size, epochs, *, terms=None, seed=0, scheduler=None, **options):
    """A run on one weight: the batches seen, the log, the weight and the optimizer."""
    weight = nn.Parameter(torch.tensor(4.0))
    batches: list[list[int]] = []

    def loss_terms(batch):
        batches.append(batch.tolist())
        return {"square": weight**2} if terms is None else terms(weight, batch)

    optimizer = torch.optim.SGD([weight], lr=0.1)
    log = minimise(
        loss_terms,
        optimizer,
        n_items=n_items,
        batch_size=batch_size,
        epochs=epochs,
        generator=torch_generator(seed),
        scheduler=None if scheduler is None else scheduler(optimizer),
        **options,
    )
    return batches, log, weight, optimizer


@pytest.mark.parametrize(
    ("n_items", "batch_size", "sizes"), [(10, 5, [5, 5]), (11, 5, [5, 5]), (9, 5, [5]), (3, 5, [3])]
)
def test_an_epoch_sees_whole_batches_without_repeats(n_items, batch_size, sizes):
    batches, _, _, _ = _run(n_items, batch_size, 3)
    assert [len(batch) for batch in batches] == sizes * 3
    for epoch in range(3):
        seen = list(itertools.chain(*batches[epoch * len(sizes) : (epoch + 1) * len(sizes)]))
        assert len(set(seen)) == len(seen)
        assert set(seen) <= set(range(n_items))


def test_every_epoch_has_its_own_order_and_the_seed_decides_it():
    first, again, other = (_run(20, 20, 2, seed=seed)[0] for seed in (1, 1, 2))
    assert first == again != other
    assert first[0] != first[1]
    assert sorted(first[0]) == list(range(20))


def test_every_item_is_left_out_now_and_then_not_always_the_same():
    batches, _, _, _ = _run(5, 4, 60)
    left_out = {(set(range(5)) - set(batch)).pop() for batch in batches}
    assert left_out == set(range(5))


def test_curves_are_means_over_the_batches_of_an_epoch():
    def terms(weight, batch):
        return {"rows": batch.double().sum() + 0 * weight, "two": 2 + 0 * weight}

    _, log, _, _ = _run(6, 2, 2, terms=terms)
    assert log.curves == {"rows": [5.0, 5.0], "two": [2.0, 2.0]}


def test_the_sum_of_all_terms_descends():
    def terms(weight, batch):
        return {"a": weight, "b": 2 * weight}

    _, _, weight, _ = _run(4, 4, 1, terms=terms)
    assert float(weight.detach()) == pytest.approx(4 - 0.1 * 3)


def test_gradients_do_not_pile_up():
    _, log, weight, _ = _run(8, 4, 1)
    assert float(weight.detach()) == pytest.approx(4 * 0.8 * 0.8)
    assert log.curves["square"] == [pytest.approx((4**2 + 3.2**2) / 2)]


def test_the_norm_of_the_gradient_is_clipped():
    _, _, weight, _ = _run(4, 4, 1, clip_norm=1.0)
    assert float(weight.detach()) == pytest.approx(4 - 0.1, rel=1e-4)


def test_the_schedule_steps_once_an_epoch():
    def halving(optimizer):
        return torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)

    _, _, _, optimizer = _run(8, 2, 4, scheduler=halving)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1 / 4)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_the_fit_before_the_step(bad):
    stepped = []

    def terms(weight, batch):
        stepped.append(float(weight.detach()))
        return {"fine": weight, "broken": weight * (bad if len(stepped) == 4 else 1)}

    with pytest.raises(
        HashbenchError, match=r"MINE: the loss is not finite in epoch 1, batch 1 \(fine .*, broken .*\)"
    ):
        _run(4, 2, 3, terms=terms, description="MINE")
    assert len(stepped) == 4


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
    one, other = two_views(mapped, batch, torch_generator(3))
    assert one.dtype == other.dtype == torch.float32
    assert one.shape == other.shape == (3, 2, 4)
    chosen = draw_view_pairs(3, 3, torch_generator(3))
    for drawn, view in zip((one, other), chosen, strict=True):
        for place, row in enumerate(batch.tolist()):
            assert np.array_equal(drawn[place].numpy(), views[view[place], row].astype(np.float32))
