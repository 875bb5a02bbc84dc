"""WCH: its pieces against explicit loops and the authors' vectors, bounded memory, its options, and both sources of
tokens.
"""

from __future__ import annotations

import copy
import dataclasses
import importlib.util
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hashbench.learning.binarize import straight_through_sign
from hashbench.learning.session import Session
from hashbench.methods import wch
from hashbench.methods.wch import (
    WCH,
    mutual_attention,
    patch_similarity,
    patch_weights,
    published_linear,
    weighted_contrastive_loss,
)
from hashbench.types import Array, TrainView

SHAPES = [(2, 1, 3), (3, 4, 5), (5, 3, 8)]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def cosine(a: Tensor, b: Tensor) -> float:
    return float(a @ b / (a.norm() * b.norm()))


def softmax(values: list[float]) -> list[float]:
    shares = [math.exp(value) for value in values]
    return [share / sum(shares) for share in shares]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_mutual_attention_by_loops(shape: tuple[int, int, int], temperature: float) -> None:
    images, patches, _ = shape
    tokens1, tokens2 = normal(*shape), normal(*shape, seed=1)
    attended1, attended2 = mutual_attention(tokens1, tokens2, temperature)
    for n in range(images):
        for p in range(patches):
            by_first = softmax([cosine(tokens1[n, p], tokens2[n, q]) / temperature for q in range(patches)])
            by_second = softmax([cosine(tokens1[n, q], tokens2[n, p]) / temperature for q in range(patches)])
            torch.testing.assert_close(attended1[n, p], sum(w * tokens1[n, q] for q, w in enumerate(by_second)))
            torch.testing.assert_close(attended2[n, p], sum(w * tokens2[n, q] for q, w in enumerate(by_first)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_patch_weights_by_loops(shape: tuple[int, int, int], temperature: float) -> None:
    images, patches, _ = shape
    tokens1, tokens2 = normal(*shape), normal(*shape, seed=1)
    shares = []
    for n in range(images):
        similarity = []
        for m in range(images):
            best = [max(cosine(tokens1[n, i], tokens2[m, j]) for j in range(patches)) for i in range(patches)]
            similarity.append(sum(best) / patches)
        shares.append(softmax([value / temperature for value in similarity]))
    by_column = [[shares[n][m] / shares[m][m] for m in range(images)] for n in range(images)]
    by_row = [[shares[n][m] / shares[n][n] for m in range(images)] for n in range(images)]
    for normalise, expected in (("column", by_column), ("row", by_row)):
        weights = patch_weights(tokens1, tokens2, temperature, normalise)
        torch.testing.assert_close(weights, torch.tensor(expected, dtype=torch.float64))
        torch.testing.assert_close(weights.diagonal(), torch.ones(images, dtype=torch.float64))


@pytest.mark.parametrize(("n", "bits"), [(1, 4), (4, 8), (6, 5)])
def test_weighted_contrastive_loss_by_loops(n: int, bits: int) -> None:
    codes1, codes2 = torch.tanh(normal(n, bits)), torch.tanh(normal(n, bits, seed=1))
    weights = normal(n, n, seed=2).exp()
    contrast = 0.0
    for i in range(n):
        shares = softmax([float(codes1[i] @ codes2[j]) / (bits * 0.3) for j in range(n)])
        contrast -= sum(float(weights[i, j]) * math.log(shares[j]) for j in range(n)) / n
    balance = sum((sum(float(codes1[i, k]) for i in range(n)) / n) ** 2 for k in range(bits)) / bits
    power = sum(float(value) ** 2 for value in codes1.flatten()) / (n * bits)
    for a, b in ((1.0, 1.0), (0.0, 1.0), (0.5, 0.0)):
        loss = weighted_contrastive_loss(codes1, codes2, weights, 0.3, balance=a, quantisation=b)
        assert float(loss) == pytest.approx(contrast + a * balance - b * power, rel=1e-12)


def test_loss_of_identity_weights_is_the_plain_contrastive_one() -> None:
    codes1, codes2 = torch.sign(normal(5, 8)), torch.sign(normal(5, 8, seed=1))
    plain = F.cross_entropy(codes1 @ codes2.T / (8 * 0.3), torch.arange(5)) + codes1.mean(0).square().mean() - 1
    torch.testing.assert_close(weighted_contrastive_loss(codes1, codes2, torch.eye(5).double()), plain)


def test_the_pieces_pass_right_gradients_to_both_views_and_to_the_weights() -> None:
    """Nothing is detached: the targets of the cross-entropy move with the tokens."""
    tokens = (normal(3, 4, 5).requires_grad_(), normal(3, 4, 5, seed=1).requires_grad_())

    def loss(tokens1: Tensor, tokens2: Tensor) -> Tensor:
        attended = mutual_attention(tokens1, tokens2)
        codes1, codes2 = (torch.tanh(view.mean(dim=1)) for view in attended)
        return weighted_contrastive_loss(codes1, codes2, patch_weights(*attended))

    assert torch.autograd.gradcheck(loss, tokens)
    assert torch.autograd.gradcheck(patch_weights, tokens)
    assert torch.autograd.gradcheck(lambda *views: patch_weights(*views, normalise="row"), tokens)


def test_blocks_change_neither_similarities_nor_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = (normal(7, 3, 4).requires_grad_(), normal(7, 3, 4, seed=1).requires_grad_())
    cotangent = normal(7, 7, seed=2)
    results = []
    for at_once in (10**9, 130, 1):  # all images, two images, one image a block
        monkeypatch.setattr(wch, "_COSINES_AT_ONCE", at_once)
        similarity = patch_similarity(*tokens)
        results.append((similarity, *torch.autograd.grad((similarity * cotangent).sum(), tokens)))
    for block_wise in results[1:]:
        for found, expected in zip(block_wise, results[0], strict=True):
            torch.testing.assert_close(found, expected)


def test_no_array_is_larger_than_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the forward nor the backward pass holds N x N x P x P cosines, here 40,000."""
    monkeypatch.setattr(wch, "_COSINES_AT_ONCE", 2000)
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            nonlocal largest
            result = func(*args, **(kwargs or {}))
            if isinstance(result, Tensor):
                held = result if result.layout is torch.strided else result.values()
                largest = max(largest, held.numel())
            return result

    tokens = (normal(10, 20, 6).requires_grad_(), normal(10, 20, 6, seed=1).requires_grad_())
    with Watch():
        patch_weights(*tokens).sum().backward()
    assert tokens[0].grad is not None
    assert largest <= 20 * 10 * 20  # one image against all of the other view


@pytest.mark.parametrize("size", ["small", "medium"])
def test_every_step_equals_the_vectors_of_the_published_code(shared: Path, size: str) -> None:
    golden = {
        key: torch.from_numpy(value).double() for key, value in np.load(shared / f"golden/wch_{size}.npz").items()
    }
    names = ("x1", "x2", "fc_weight", "b_weight")
    for name in names:
        golden[name].requires_grad_()

    def head(features: Tensor) -> Tensor:
        normed = F.layer_norm(features, features.shape[1:], golden["norm_weight"], golden["norm_bias"], eps=1e-6)
        hidden = F.relu(F.linear(normed, golden["fc_weight"], golden["fc_bias"]))
        return straight_through_sign(torch.tanh(F.linear(hidden, golden["b_weight"], golden["b_bias"])))

    attended = mutual_attention(golden["x1"], golden["x2"])
    weights = patch_weights(*attended)
    codes = [head(tokens.mean(dim=1)) for tokens in attended]
    loss = weighted_contrastive_loss(*codes, weights)
    gradients = torch.autograd.grad(loss, [golden[name] for name in names])

    found = [*attended, weights, *codes, loss, head(golden["x1"].mean(dim=1)), *gradients]
    expected = ["attended1", "attended2", "weights", "h1", "h2", "loss", "code_inference"]
    expected += [f"grad_{name}" for name in names]
    for value, name in zip(found, expected, strict=True):
        error = (value - golden[name]).norm() / golden[name].norm()
        assert float(error.detach()) < 1e-5, name


HYPERPARAMETERS = {
    "attention": True,
    "weights": "column",
    "temperature": 0.3,
    "weight_temperature": 0.2,
    "balance": 1.0,
    "quantisation": 1.0,
    "standardise": True,
    "initialisation": "default",
    "hidden": 16,
    "learning_rate": 3e-3,
    "batch_size": 12,
    "last_batch": "dropped",
    "epochs": 12,
}


def new_wch(**changes: Any) -> WCH:
    return WCH(**{**HYPERPARAMETERS, **changes})


@pytest.mark.parametrize("size", ["small", "medium"])
def test_the_method_with_the_published_options_takes_the_published_step(shared: Path, size: str) -> None:
    golden = {
        key: torch.from_numpy(value).double() for key, value in np.load(shared / f"golden/wch_{size}.npz").items()
    }
    n, _, width = golden["x1"].shape
    hidden, bits = len(golden["fc_bias"]), len(golden["b_bias"])
    method = new_wch(standardise=False, initialisation="published", hidden=hidden)
    head = method.network(width, bits, torch.Generator().manual_seed(0)).double()
    layers = {"1.weight": "norm_weight", "1.bias": "norm_bias", "2.weight": "fc_weight", "2.bias": "fc_bias"}
    layers |= {"4.weight": "b_weight", "4.bias": "b_bias"}
    head.load_state_dict({ours: golden[theirs] for ours, theirs in layers.items()})
    view = TrainView(np.arange(n), view_tokens=np.zeros((2, n, 1, width), np.float32))
    (training,) = method.training(head, view, bits, torch.Generator().manual_seed(0), "cpu")

    views = golden["x1"].requires_grad_(), golden["x2"].requires_grad_()
    loss = training.loss_terms(*views)["loss"]
    found = [loss, *torch.autograd.grad(loss, [*views, head[2].weight, head[4].weight])]
    found.append(straight_through_sign(head(golden["x1"].mean(dim=1))))
    expected = ["loss", "grad_x1", "grad_x2", "grad_fc_weight", "grad_b_weight", "code_inference"]
    for value, name in zip(found, expected, strict=True):
        error = (value - golden[name]).norm() / golden[name].norm()
        assert float(error.detach()) < 1e-5, name


def test_the_published_initialisation_is_kaiming_by_fan_out_with_normal_biases() -> None:
    layer = published_linear(300, 500, torch.Generator().manual_seed(0))
    bound = math.sqrt(6 / 500)
    weight, bias = layer.weight.detach(), layer.bias.detach()
    assert 0.99 * bound < float(weight.abs().max()) <= bound
    assert float(weight.std()) == pytest.approx(bound / math.sqrt(3), rel=0.01)
    assert float(bias.std()) == pytest.approx(1, rel=0.1)
    again = published_linear(300, 500, torch.Generator().manual_seed(0))
    assert torch.equal(again.weight, layer.weight)
    assert torch.equal(again.bias, layer.bias)
    head = new_wch(initialisation="published").network(300, 8, torch.Generator().manual_seed(0))
    assert float(head[2].weight.detach().abs().max()) > math.sqrt(6 / 16) * 0.99


class TinyNetwork(nn.Module):
    """Four patches of an 8 x 8 image, each a linear map of its 16 pixels; pooled is their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.utils.skip_init(nn.Conv2d, 3, 6, 4, stride=4)
        generator = torch.Generator().manual_seed(5)
        for parameter in self.patches.parameters():
            nn.init.normal_(parameter, std=0.3, generator=generator)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        tokens = self.patches(pictures).flatten(2).mT
        return tokens.mean(dim=1), tokens


class TinyBackbone:
    """A `TrainableBackbone` of it; a view is the image with noise."""

    learning_rate = 1e-3

    def build(self) -> TinyNetwork:
        return TinyNetwork()

    def prepare(self, images: Array) -> Tensor:
        return torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 255

    def augment(self, images: Array, rows: Array, view: int) -> Tensor:
        noise = [torch.Generator().manual_seed(1000 * int(row) + view % 997) for row in rows]
        clean = self.prepare(images)
        return clean + 0.05 * torch.stack([torch.randn(clean.shape[1:], generator=generator) for generator in noise])


@pytest.fixture(scope="module")
def trained() -> TrainView:
    """24 images of three kinds in a run that trains `TinyBackbone`, with the tokens that it makes of three views."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 256, size=(3, 8, 8, 3))
    images = np.clip(kinds[np.arange(24) % 3] + rng.normal(0, 20, size=(24, 8, 8, 3)), 0, 255).astype(np.uint8)
    rows, backbone = np.arange(24), TinyBackbone()
    network = backbone.build()
    with torch.no_grad():
        mean, _ = network(backbone.prepare(images))
        views = torch.stack([network(backbone.augment(images, rows, view))[1] for view in range(3)])
    return TrainView(rows, token_mean=mean.numpy(), view_tokens=views.numpy(), images=images, backbone=backbone)


@pytest.fixture(scope="module")
def frozen(trained: TrainView) -> TrainView:
    """The same in a run whose backbone is frozen."""
    return dataclasses.replace(trained, images=None, backbone=None)


@pytest.mark.parametrize("run", ["frozen", "trained"])
@pytest.mark.parametrize("weights", ["none", "column", "row"])
def test_it_learns_from_stored_tokens_and_from_fresh_pictures(
    request: pytest.FixtureRequest, run: str, weights: str
) -> None:
    method = new_wch(weights=weights, epochs=30)
    losses = method.fit(request.getfixturevalue(run), 8, seed=3, session=Session()).curves["loss"]
    assert np.mean(losses[-8:]) < np.mean(losses[:8])


def test_the_ablations_take_away_attention_and_weights(frozen: TrainView) -> None:
    codes1, codes2 = torch.sign(normal(4, 8)), torch.sign(normal(4, 8, seed=1))
    plain = new_wch(attention=False, weights="none")
    tokens = normal(4, 3, 5), normal(4, 3, 5, seed=1)
    assert plain._attend(*tokens) == tokens
    torch.testing.assert_close(
        weighted_contrastive_loss(codes1, codes2, plain._weigh(*tokens)),
        weighted_contrastive_loss(codes1, codes2, torch.eye(4).double()),
    )


@pytest.mark.parametrize(
    "other",
    [
        {"attention": False},
        {"weights": "row"},
        {"weights": "none"},
        {"weight_temperature": 0.5},
        {"balance": 0.0},
        {"quantisation": 0.0},
        {"standardise": False},
        {"initialisation": "published"},
        {"batch_size": 10, "last_batch": "kept"},
    ],
    ids=lambda other: "-".join(map(str, other)),
)
def test_every_option_has_an_effect(frozen: TrainView, other: dict[str, Any]) -> None:
    states = []
    for changes in ({**other, "last_batch": "dropped"} if "last_batch" in other else {}, other):
        method = new_wch(**changes)
        method.fit(frozen, 8, seed=3, session=Session())
        states.append(method.state_dict()["2.weight"])
    assert not np.array_equal(*states)


@pytest.mark.parametrize(("last_batch", "n_batches"), [("dropped", 2), ("kept", 3)])
def test_an_incomplete_last_batch_counts_where_it_is_kept(trained: TrainView, last_batch: str, n_batches: int) -> None:
    for run in (trained, dataclasses.replace(trained, backbone=None)):
        steps: list[int] = []
        session = Session(watch=lambda description, step, terms, steps=steps: steps.append(step))
        new_wch(batch_size=10, last_batch=last_batch, epochs=2).fit(run, 8, seed=3, session=session)
        assert steps == list(range(2 * n_batches))


def plain_step() -> ModuleType:
    """The benchmark's re-statement of the published step: attention written out, all cosines held whole."""
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "training.py"
    spec = importlib.util.spec_from_file_location("training_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_twenty_steps_follow_the_plain_re_statement_of_the_published_step(trained: TrainView) -> None:
    """The same views and start: the losses agree to 1e-4, all the way through."""
    method = new_wch(epochs=20, batch_size=24, learning_rate=TinyBackbone.learning_rate)
    starts, views, losses = [], [], []
    original = method.training

    def watched(head, train, n_bits, generator, device):  # type: ignore[no-untyped-def]
        (training,) = original(head, train, n_bits, generator, device)
        starts.append(copy.deepcopy(training.network))
        yield dataclasses.replace(training, draw=lambda batch: views.append(training.draw(batch)) or views[-1])

    method.training = watched  # type: ignore[method-assign]
    session = Session(watch=lambda description, step, terms: losses.append(terms["loss"]))
    method.fit(trained, 8, seed=3, session=session)

    head, network = starts[0], TinyNetwork()
    optimizer = torch.optim.Adam([*head.parameters(), *network.parameters()], foreach=False)
    plain = plain_step()
    for step, (drawn, loss) in enumerate(zip(views, losses, strict=True)):
        pictures = (view.as_subclass(Tensor) for view in drawn)
        expected = plain.plain_loss(lambda view: head[0](network(view)[1]), head[1:], *pictures, 0.3)
        assert loss == pytest.approx(float(expected.detach()), rel=1e-4)
        optimizer.param_groups[0]["lr"] = 1e-3 * (1 + math.cos(math.pi * step / 20)) / 2
        optimizer.zero_grad()
        expected.backward()
        optimizer.step()
    assert len(losses) == 20
    assert losses[-1] != pytest.approx(losses[0], rel=1e-2)
