"""What a step does to a backbone that is trained: at which rate, to which layers, and again after an interruption."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from hashbench.errors import HashbenchError
from hashbench.execution.sessions import CheckpointFiles
from hashbench.learning.networks import HeadMethod
from hashbench.learning.session import Session, Stopped
from hashbench.types import Array, FitLog

N_BITS = 8
RUNS = {
    "BatchNorm kept": ("convolutions", {}, "evaluation"),
    "BatchNorm trained": ("convolutions", {}, "training"),
    "dropout": ("transformer", {"proj_drop_rate": 0.2, "drop_path_rate": 0.2}, "evaluation"),
}


@pytest.fixture(scope="module")
def run_called(make_run):
    return cache(lambda name: make_run(RUNS[name][0], RUNS[name][1], batch_norm=RUNS[name][2]))


def change(method: HeadMethod, weights) -> dict[str, Array]:
    """By how much each weight and statistic of the network was changed."""
    state = method.state_dict()
    return {name: state[f"backbone.network.{name}"] - value.numpy() for name, value in load_file(weights).items()}


@pytest.fixture(scope="module")
def undisturbed(run_called, new_method) -> Callable[[str, str], tuple[FitLog, dict[str, Array]]]:
    @cache
    def fit(name: str, run: str) -> tuple[FitLog, dict[str, Array]]:
        method = new_method(name)
        return method.fit(run_called(run).train, N_BITS, 3, Session()), method.state_dict()

    return fit


# Two batches an epoch, two epochs; deepbit has as many again in its second phase.
@pytest.mark.parametrize(
    ("name", "n_steps"),
    [(name, n) for name in ("wch", "nsh", "contrastive", "hhch") for n in (1, 3)]
    + [("deepbit", 1), ("deepbit", 4), ("deepbit", 5), ("deepbit", 7)],
)
@pytest.mark.parametrize("run", RUNS)
def test_a_fit_that_is_taken_up_from_its_file_gives_the_same_bits(
    run_called, new_method, undisturbed, tmp_path, run, name, n_steps
):
    train, steps = run_called(run).train, itertools.count(1)
    checkpoint = CheckpointFiles(tmp_path / "fit.safetensors", "the same")
    session = Session(checkpoint=checkpoint, stopping=lambda: next(steps) == n_steps)
    with pytest.raises(Stopped):
        new_method(name).fit(train, N_BITS, 3, session)
    method, again = new_method(name), CheckpointFiles(tmp_path / "fit.safetensors", "the same")
    log = method.fit(train, N_BITS, 3, Session(checkpoint=again))
    expected_log, expected = undisturbed(name, run)
    assert log == expected_log
    differing = [each for each, array in method.state_dict().items() if not np.array_equal(array, expected[each])]
    assert differing == []


def test_statistics_of_batch_norm_stay_or_move_as_the_run_says(run_called, new_method):
    for run, moves in (("BatchNorm kept", False), ("BatchNorm trained", True)):
        method = new_method("contrastive")
        method.fit(run_called(run).train, N_BITS, 3, Session())
        found = change(method, run_called(run).weights)
        statistics = {name: delta for name, delta in found.items() if "running" in name}
        assert len(statistics) == 26
        assert all(delta.any() == moves for delta in statistics.values())
        assert found["blocks.2.0.bn1.weight"].any(), "scale and shift are weights, and trained in either case"


def test_images_are_encoded_by_the_statistics_that_training_left(run_called, new_method):
    run = run_called("BatchNorm trained")
    method = new_method("contrastive")
    method.fit(run.train, N_BITS, 3, Session())
    network = run.backbone.build()
    prefix = "backbone."
    state = {name.removeprefix(prefix): torch.from_numpy(array) for name, array in method.state_dict().items()}
    network.load_state_dict({name: value for name, value in state.items() if name.startswith("network.")})
    with torch.no_grad():
        pooled = network.eval()(run.backbone.prepare(run.items.images)).pooled
        outputs = method.head(pooled).numpy()
    clear = np.abs(outputs) > 1e-4 * np.abs(outputs).max()
    assert np.array_equal(method.encode(run.items)[clear], (outputs >= 0)[clear])
    assert clear.mean() > 0.9


@pytest.mark.parametrize(
    ("last_layers", "trained"),
    [(1, ("blocks.4.", "conv_head", "bn2")), (2, ("blocks.3.", "blocks.4.", "conv_head", "bn2"))],
)
def test_the_last_layers_are_trained_alone(make_run, new_method, last_layers, trained):
    run, method = make_run("convolutions", last_layers=last_layers), new_method("contrastive")
    method.fit(run.train, N_BITS, 3, Session())
    found = change(method, run.weights)
    weights = {name for name in found if "running" not in name and "num_batches" not in name}
    assert {name for name in found if found[name].any()} == {name for name in weights if name.startswith(trained)}


def test_more_layers_than_there_are_are_refused(make_run, new_method):
    run = make_run("convolutions", last_layers=7)
    with pytest.raises(HashbenchError, match=r"^test_efficientnet has 6 groups of layers; last_layers must be 1 to 6$"):
        new_method("contrastive").fit(run.train, N_BITS, 3, Session())


def one_step(run, new_method, name: str, **changes) -> tuple[dict[str, Array], dict[str, Array]]:
    """By how much a single step changes the backbone and the head."""
    before, after = new_method(name, **changes, batch_size=len(run.train), epochs=0), None
    before.fit(run.train, N_BITS, 3, Session())
    after = new_method(name, **changes, batch_size=len(run.train), epochs=1)
    after.fit(run.train, N_BITS, 3, Session())
    heads = (method.head.state_dict() for method in (before, after))
    start, end = ({each: value.numpy() for each, value in head.items()} for head in heads)
    return change(after, run.weights), {each: end[each] - start[each] for each in start}


def largest(changes: dict[str, Array]) -> float:
    return max(float(np.abs(delta).max()) for name, delta in changes.items() if "num_batches" not in name)


@pytest.mark.parametrize("rate", [1e-3, 1e-2])
def test_a_first_step_of_adam_moves_the_backbone_by_its_own_rate(make_run, new_method, rate):
    """Adam's first step is the rate times the sign of the gradient, wherever that is not tiny."""
    run = make_run("convolutions", learning_rate=rate)
    backbone, head = one_step(run, new_method, "contrastive", learning_rate=5e-3)
    assert largest(backbone) == pytest.approx(rate, rel=1e-3)
    assert largest(head) == pytest.approx(5e-3, rel=1e-3)


def test_a_step_of_sgd_moves_the_backbone_in_proportion_to_its_own_rate(make_run, new_method):
    slow, fast = (make_run("convolutions", learning_rate=rate) for rate in (1e-4, 4e-4))
    (slow_backbone, slow_head), (fast_backbone, fast_head) = (
        one_step(run, new_method, "hashsim", learning_rate=1e-3) for run in (slow, fast)
    )
    assert largest(fast_backbone) == pytest.approx(4 * largest(slow_backbone), rel=1e-2)
    assert largest(fast_head) == largest(slow_head) > 0


def test_the_loss_of_wch_falls_with_its_weights_on(make_run, new_method):
    """The weights pass gradients too, so that the backbone also moves its own targets."""
    for weights in ("column", "row"):
        run = make_run("convolutions", learning_rate=1e-3)
        log = new_method("wch", weights=weights, epochs=12, learning_rate=3e-3).fit(run.train, N_BITS, 3, Session())
        losses = log.curves["loss"]
        assert np.mean(losses[-3:]) < np.mean(losses[:3]) - 0.1
