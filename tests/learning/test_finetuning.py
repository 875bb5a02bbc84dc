"""Methods in a run that trains the backbone: every one that trains a network, on real networks of timm."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import ROOT, read_params
from safetensors.torch import load_file
from torch import Tensor, nn

from hashbench.artefacts import store
from hashbench.errors import HashbenchError
from hashbench.fitting import fit_cells
from hashbench.learning.finetuning import TrainedBackbone
from hashbench.learning.inputs import needs_of
from hashbench.learning.networks import HeadMethod
from hashbench.learning.session import Session
from hashbench.learning.training import Recipe, Training, minimise
from hashbench.learning.views import Pictures
from hashbench.methods.registry import load_method
from hashbench.types import Array, ItemView, TrainView

CODE = {name: block["code"] for name, block in read_params(ROOT)["methods"].items()}
TOLD_TEXTS = {"uhscm", "duheg"}  # these need embeddings of a vision-language model, which no run here has
HEADS = [name for name, code in CODE.items() if name not in TOLD_TEXTS and issubclass(load_method(code), HeadMethod)]
FROZEN = ["sgh", "tbh"]
TRAINED = [name for name in HEADS if name not in FROZEN]
N_BITS = 8


@pytest.fixture(scope="module")
def fitted(convolutions, new_method) -> Callable[[str], HeadMethod]:
    """A method fitted to the run that trains convolutions."""

    @cache
    def fit(name: str) -> HeadMethod:
        method = new_method(name)
        log = method.fit(convolutions.train, N_BITS, 3, Session())
        assert all(np.isfinite(values).all() for values in log.curves.values())
        return method

    return fit


def backbone_of(method: HeadMethod) -> dict[str, Array]:
    """What a method's state holds of its copy of the network."""
    prefix = "backbone.network."
    return {name.removeprefix(prefix): a for name, a in method.state_dict().items() if name.startswith(prefix)}


def moved(method: HeadMethod, weights: Path) -> set[str]:
    """The names of a network's weights and statistics that are not those of the run's file."""
    before, after = load_file(weights), backbone_of(method)
    assert before.keys() == after.keys()
    return {name for name, value in before.items() if not np.array_equal(value.numpy(), after[name])}


@pytest.mark.parametrize("name", TRAINED)
def test_it_trains_a_copy_of_the_backbone_and_encodes_by_it(convolutions, fitted, name):
    file = hashlib.sha256(convolutions.weights.read_bytes()).digest()
    method = fitted(name)
    changed = moved(method, convolutions.weights)
    assert {"conv_stem.weight", "bn1.weight", "blocks.2.0.conv_exp.weight"} <= changed
    bits = method.encode(convolutions.items)
    assert (bits.dtype, bits.shape) == (np.bool_, (11, N_BITS))
    assert hashlib.sha256(convolutions.weights.read_bytes()).digest() == file
    another = convolutions.backbone.build().network.state_dict()
    for each, weight in load_file(convolutions.weights).items():
        assert torch.equal(another[each], weight), "another method starts from the run's weights"


@pytest.mark.parametrize("name", HEADS)
def test_it_reads_what_it_says_and_nothing_else(convolutions, fitted, new_method, name):
    train, items = convolutions.train, convolutions.items
    needs = needs_of(load_method(CODE[name]), backbone_is_trained=True)
    method = new_method(name)
    method.fit(TrainView(train.rows, **{each: getattr(train, each) for each in needs}), N_BITS, 3, Session())
    seen = ItemView(items.rows, **{each: getattr(items, each) for each in needs & items.provides})
    assert np.array_equal(method.encode(seen), fitted(name).encode(items))
    for each in sorted(needs - {"backbone"}):
        with pytest.raises(HashbenchError, match=f"provides no {each}"):
            new_method(name).fit(replace(train, **{each: None}), N_BITS, 3, Session())


def test_fresh_pictures_take_the_place_of_stored_views_but_for_those_that_guide():
    of = {name: needs_of(load_method(code), backbone_is_trained=True) for name, code in CODE.items()}
    assert of["wch"] == {"images", "backbone", "token_mean"}
    assert of["nsh"] == of["contrastive"] == of["deepbit"] == {"images", "backbone", "pooled"}
    assert of["cimon"] == of["hashsim"] == {"images", "backbone", "pooled", "views"}
    for name in {*FROZEN, "itq", "lsh"}:
        assert of[name] == load_method(CODE[name]).needs == {"pooled"}
    for name, code in CODE.items():
        assert needs_of(load_method(code), backbone_is_trained=False) == load_method(code).needs, name


@pytest.mark.parametrize("name", HEADS)
def test_saved_and_loaded_it_gives_the_same_codes(convolutions, fitted, new_method, tmp_path, name):
    method, path = fitted(name), tmp_path / "model.safetensors"
    store.write_tensors(path, method.state_dict(), {})
    loaded = new_method(name)
    loaded.load_state_dict(store.read_tensors(path))
    kept = loaded.state_dict()
    assert np.array_equal(loaded.encode(convolutions.items), method.encode(convolutions.items))
    for state in (kept, loaded.state_dict()):
        assert state.keys() == method.state_dict().keys()
        assert all(np.array_equal(state[each].ravel(), array.ravel()) for each, array in method.state_dict().items())


def only(items: ItemView, rows: list[int]) -> ItemView:
    arrays = {name: getattr(items, name)[rows] for name in ("rows", "pooled", "token_mean", "images")}
    return ItemView(**arrays, backbone=items.backbone)


@pytest.mark.parametrize("name", HEADS)
def test_a_code_does_not_depend_on_what_is_encoded_with_it(convolutions, fitted, name):
    method, items = fitted(name), convolutions.items
    bits = method.encode(items)
    for row in range(0, len(items), 3):
        assert np.array_equal(method.encode(only(items, [row])), bits[[row]])
    assert np.array_equal(method.encode(only(items, [7, 2, 9])), bits[[7, 2, 9]])


