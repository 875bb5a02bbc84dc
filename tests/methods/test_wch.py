"""WCH: its pieces against explicit loops and the authors' vectors, bounded memory, and both sources of tokens."""

from __future__ import annotations

import copy
import dataclasses
import importlib.util
import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hashbench.errors import HashbenchError
from hashbench.learning.binarize import straight_through_sign
from hashbench.learning.session import Session
from hashbench.methods import wch
from hashbench.methods.wch import WCH, mutual_attention, patch_similarity, patch_weights, weighted_contrastive_loss
from hashbench.types import Array, ItemView, TrainView

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
    expected = [[shares[n][m] / shares[m][m] for m in range(images)] for n in range(images)]
    weights = patch_weights(tokens1, tokens2, temperature)
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
    loss = weighted_contrastive_loss(codes1, codes2, weights, temperature=0.3)
    assert float(loss) == pytest.approx(contrast + balance - power, rel=1e-12)


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
    "backbone": "frozen",
    "attention": True,
    "weights": True,
    "temperature": 0.3,
    "weight_temperature": 0.2,
    "hidden": 16,
    "learning_rate": 3e-3,
    "batch_size": 12,
    "epochs": 12,
}


class TinyBackbone:
    """Four patches of an 8 x 8 image, each a linear map of its 16 pixels; a view is the image with noise."""

    def build(self) -> nn.Module:
        network = nn.Sequential(nn.Conv2d(3, 6, 4, stride=4), nn.Flatten(2), Transposed())
        generator = torch.Generator().manual_seed(5)
        for parameter in network.parameters():
            nn.init.normal_(parameter, std=0.3, generator=generator)
        return network

    def prepare(self, images: Array) -> Tensor:
        return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255

    def augment(self, images: Array, rows: Array, view: int) -> Tensor:
        noise = [torch.Generator().manual_seed(1000 * int(row) + view % 997) for row in rows]
        clean = self.prepare(images)
        return clean + 0.05 * torch.stack([torch.randn(clean.shape[1:], generator=generator) for generator in noise])


