"""What surrounds a fit: checkpoints on disk, stopping on a signal, scalars of every step."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hashbench.artefacts import store
from hashbench.config.params import load_params
from hashbench.errors import HashbenchError
from hashbench.execution.sessions import CheckpointFiles, session_of
from hashbench.learning.session import Session
from hashbench.methods.registry import load_method
from hashbench.types import TrainView

ARRAYS = {"weights": np.arange(5, dtype=np.float32)}


@pytest.fixture
def checkpoint(tmp_path):
    return CheckpointFiles(tmp_path / "cell.safetensors", "0123")


def test_the_last_write_is_read(checkpoint, tmp_path):
    assert checkpoint.read() is None
    for number in range(3):
        checkpoint.write({"weights": ARRAYS["weights"] + number}, {"epoch": number})
    for reader in (checkpoint, CheckpointFiles(tmp_path / "cell.safetensors", "0123")):
        arrays, about = reader.read()
        assert np.array_equal(arrays["weights"], ARRAYS["weights"] + 2)
        assert about == {"epoch": 2}


def test_a_checkpoint_of_something_else_is_not_read(checkpoint, tmp_path):
    checkpoint.write(ARRAYS, {})
    assert CheckpointFiles(tmp_path / "cell.safetensors", "4567").read() is None


def test_a_damaged_checkpoint_gives_way_to_the_one_before_it_and_is_named(checkpoint, tmp_path, caplog):
    checkpoint.write(ARRAYS, {"epoch": 1})
    checkpoint.write(ARRAYS, {"epoch": 2})
    damaged = tmp_path / "cell.0.safetensors"
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    with caplog.at_level("WARNING", logger="hashbench"):
        assert checkpoint.read()[1] == {"epoch": 1}
    assert str(damaged) in caplog.text


def test_a_checkpoint_that_says_too_little_is_named_and_not_used(checkpoint, tmp_path, caplog):
    checkpoint.write(ARRAYS, {"epoch": 1})
    path = tmp_path / "cell.1.safetensors"
    for key in ("fingerprint", "written", "state"):
        said = store.read_sealed(store.sidecar(path))
        store.write_sealed(store.sidecar(path), {name: value for name, value in said.items() if name != key})
        with caplog.at_level("WARNING", logger="hashbench"):
            assert checkpoint.read() is None
        assert f"{path}.json is damaged (it has no '{key}')" in caplog.text
        store.write_sealed(store.sidecar(path), said)


def test_a_write_that_is_killed_half_way_leaves_the_one_before_it(checkpoint, tmp_path):
    for epoch in (1, 2):
        checkpoint.write(ARRAYS, {"epoch": epoch})
    # The third write has replaced the data of the first, not yet its sidecar.
    store.write_tensors(tmp_path / "new.safetensors", {"weights": ARRAYS["weights"] + 1}, {})
    (tmp_path / "new.safetensors").replace(tmp_path / "cell.1.safetensors")
    assert checkpoint.read()[1] == {"epoch": 2}


def test_a_removed_checkpoint_leaves_nothing(checkpoint, tmp_path):
    checkpoint.write(ARRAYS, {})
    checkpoint.write(ARRAYS, {})
    checkpoint.remove()
    assert not list(tmp_path.iterdir())
    assert checkpoint.read() is None


def _method():
    return load_method("baselines/contrastive.py")(
        negatives="both_views", temperature=0.5, hidden=16, learning_rate=0.01, batch_size=8, epochs=4
    )


def _train():
    views = np.random.default_rng(0).normal(size=(3, 40, 6)).astype(np.float32)
    return TrainView(np.arange(40), pooled=views[0], views=views)


N_STEPS = 4 * 5


def test_killed_at_twenty_random_steps_a_fit_ends_in_the_bytes_of_an_undisturbed_one(tmp_path):
    """A child process trains and kills itself at a random step, twenty times; the checkpoint is all that is left."""
    torch.set_num_threads(1)
    undisturbed = _method()
    undisturbed.fit(_train(), 12, 5, Session())
    store.write_tensors(tmp_path / "undisturbed.safetensors", undisturbed.state_dict(), {})
    expected = (tmp_path / "undisturbed.safetensors").read_bytes()

    kills, rng = 0, np.random.default_rng(1)
    for fit in itertools.count():
        folder = tmp_path / str(fit)
        while not (folder / "model.safetensors").exists():
            kill_at = int(rng.integers(1, N_STEPS)) if kills < 20 else None
            child = os.fork()
            if child == 0:
                _fit_in_child(folder, kill_at)
            _, status = os.waitpid(child, 0)
            if kill_at is None:
                assert status == 0
            kills += os.WIFSIGNALED(status)
        assert (folder / "model.safetensors").read_bytes() == expected
        if kills >= 20:
            break
    assert kills == 20


def _fit_in_child(folder: Path, kill_at: int | None) -> None:
    steps = itertools.count(1)

    def kill() -> bool:
        if next(steps) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return False

    try:
        checkpoint = CheckpointFiles(folder / "checkpoint.safetensors", "cell")
        method = _method()
        session = Session(checkpoint=checkpoint, seconds_between_checkpoints=0, stopping=kill)
        method.fit(_train(), 12, 5, session)
        store.write_tensors(folder / "model.safetensors", method.state_dict(), {})
        os._exit(0)
    finally:
        os._exit(1)


STOPPED_BY_SIGNAL = """
import sys
sys.path[:0] = [{here!r}]
from pathlib import Path
from test_sessions import CheckpointFiles, _method, _train, load_params, session_of
from hashbench.execution.sessions import stopping_on_signals
import dataclasses, time

