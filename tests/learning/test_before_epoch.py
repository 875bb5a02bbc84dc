"""What a training does before each epoch: it sees the weights of that moment, and its buffers live on."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hashbench.learning.networks import linear
from hashbench.learning.session import Session, Stopped
from hashbench.learning.training import Recipe, Training, minimise

N_ITEMS, N_BATCHES = 12, 3


class Remembering(nn.Module):
    """A layer that descends from its own weights of the last epoch's beginning, and counts the epochs."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.layer = linear(3, 2, generator)
        self.register_buffer("before", torch.zeros(2, 3))
        self.register_buffer("epochs", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def remember(self) -> None:
        self.before.copy_(self.layer.weight)
        self.epochs.add_(1)


def training(seed: int, seen: list[Tensor]) -> Training:
    generator = torch.Generator().manual_seed(seed)
    network, rows = Remembering(generator), torch.randn((N_ITEMS, 3), generator=generator)

    def remember() -> None:
        seen.append(network.layer.weight.detach().clone())
        network.remember()

    def loss_terms(batch: Tensor) -> dict[str, Tensor]:
        gap = (network.layer.weight - network.before).square().sum()
        return {"loss": gap + network.layer(batch).square().mean() * network.epochs}

    return Training(
        network,
        lambda batch: (rows[batch],),
        loss_terms,
        N_ITEMS,
        Recipe("adam", 0.01, N_ITEMS // N_BATCHES, 4),
        generator,
        "a test",
        before_epoch=remember,
    )


def trained(seeds: Sequence[int], session: Session) -> tuple[list[nn.Module], list[list[Tensor]]]:
    seen: list[list[Tensor]] = [[] for _ in seeds]
    trainings = [training(seed, weights) for seed, weights in zip(seeds, seen, strict=True)]
    minimise(trainings, session)
    return [each.network for each in trainings], seen


def test_it_runs_once_an_epoch_and_sees_the_weights_of_that_moment():
    (network,), (seen,) = trained([0], Session())
    assert len(seen) == 4
    assert int(network.epochs) == 4
    assert torch.equal(seen[0], training(0, []).network.layer.weight)
    assert all(not torch.equal(early, late) for early, late in itertools.pairwise(seen))
    assert torch.equal(network.before, seen[-1])


def test_trainings_side_by_side_have_one_each():
    networks, seen = trained([0, 1], Session())
    for seed, network, weights in zip((0, 1), networks, seen, strict=True):
        (alone,), (weights_alone,) = trained([seed], Session())
        torch.testing.assert_close(weights, weights_alone)
        assert int(network.epochs) == 4
        torch.testing.assert_close(network.state_dict(), alone.state_dict())


@pytest.mark.parametrize("seeds", [[0], [0, 1]], ids=["alone", "side by side"])
@pytest.mark.parametrize("n_steps", [1, 3, 4, 8])
def test_a_training_that_is_taken_up_remembers_what_it_had_done(seeds, n_steps):
    checkpoint, steps = InMemory(), itertools.count(1)
    with contextlib.suppress(Stopped):
        trained(seeds, Session(checkpoint=checkpoint, stopping=lambda: next(steps) == n_steps))
    resumed, seen = trained(seeds, Session(checkpoint=checkpoint))
    for network, whole in zip(resumed, trained(seeds, Session())[0], strict=True):
        for name, value in network.state_dict().items():
            assert torch.equal(value, whole.state_dict()[name]), name
    epochs_left = 4 - -(-n_steps // N_BATCHES)
    assert [len(weights) for weights in seen] == [epochs_left] * len(seeds)


class InMemory:
    """A checkpoint in memory."""

    kept = None

    def read(self):
        return self.kept

    def write(self, arrays, about):
        self.kept = {name: np.array(value) for name, value in arrays.items()}, dict(about)