class Transposed(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return values.transpose(1, 2)


@pytest.fixture(scope="module")
def train() -> TrainView:
    """24 images of three kinds, with the tokens that `TinyBackbone` makes of them and of three views."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 256, size=(3, 8, 8, 3))
    images = np.clip(kinds[np.arange(24) % 3] + rng.normal(0, 20, size=(24, 8, 8, 3)), 0, 255).astype(np.uint8)
    rows, backbone = np.arange(24), TinyBackbone()
    network = backbone.build()
    with torch.no_grad():
        tokens = network(backbone.prepare(images))
        views = torch.stack([network(backbone.augment(images, rows, view)) for view in range(3)])
    return TrainView(
        rows, token_mean=tokens.mean(dim=1).numpy(), view_tokens=views.numpy(), images=images, backbone=backbone
    )


def items_of(train: TrainView) -> ItemView:
    return ItemView(train.rows, token_mean=train.token_mean, images=train.images, backbone=train.backbone)


@pytest.fixture(scope="module", params=["frozen", "finetune"])
def fitted(request: pytest.FixtureRequest, train: TrainView) -> tuple[Callable[[], WCH], WCH]:
    def new() -> WCH:
        return WCH(**{**HYPERPARAMETERS, "backbone": request.param})

    method = new()
    method.fit(train, 8, seed=3, session=Session())
    return new, method


def test_both_sources_of_tokens_learn(fitted, train: TrainView) -> None:
    # Without weights: they are not detached, so that a fine-tuned backbone also moves its own targets.
    new, _ = fitted
    method = new()
    method.learning_rate, method.epochs = 1e-3, 30
    method._weigh = WCH(**{**HYPERPARAMETERS, "weights": False})._weigh
    log = method.fit(train, 8, seed=3, session=Session())
    assert np.mean(log.curves["loss"][-10:]) < np.mean(log.curves["loss"][:10])


def test_loading_a_state_gives_the_same_codes(fitted, train: TrainView) -> None:
    new, method = fitted
    loaded = new()
    loaded.load_state_dict(method.state_dict())
    np.testing.assert_array_equal(loaded.encode(items_of(train)), method.encode(items_of(train)))
    for name, value in method.state_dict().items():
        np.testing.assert_array_equal(loaded.state_dict()[name], value)


def test_codes_do_not_depend_on_the_other_items(fitted, train: TrainView) -> None:
    _, method = fitted
    items = items_of(train)
    one = ItemView(items.rows[4:5], token_mean=items.token_mean[4:5], images=items.images[4:5], backbone=items.backbone)
    np.testing.assert_array_equal(method.encode(one), method.encode(items)[4:5])


def test_fine_tuning_trains_the_backbone_and_leaves_the_run_s_own_alone(train: TrainView) -> None:
    method = WCH(**{**HYPERPARAMETERS, "backbone": "finetune"})
    assert method.needs == {"images", "backbone", "token_mean"}
    method.fit(train, 8, seed=3, session=Session())
    before = TinyBackbone().build().state_dict()["0.weight"].numpy()
    assert not np.allclose(method.state_dict()["backbone.0.weight"], before)
    np.testing.assert_array_equal(train.backbone.build().state_dict()["0.weight"].numpy(), before)


def test_the_ablations_take_away_attention_and_weights(train: TrainView) -> None:
    codes1, codes2 = torch.sign(normal(4, 8)), torch.sign(normal(4, 8, seed=1))
    plain = WCH(**{**HYPERPARAMETERS, "attention": False, "weights": False})
    tokens = normal(4, 3, 5), normal(4, 3, 5, seed=1)
    assert plain._attend(*tokens) == tokens
    torch.testing.assert_close(
        weighted_contrastive_loss(codes1, codes2, plain._weigh(*tokens)),
        weighted_contrastive_loss(codes1, codes2, torch.eye(4).double()),
    )
    states = set()
    for attention in (True, False):
        for weights in (True, False):
            method = WCH(**{**HYPERPARAMETERS, "attention": attention, "weights": weights})
            method.fit(train, 8, seed=3, session=Session())
            states.add(method.state_dict()["1.weight"].tobytes())
    assert len(states) == 4


def test_an_unknown_backbone_option_is_refused() -> None:
    with pytest.raises(HashbenchError, match="backbone must be one of frozen, finetune, got 'thawed'"):
        WCH(**{**HYPERPARAMETERS, "backbone": "thawed"})


def test_fine_tuning_without_a_backbone_is_refused(train: TrainView) -> None:
    with pytest.raises(HashbenchError, match="backbone"):
        WCH(**{**HYPERPARAMETERS, "backbone": "finetune"}).fit(
            dataclasses.replace(train, backbone=None), 8, seed=0, session=Session()
        )


def plain_step() -> ModuleType:
    """The benchmark's re-statement of the published step: attention written out, all cosines held whole."""
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "training.py"
    spec = importlib.util.spec_from_file_location("training_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_twenty_steps_follow_the_plain_re_statement_of_the_published_step(train: TrainView) -> None:
    """The same views and start: the losses agree to 1e-4, all the way through."""
    method = WCH(**{**HYPERPARAMETERS, "backbone": "finetune", "epochs": 20, "batch_size": 24, "learning_rate": 1e-3})
    starts, views, losses = [], [], []
    original = method.training

    def watched(head, train, n_bits, generator, device):  # type: ignore[no-untyped-def]
        (training,) = original(head, train, n_bits, generator, device)
        starts.append(copy.deepcopy(training.network))
        yield dataclasses.replace(training, draw=lambda batch: views.append(training.draw(batch)) or views[-1])

    method.training = watched  # type: ignore[method-assign]
    session = Session(watch=lambda description, step, terms: losses.append(terms["loss"]))
    method.fit(train, 8, seed=3, session=session)

    head, network = starts[0]
    standardised = nn.Sequential(network, head[0])
    optimizer = torch.optim.Adam(starts[0].parameters(), foreach=False)
    plain = plain_step()
    for step, (drawn, loss) in enumerate(zip(views, losses, strict=True)):
        expected = plain.plain_loss(standardised, head[1:], *drawn, HYPERPARAMETERS["temperature"])
        assert loss == pytest.approx(float(expected.detach()), rel=1e-4)
        optimizer.param_groups[0]["lr"] = 1e-3 * (1 + math.cos(math.pi * step / 20)) / 2
        optimizer.zero_grad()
        expected.backward()
        optimizer.step()
    assert len(losses) == 20
    assert losses[-1] != pytest.approx(losses[0], rel=1e-2)
