"""NSH: its pieces against explicit loops, and a hash head that learns through the sorter."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import ROOT
from torch import Tensor

from hashbench.errors import HashbenchError
from hashbench.learning.binarize import straight_through_sign
from hashbench.learning.session import Session
from hashbench.learning.sorting import SORTERS, softsort
from hashbench.learning.training import Training
from hashbench.methods.nsh import NSH, code_similarities, own_view_first, sorted_nce, sorted_similarities
from hashbench.types import TrainView


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_code_similarity_is_one_minus_the_share_of_different_bits() -> None:
    codes1, codes2 = torch.sign(normal(3, 10)), torch.sign(normal(4, 10, seed=1))
    similarity = code_similarities(codes1, codes2)
    for i in range(3):
        for j in range(4):
            assert float(similarity[i, j]) == pytest.approx(1 - float((codes1[i] != codes2[j]).sum()) / 10)


def naive_sorted_similarities(permutations: Tensor, latents1: Tensor, latents2: Tensor) -> Tensor:
    """By the definition: form the n x n x d sorted latents, then their cosines."""
    latents = torch.einsum("irc,cd->ird", permutations, latents1)
    return F.cosine_similarity(latents, latents2[:, None, :].expand_as(latents), dim=2)


@pytest.mark.parametrize(("n", "d"), [(2, 3), (5, 4), (7, 30)])
def test_the_gram_matrices_give_the_naive_similarities_and_gradients(n: int, d: int) -> None:
    scores = torch.rand(n, n, generator=torch.Generator().manual_seed(2), dtype=torch.float64).requires_grad_()
    raw = [normal(n, d, seed=seed).requires_grad_() for seed in (3, 4)]
    cotangent = normal(n, n, seed=5)
    results = []
    for similarities in (sorted_similarities, naive_sorted_similarities):
        latents1, latents2 = (F.normalize(latents, dim=1) for latents in raw)
        found = similarities(softsort(scores, 0.1), latents1, latents2)
        results.append((found, *torch.autograd.grad((found * cotangent).sum(), [scores, *raw])))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)


def test_latents_that_cancel_out_have_a_similarity_of_zero_and_finite_gradients() -> None:
    latents = torch.tensor([[1.0, 0], [-1, 0]], dtype=torch.float64).requires_grad_()
    half = torch.full((2, 2, 2), 0.5, dtype=torch.float64).requires_grad_()
    similarities = sorted_similarities(half, latents, latents)
    torch.testing.assert_close(similarities, torch.zeros(2, 2, dtype=torch.float64))
    assert all(torch.isfinite(gradient).all() for gradient in torch.autograd.grad(similarities.sum(), [half, latents]))


@pytest.mark.parametrize(("n", "m"), [(2, 1), (5, 1), (5, 2), (6, 5)])
@pytest.mark.parametrize("temperature", [0.3, 0.05])
def test_sorted_nce_by_loops(n: int, m: int, temperature: float) -> None:
    similarities, total = torch.tanh(normal(n, n)), 0.0
    for i in range(n):
        others = sum(math.exp(float(similarities[i, t]) / temperature) for t in range(m, n))
        for r in range(m):
            own = math.exp(float(similarities[i, r]) / temperature)
            total -= math.log(own / (own + others))
    assert float(sorted_nce(similarities, m, temperature)) == pytest.approx(total / (n * m), rel=1e-10)


def test_sorted_nce_takes_one_softmax() -> None:
    """With positives at +1 and the rest at -1 a loss of two softmaxes could not fall below log(e + 4) - 1 = 0.9."""
    similarities = torch.tensor([1.0, -1, -1, -1, -1]).expand(5, 5)
    assert float(sorted_nce(similarities, 1, 0.1)) < 1e-7


def test_sorted_nce_has_the_right_gradient() -> None:
    assert torch.autograd.gradcheck(lambda q: sorted_nce(q, 2, 0.3), normal(5, 5).requires_grad_())


@pytest.mark.parametrize("m", [0, 5, 6])
def test_an_m_that_leaves_no_positive_or_no_negative_is_refused(m: int) -> None:
    with pytest.raises(HashbenchError, match=r"m must lie in 1\.\.4.*got"):
        sorted_nce(torch.zeros(5, 5), m, 0.3)


@pytest.mark.parametrize("sorter", SORTERS)
def test_the_codes_receive_gradient_through_every_sorter(sorter: str) -> None:
    outputs = [normal(8, 6, seed=seed).requires_grad_() for seed in (0, 1)]
    latents = [F.normalize(normal(8, 5, seed=seed), dim=1) for seed in (2, 3)]
    similarities = code_similarities(*(straight_through_sign(torch.tanh(output)) for output in outputs))
    permutations = SORTERS[sorter](similarities, 0.5)
    sorted_nce(sorted_similarities(permutations, *latents), 2, 0.3).backward()
    for output in outputs:
        assert float(output.grad.abs().max()) > 1e-6


@pytest.mark.parametrize("sorter", SORTERS)
@pytest.mark.parametrize("own_view", ["anywhere", "first"])
def test_gradients_of_codes_that_tie_are_finite(sorter: str, own_view: str) -> None:
    """Sixteen codes of three bits: at most four distances, and codes that are equal or opposite."""
    outputs = [normal(16, 3, seed=seed).requires_grad_() for seed in (0, 1)]
    latents = [normal(16, 5, seed=seed).requires_grad_() for seed in (2, 3)]
    similarities = code_similarities(*(straight_through_sign(torch.tanh(output)) for output in outputs))
    assert len(similarities.detach().unique()) <= 4
    permutations = SORTERS[sorter](similarities, 0.5)
    if own_view == "first":
        permutations = own_view_first(permutations)
    loss = sorted_nce(sorted_similarities(permutations, *(F.normalize(each, dim=1) for each in latents)), 2, 0.3)
    gradients = torch.autograd.grad(loss, [*outputs, *latents])
    assert all(torch.isfinite(gradient).all() and gradient.any() for gradient in gradients)


@pytest.mark.parametrize("sorter", ["softsort", "neuralsort", "sinkhorn"])
def test_an_images_own_view_has_no_place_after_the_first(sorter: str) -> None:
    given = SORTERS[sorter](torch.rand(6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64), 0.2)
    found = own_view_first(given)
    torch.testing.assert_close(found.sum(dim=2), torch.ones(6, 6, dtype=torch.float64))
    for i in range(6):
        assert torch.equal(found[i, 0], given[i, 0] / given[i, 0].sum())
        for r in range(1, 6):
            others = [c for c in range(6) if c != i]
            total = sum(float(given[i, r, c]) for c in others)
            assert float(found[i, r, i]) == 0
            for c in others:
                assert float(found[i, r, c]) == pytest.approx(float(given[i, r, c]) / total)


def test_a_place_that_an_own_view_had_alone_is_left_empty() -> None:
    """As hard permutations have it: nothing is left to scale up, and nothing becomes NaN."""
    reversed_order = torch.eye(3, dtype=torch.float64).flip(0).expand(3, 3, 3).clone().requires_grad_()
    found = own_view_first(reversed_order)
    assert not found[0, 2].any(), "image 0 stood last in its own order"
    assert torch.equal(found[0, :2], reversed_order[0, :2])
    (gradient,) = torch.autograd.grad(found.sum(), reversed_order)
    assert torch.isfinite(gradient).all()


HYPERPARAMETERS = {
    "sorter": "softsort",
    "sorter_temperature": 2.0,
    "sorter_unit": "step",
    "sorted_codes": "binary",
    "own_view": "anywhere",
    "directions": "one",
    "m": 2,
    "temperature": 0.3,
    "latent": 16,
    "hidden": 32,
    "batch_norm": False,
    "standardise": True,
    "quantisation": 0.1,
    "balance": 0.0,
    "learning_rate": 3e-3,
    "batch_size": 20,
    "epochs": 20,
}


def new_nsh(**changes: Any) -> NSH:
    return NSH(**{**HYPERPARAMETERS, **changes})


GROUPS = np.arange(60) // 15


@pytest.fixture(scope="module")
def train() -> TrainView:
    """Four groups of 15 images in 12 dimensions; three views, each with noise of its own."""
    rng = np.random.default_rng(0)
    pooled = (np.repeat(rng.normal(size=(4, 12)), 15, axis=0) + 0.3 * rng.normal(size=(60, 12))).astype(np.float32)
    views = (pooled + 0.3 * rng.normal(size=(3, 60, 12))).astype(np.float32)
    return TrainView(np.arange(60), pooled=pooled, views=views)


def test_it_learns_and_moves_the_hash_head(train: TrainView) -> None:
    method, untrained = new_nsh(), new_nsh(epochs=0)
    log = method.fit(train, 8, seed=1, session=Session())
    untrained.fit(train, 8, seed=1, session=Session())
    assert log.curves["sorted_nce"][-1] < log.curves["sorted_nce"][0]
    for name in ("1.weight", "3.weight"):
        assert not np.allclose(method.state_dict()[name], untrained.state_dict()[name])


def mean_average_precision(method: NSH, train: TrainView) -> float:
    """Of the codes of the train rows, each a query against the others; ties in the order of a fixed shuffle."""
    order = np.random.default_rng(0).permutation(len(train))
    bits, groups = method.encode(train)[order], GROUPS[order]
    precisions = []
    for query in range(len(bits)):
        others = np.arange(len(bits)) != query
        distances = (bits[others] != bits[query]).sum(axis=1)
        relevant = (groups[others] == groups[query])[np.argsort(distances, kind="stable")]
        precisions.append((relevant.cumsum() / np.arange(1, len(relevant) + 1))[relevant].mean())
    return float(np.mean(precisions))


class FrozenLatents(NSH):
    """NSH whose latent head stays as it starts: what the hash head learns, it learns through the sorter."""

    def training(self, *given: Any) -> Iterator[Training]:
        (training,) = super().training(*given)
        _head, latent_head = training.network.children()
        latent_head.requires_grad_(False)
        yield training


@pytest.mark.parametrize("own_view", ["anywhere", "first"])
def test_codes_get_better_through_the_sorter_alone(train: TrainView, own_view: str) -> None:
    """Loss terms that act on the codes themselves are off, and the latents, which are good enough, are not learned."""
    options = {**HYPERPARAMETERS, "quantisation": 0.0, "own_view": own_view, "m": 8, "temperature": 0.2}
    gains = []
    for seed in range(3):
        method, untrained = FrozenLatents(**{**options, "epochs": 60}), FrozenLatents(**{**options, "epochs": 0})
        for each in (method, untrained):
            each.fit(train, 8, seed, Session())
        gains.append(mean_average_precision(method, train) - mean_average_precision(untrained, train))
    assert min(gains) > 0
    assert np.mean(gains) > 0.05


def terms_of(train: TrainView, *views: Tensor, **changes: Any) -> Mapping[str, float]:
    """The loss terms of two views under a new network."""
    method = new_nsh(**changes)
    generator = torch.Generator().manual_seed(4)
    head = method.network(12, 8, generator).train()
    (training,) = method.training(head, train, 8, generator, "cpu")
    return {name: float(value) for name, value in training.loss_terms(*views).items()}


@pytest.fixture
def two_views(train: TrainView) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(train.views[0, ::3].copy()), torch.from_numpy(train.views[1, ::3].copy())


def test_both_directions_are_the_mean_of_the_two(train: TrainView, two_views: tuple[Tensor, Tensor]) -> None:
    first, second = two_views
    there, back = terms_of(train, first, second), terms_of(train, second, first)
    both = terms_of(train, first, second, directions="both")
    assert there["sorted_nce"] != pytest.approx(back["sorted_nce"], rel=1e-3)
    assert both["sorted_nce"] == pytest.approx((there["sorted_nce"] + back["sorted_nce"]) / 2, rel=1e-6)
    for term in ("quantisation", "balance"):
        assert both[term] == pytest.approx(there[term], rel=1e-6)


def test_a_step_is_so_much_similarity_as_one_bit(train: TrainView, two_views: tuple[Tensor, Tensor]) -> None:
    in_steps = terms_of(train, *two_views, sorter_temperature=2.0, sorter_unit="step")
    in_similarity = terms_of(train, *two_views, sorter_temperature=2.0 / 8, sorter_unit="similarity")
    assert in_steps == in_similarity
    assert in_steps != terms_of(train, *two_views, sorter_temperature=2.0, sorter_unit="similarity")


def test_the_terms_that_act_on_the_codes_by_loops(train: TrainView, two_views: tuple[Tensor, Tensor]) -> None:
    changes = {"quantisation": 0.5, "balance": 2.0}
    method, generator = new_nsh(**changes), torch.Generator().manual_seed(4)
    head = method.network(12, 8, generator)
    head[0].load_state_dict({"mean": torch.zeros(12), "scale": torch.ones(1)})
    with torch.no_grad():
        outputs = torch.cat([torch.tanh(head(view)) for view in two_views]).double()
    found = terms_of(train, *two_views, **changes)
    n, bits = outputs.shape
    errors = [(float(value) - (1 if value >= 0 else -1)) ** 2 for value in outputs.flatten()]
    means = [sum(float(outputs[i, k]) for i in range(n)) / n for k in range(bits)]
    assert found["quantisation"] == pytest.approx(0.5 * sum(errors) / (n * bits), rel=1e-5)
    assert found["balance"] == pytest.approx(2.0 * sum(mean**2 for mean in means) / bits, rel=1e-5)


@pytest.mark.parametrize(
    "other",
    [
        {"sorter_unit": "similarity"},
        {"sorted_codes": "continuous"},
        {"own_view": "first"},
        {"directions": "both"},
        {"batch_norm": True},
        {"standardise": False},
        {"balance": 1.0},
    ],
    ids=lambda other: next(iter(other)),
)
def test_every_option_has_an_effect_and_is_saved_with_the_method(train: TrainView, other: dict[str, Any]) -> None:
    plain, changed = new_nsh(epochs=3), new_nsh(epochs=3, **other)
    for method in (plain, changed):
        log = method.fit(train, 8, seed=1, session=Session())
        assert all(np.isfinite(values).all() for values in log.curves.values())
    assert not np.array_equal(plain.state_dict()["1.weight"], changed.state_dict()["1.weight"])
    loaded = new_nsh(**other)
    loaded.load_state_dict(changed.state_dict())
    assert np.array_equal(loaded.encode(train), changed.encode(train))
    alone = dataclasses.replace(train, rows=train.rows[:1], pooled=train.pooled[:1], views=None)
    assert np.array_equal(changed.encode(alone), changed.encode(train)[:1]), "not by the statistics of a batch"


@pytest.mark.parametrize("binary", [True, False])
def test_the_signals_that_docs_show_by_loops(monkeypatch: pytest.MonkeyPatch, binary: bool) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    from training_signals import signals

    n, softness, method = 9, 0.3, new_nsh(m=2)
    codes = [torch.sign(normal(n, 4, seed=seed)) if binary else normal(n, 4, seed=seed) for seed in (1, 2)]
    latents = [F.normalize(normal(n, 5, seed=seed), dim=1) for seed in (3, 4)]
    similarities = code_similarities(*codes)
    order = softsort(similarities, softness)

    def loss(change: float, i: int) -> float:
        moved = similarities.clone()
        moved[i, i] += change
        return float(sorted_nce(sorted_similarities(softsort(moved, softness), *latents), 2, method.temperature))

    shares = np.zeros(5)
    for i in range(n):
        own, others = float(similarities[i, i]), [float(similarities[i, j]) for j in range(n) if j != i]
        first, tied, away = own >= max(others), own == max(others), loss(1e-6, i) > loss(-1e-6, i)
        shares += np.array([first, tied, float(order[i, 0, i]), float(order[i, 1, i]), away]) / n
    found = signals(method, codes, latents, softness)
    compared = slice(0, 4 if binary else 5)  # where similarities tie, the loss has no derivative
    assert found[compared] == pytest.approx(shares[compared], rel=1e-6)
    assert 0 < found[1] < 1 if binary else 0 < found[4] < 1


def test_an_unknown_sorter_is_refused() -> None:
    with pytest.raises(HashbenchError, match="unknown sorter 'bubble'"):
        new_nsh(sorter="bubble")
