"""The training loop: batches, curves, optimisers, schedules, checkpoints, and losses that are not finite."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from hashbench.errors import HashbenchError
from hashbench.learning.session import Session, Stopped
from hashbench.learning.training import Recipe, Training, minimise
from hashbench.seeding import torch_generator

PLAIN = Session()


class Weight(nn.Module):
    """A network of one weight."""

    def __init__(self, value=4.0):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))


def _run(n_items, batch_size, epochs, *, terms=None, seed=0, description="test", session=PLAIN, **recipe):
    """A run on one weight: the batches seen, the log and the weight."""
    network, batches = Weight(), []

    def loss_terms(batch):
        batches.append(batch.tolist())
        return {"square": network.value**2} if terms is None else terms(network.value, batch)

    recipe = Recipe("sgd", 0.1, batch_size, epochs, **recipe)
    training = Training(
        network, lambda batch: (batch,), loss_terms, n_items, recipe, torch_generator(seed), description
    )
    log = minimise([training], session)[0]
    return batches, log, network.value


@pytest.mark.parametrize(
    ("n_items", "batch_size", "sizes"), [(10, 5, [5, 5]), (11, 5, [5, 5]), (9, 5, [5]), (3, 5, [3])]
)
def test_an_epoch_sees_whole_batches_without_repeats(n_items, batch_size, sizes):
    batches, _, _ = _run(n_items, batch_size, 3)
    assert [len(batch) for batch in batches] == sizes * 3
    for epoch in range(3):
        seen = list(itertools.chain(*batches[epoch * len(sizes) : (epoch + 1) * len(sizes)]))
        assert len(set(seen)) == len(seen)
        assert set(seen) <= set(range(n_items))


@pytest.mark.parametrize(
    ("n_items", "batch_size", "sizes"), [(10, 5, [5, 5]), (11, 5, [5, 5, 1]), (9, 5, [5, 4]), (3, 5, [3])]
)
def test_an_epoch_sees_every_item_once_where_the_last_batch_is_kept(n_items, batch_size, sizes):
    batches, log, _ = _run(n_items, batch_size, 3, keeps_last_batch=True)
    assert [len(batch) for batch in batches] == sizes * 3
    assert Recipe("sgd", 0.1, batch_size, 3, keeps_last_batch=True).batches(n_items) == len(sizes)
    assert len(log.curves["square"]) == 3
    for epoch in range(3):
        seen = itertools.chain(*batches[epoch * len(sizes) : (epoch + 1) * len(sizes)])
        assert sorted(seen) == list(range(n_items))


def test_a_kept_last_batch_counts_as_one_of_the_batches():
    def terms(weight, batch):
        return {"rows": torch.tensor(float(len(batch))) + 0 * weight}

    assert _run(5, 2, 1, terms=terms, keeps_last_batch=True)[1].curves == {"rows": [pytest.approx(5 / 3)]}
    assert _run(5, 2, 1, terms=terms)[1].curves == {"rows": [2.0]}


def test_every_epoch_has_its_own_order_and_the_seed_decides_it():
    first, again, other = (_run(20, 20, 2, seed=seed)[0] for seed in (1, 1, 2))
    assert first == again != other
    assert first[0] != first[1]
    assert sorted(first[0]) == list(range(20))


def test_every_item_is_left_out_now_and_then_not_always_the_same():
    batches, _, _ = _run(5, 4, 60)
    left_out = {(set(range(5)) - set(batch)).pop() for batch in batches}
    assert left_out == set(range(5))


def test_curves_are_means_over_the_batches_of_an_epoch():
    def terms(weight, batch):
        return {"rows": batch.double().sum() + 0 * weight, "two": 2 + 0 * weight}

    _, log, _ = _run(6, 2, 2, terms=terms)
    assert log.curves == {"rows": [5.0, 5.0], "two": [2.0, 2.0]}


def test_the_sum_of_all_terms_descends():
    def terms(weight, batch):
        return {"a": weight, "b": 2 * weight}

    _, _, weight = _run(4, 4, 1, terms=terms)
    assert float(weight.detach()) == pytest.approx(4 - 0.1 * 3)


def test_gradients_do_not_pile_up():
    _, log, weight = _run(8, 4, 1)
    assert float(weight.detach()) == pytest.approx(4 * 0.8 * 0.8)
    assert log.curves["square"] == [pytest.approx((4**2 + 3.2**2) / 2)]


def test_the_norm_of_the_gradient_is_clipped():
    _, _, weight = _run(4, 4, 1, clip_norm=1.0)
    assert float(weight.detach()) == pytest.approx(4 - 0.1, rel=1e-4)


def test_the_learning_rate_follows_its_schedule():
    rates = {
        name: [Recipe("sgd", 2.0, 1, 4, schedule=name, decay=0.5, decay_epochs=2).rate(epoch) for epoch in range(4)]
        for name in ("constant", "cosine", "step")
    }
    assert rates["constant"] == [2.0] * 4
    assert rates["step"] == [2.0, 2.0, 1.0, 1.0]
    assert rates["cosine"] == pytest.approx([1 + math.cos(math.pi * epoch / 4) for epoch in range(4)])


def test_every_epoch_is_trained_at_its_rate():
    def terms(weight, batch):
        return {"slope": weight}

    _, _, weight = _run(4, 2, 3, terms=terms, schedule="step", decay=0.1)
    assert float(weight.detach()) == pytest.approx(4 - 2 * (0.1 + 0.01 + 0.001))


def _reference(name, recipe, parameters):
    """The optimiser as PyTorch writes it out, without fused kernels."""
    options = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay, "foreach": False}
    if name == "sgd":
        return torch.optim.SGD(parameters, momentum=recipe.momentum, **options)
    return {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[name](parameters, eps=recipe.epsilon, **options)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_optimisers_are_those_of_pytorch(name):
    recipe = Recipe(name, 0.05, 8, 6, momentum=0.9, weight_decay=0.01, epsilon=1e-3)
    ours, theirs = (nn.Linear(5, 3, bias=False).double() for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    inputs = torch.randn(8, 5, generator=torch_generator(0), dtype=torch.float64)
    training = Training(
        ours,
        lambda batch: (inputs,),
        lambda rows: {"loss": (ours(rows) ** 2).sum()},
        8,
        recipe,
        torch_generator(1),
        "",
    )
    minimise([training], Session())
    optimizer = _reference(name, recipe, theirs.parameters())
    for _ in range(6):
        optimizer.zero_grad()
        (theirs(inputs) ** 2).sum().backward()
        optimizer.step()
    torch.testing.assert_close(ours.weight, theirs.weight, rtol=1e-9, atol=1e-12)


def test_a_weight_may_learn_at_a_rate_of_its_own():
    layer = nn.Linear(1, 1)
    before = {name: float(value.detach()) for name, value in layer.named_parameters()}

    def slopes(rows):
        return {"loss": (layer.weight + layer.bias).sum()}

    recipe, rate_of = Recipe("sgd", 0.1, 4, 1), {"weight": 1.0, "bias": 2.0}.__getitem__
    training = Training(layer, lambda batch: (batch,), slopes, 4, recipe, torch_generator(0), "", rate_of)
    minimise([training], Session())
    moved = {name: before[name] - float(value.detach()) for name, value in layer.named_parameters()}
    assert moved == {"weight": pytest.approx(0.1), "bias": pytest.approx(0.2)}


def test_whoever_watches_hears_of_every_step():
    heard = []
    session = Session(watch=lambda description, step, terms: heard.append((description, step, dict(terms))))
    _run(6, 2, 2, terms=lambda weight, batch: {"one": 1 + 0 * weight}, description="MINE", session=session)
    assert heard == [("MINE", step, {"one": 1.0}) for step in range(6)]


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


class Memory:
    """A checkpoint in memory."""

    def __init__(self):
        self.kept, self.writes = None, 0

    def read(self):
        return self.kept

    def write(self, arrays, about):
        self.kept = {name: np.array(value) for name, value in arrays.items()}, dict(about)
        self.writes += 1


N_STEPS = 4 * 7


def _noisy(name="adam", seed=3):
    """A training whose every step draws: (network, training). Seven batches an epoch, four epochs."""
    generator = torch_generator(seed)
    network = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(generator=generator)
    inputs = torch.randn(23, 6, generator=torch_generator(9))

    def draw(batch):
        return (inputs[batch] + torch.randn(len(batch), 6, generator=generator),)

    def loss_terms(rows):
        return {"loss": network(rows).square().mean(), "size": 1e-3 * network[0].weight.square().sum()}

    recipe = Recipe(name, 0.05, 3, 4, schedule="cosine", momentum=0.9, clip_norm=0.5)
    return network, Training(network, draw, loss_terms, 23, recipe, generator, "noisy")


def _stopped_after(n_steps, trainings, checkpoint, earlier=()):
    steps = itertools.count(1)
    session = Session(checkpoint=checkpoint, stopping=lambda: next(steps) == n_steps)
    with pytest.raises(Stopped):
        minimise(trainings, session, earlier)


def _same(networks, others):
    for network, other in zip(networks, others, strict=True):
        for (name, value), (_, expected) in zip(network.state_dict().items(), other.state_dict().items(), strict=True):
            assert torch.equal(value, expected), name


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("n_steps", [1, 2, 6, 7, 8, 13, 20, 27])
def test_stopped_at_any_step_and_taken_up_it_ends_in_the_same_bits(name, n_steps):
    whole, training = _noisy(name)
    expected = minimise([training], Session())
    checkpoint = Memory()
    _stopped_after(n_steps, [_noisy(name)[1]], checkpoint)
    again, training = _noisy(name)
    assert minimise([training], Session(checkpoint=checkpoint)) == expected
    _same([again], [whole])


def test_trainings_side_by_side_are_taken_up_too():
    seeds = (3, 4, 5)
    whole = [_noisy(seed=seed) for seed in seeds]
    expected = minimise([training for _, training in whole], Session())
    checkpoint = Memory()
    _stopped_after(11, [_noisy(seed=seed)[1] for seed in seeds], checkpoint)
    again = [_noisy(seed=seed) for seed in seeds]
    assert minimise([training for _, training in again], Session(checkpoint=checkpoint)) == expected
    _same([network for network, _ in again], [network for network, _ in whole])


def test_side_by_side_is_one_by_one():
    seeds = (3, 4, 5)
    # Adam would blow up the rounding of the first bias, whose true gradient behind batch normalisation is 0.
    alone, stacked = ([_noisy("sgd", seed) for seed in seeds] for _ in range(2))
    one_by_one = [minimise([training], Session())[0] for _, training in alone]
    together = minimise([training for _, training in stacked], Session())
    for log, other in zip(together, one_by_one, strict=True):
        for name, values in log.curves.items():
            assert values == pytest.approx(other.curves[name], rel=1e-4)
    for (network, _), (other, _) in zip(stacked, alone, strict=True):
        for name, value in network.state_dict().items():
            torch.testing.assert_close(value, other.state_dict()[name], rtol=2e-3, atol=2e-4, msg=name)


def test_a_second_call_of_a_fit_is_taken_up_without_repeating_the_first():
    def both(session, stop_in_second=None):
        network, first = _noisy()
        second = dataclasses.replace(first, recipe=dataclasses.replace(first.recipe, learning_rate=0.01))
        logs = [minimise([first], session)]
        if stop_in_second is not None:
            _stopped_after(stop_in_second, [second], session.checkpoint, logs)
            return None
        return network, [*logs, minimise([second], session, logs)]

    whole, expected = both(Session())
    checkpoint = Memory()
    both(Session(checkpoint=checkpoint), stop_in_second=9)
    heard = []
    session = Session(checkpoint=checkpoint, watch=lambda description, step, terms: heard.append(step))
    again, logs = both(session)
    assert logs == expected
    assert len(heard) == N_STEPS - 9, "only what was left of the second call"
    _same([again], [whole])


def test_checkpoints_are_written_now_and_then():
    checkpoint = Memory()
    minimise([_noisy()[1]], Session(checkpoint=checkpoint, seconds_between_checkpoints=0))
    assert checkpoint.writes == N_STEPS + 1
    checkpoint = Memory()
    minimise([_noisy()[1]], Session(checkpoint=checkpoint))
    assert checkpoint.writes == 1, "a short fit writes only its end"


def test_low_precision_computes_the_loss_in_it_and_keeps_the_weights():
    seen = []
    layer = nn.Linear(4, 4)

    def loss_terms(rows):
        outputs = layer(rows)
        seen.append(outputs.dtype)
        return {"loss": outputs.square().mean()}

    inputs = torch.ones(4, 4)
    recipe = Recipe("adam", 0.1, 4, 1)
    training = Training(layer, lambda batch: (inputs,), loss_terms, 4, recipe, torch_generator(0), "")
    minimise([training], Session(precision="bf16"))
    assert seen == [torch.bfloat16]
    assert layer.weight.dtype == torch.float32