def test_more_images_than_a_block_are_encoded_as_one_by_one(transformer, new_method):
    method, items = new_method("wch"), transformer.items
    method.fit(transformer.train, N_BITS, 3, Session())
    rows = np.random.default_rng(0).integers(len(items), size=150).tolist()
    bits = method.encode(items)
    assert np.array_equal(method.encode(only(items, rows)), bits[rows]), "and without dropout"


@pytest.mark.parametrize("name", FROZEN)
def test_what_takes_features_as_they_are_keeps_the_backbone_frozen(convolutions, fitted, new_method, name):
    method, frozen, items = fitted(name), new_method(name), convolutions.items
    frozen.fit(convolutions.frozen, N_BITS, 3, Session())
    assert not backbone_of(method)
    assert method.state_dict().keys() == frozen.state_dict().keys()
    assert all(np.array_equal(frozen.state_dict()[each], array) for each, array in method.state_dict().items())
    assert np.array_equal(method.encode(ItemView(items.rows, pooled=items.pooled)), frozen.encode(items))


@pytest.mark.parametrize("name", ["wch", "nsh", "deepbit", "hhch"])
@pytest.mark.parametrize("run", ["convolutions", "transformer"])
def test_the_same_fit_gives_the_same_bits_and_leaves_the_global_generator_alone(request, new_method, run, name):
    run, states = request.getfixturevalue(run), []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before, method = torch.get_rng_state(), new_method(name)
        log = method.fit(run.train, N_BITS, 3, Session())
        bits = method.encode(run.items)
        assert torch.equal(torch.get_rng_state(), before)
        states.append(({**method.state_dict(), "bits": bits}, log))
    (first, first_log), (second, second_log) = states
    assert first_log == second_log
    assert all(np.array_equal(second[each], array) for each, array in first.items())


def test_what_is_left_out_at_random_is_drawn_by_the_seed(make_run, transformer, new_method):
    def curves(run, seed):
        return new_method("contrastive").fit(run.train, N_BITS, seed, Session()).curves

    assert curves(transformer, 3) != curves(make_run("transformer"), 3), "dropout has an effect"
    assert curves(transformer, 3) != curves(transformer, 4)


def test_a_run_whose_backbone_is_frozen_cannot_encode_by_a_trained_one(convolutions, fitted):
    frozen = replace(convolutions.items, backbone=None)
    with pytest.raises(HashbenchError) as error:
        fitted("contrastive").encode(frozen)
    assert "encodes images by that backbone, and this run's is frozen; set `backbone_training`" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_second_fit_starts_from_the_run_s_weights_again(convolutions, fitted, new_method):
    method = new_method("nsh")
    method.fit(convolutions.train, 16, 8, Session())
    method.fit(convolutions.train, N_BITS, 3, Session())
    assert np.array_equal(method.encode(convolutions.items), fitted("nsh").encode(convolutions.items))
    method.fit(convolutions.frozen, N_BITS, 3, Session())
    assert not backbone_of(method)


@dataclass(frozen=True)
class Given:
    """What a cell is fitted on, as the fitter would give it."""

    train: TrainView
    split: Any = None
    items: Any = field(default=None)


def test_what_a_trained_run_lacks_is_named_before_the_fit(convolutions, new_method):
    lacking = replace(convolutions.train, images=None, view_tokens=None)
    with pytest.raises(HashbenchError, match=r"^WCH needs images; these features provide backbone, pooled, token_mean"):
        fit_cells([new_method("wch")], Given(lacking), [N_BITS], [3], Session())


class Watched(nn.Module):
    """A network that remembers what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.shown = nn.Parameter(torch.tensor(2.0)), []

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        self.shown.append(pictures)
        values = pictures * self.scale
        return values, values[:, None]


@dataclass(frozen=True)
class WatchedBackbone:
    """A `TrainableBackbone` of it."""

    network: Watched
    learning_rate: float = 0.5

    def build(self) -> nn.Module:
        return self.network


@pytest.mark.parametrize("kind", ["pooled", "tokens"])
def test_all_pictures_of_a_step_are_described_in_one_pass_and_nothing_else_is(kind):
    network, own, seen = Watched(), nn.Linear(1, 1), []
    drawn = (torch.ones(4, 2).as_subclass(Pictures), torch.arange(3.0), torch.full((4, 2), 3.0).as_subclass(Pictures))

    def loss_terms(*given: Tensor) -> dict[str, Tensor]:
        seen.append(given)
        return {"loss": own.weight.sum() + given[0].sum() + given[2].sum()}

    recipe = Recipe("sgd", 0.25, 4, 1)
    training = Training(own, lambda batch: drawn, loss_terms, 4, recipe, torch.Generator().manual_seed(0), "")
    weight = own.weight.detach().clone()
    minimise([TrainedBackbone(kind).joined(training, WatchedBackbone(network))], Session())
    ((shown,),) = (network.shown,)
    assert type(shown) is Tensor
    assert torch.equal(shown, torch.cat([torch.ones(4, 2), torch.full((4, 2), 3.0)]))
    first, between, second = seen[0]
    shape = (4, 2) if kind == "pooled" else (4, 1, 2)
    assert torch.equal(first, torch.full(shape, 2.0))
    assert torch.equal(second, torch.full(shape, 6.0))
    assert torch.equal(between, torch.arange(3.0))
    assert float(own.weight.detach() - weight) == pytest.approx(-0.25)
    assert float(network.scale.detach()) == pytest.approx(2 - 0.5 * 32), "at the backbone's own rate"