def slowly(description, step, terms):
    print(step, flush=True)
    time.sleep(0.05)

with stopping_on_signals() as stopping:
    session = session_of(load_params().profile("quick"), "cell", CheckpointFiles(Path(sys.argv[1]), "cell"), stopping)
    _method().fit(_train(), 12, 5, dataclasses.replace(session, watch=slowly))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_fit_at_its_next_step_with_a_checkpoint(number, tmp_path):
    script = STOPPED_BY_SIGNAL.format(here=str(Path(__file__).parent))
    path = tmp_path / "cell.safetensors"
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "0\n"
    process.send_signal(number)
    rest, errors = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "Stopped" in errors
    assert len(rest.split()) < N_STEPS - 1
    _, about = CheckpointFiles(path, "cell").read()
    assert not about["finished"]
    assert (about["epoch"], about["batch"]) != (0, 0)


def test_scalars_of_every_step_go_to_tensorboard(tmp_path, monkeypatch):
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    monkeypatch.setenv("HASHBENCH_TENSORBOARD", str(tmp_path / "board"))
    profile = load_params().profile("quick")
    checkpoint = CheckpointFiles(tmp_path / "c.safetensors", "")
    log = _method().fit(_train(), 12, 5, session_of(profile, "digits-16-0", checkpoint, lambda: False))
    events = event_accumulator.EventAccumulator(str(tmp_path / "board" / "digits-16-0")).Reload()
    values = [event.value for event in events.Scalars("loss/contrastive")]
    assert [event.step for event in events.Scalars("loss/contrastive")] == list(range(N_STEPS))
    assert np.reshape(values, (4, 5)).mean(axis=1).tolist() == pytest.approx(log.curves["contrastive"], rel=1e-5)


def test_without_tensorboard_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HASHBENCH_TENSORBOARD", str(tmp_path))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(HashbenchError, match="uv sync --extra tensorboard"):
        session_of(load_params().profile("quick"), "c", CheckpointFiles(tmp_path / "c", ""), lambda: False)


def test_a_checkpoint_holds_no_pickle(tmp_path):
    checkpoint = CheckpointFiles(tmp_path / "cell.safetensors", "cell")
    _method().fit(_train(), 12, 5, Session(checkpoint=checkpoint))
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["cell.1.safetensors", "cell.1.safetensors.json"]
    assert json.loads((tmp_path / "cell.1.safetensors.json").read_text())["state"]["finished"]
