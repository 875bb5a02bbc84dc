"""DUH-EG's guidance and loss: the authors' vectors, a worked example, loops, and what must hold of any input."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hashbench.learning.external_guidance import alike, duheg_terms, guided_contrast, noun_guidance
from hashbench.learning.losses import duheg_loss


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(params=[torch.float64, torch.float32], ids=str)
def golden(request, shared: Path) -> dict[str, Tensor]:
    arrays = {n: torch.from_numpy(np.array(a)) for n, a in np.load(shared / "golden/newer_duheg.npz").items()}
    return {n: a.to(request.param) if a.is_floating_point() else a for n, a in arrays.items()}


def test_guidance_equals_that_of_the_published_code(golden):
    guidance = noun_guidance(golden["images"], golden["nouns"], float(golden["guidance_temperature"]))
    torch.testing.assert_close(guidance, golden["guidance"], rtol=1e-5, atol=1e-5)
    assert torch.equal(alike(guidance, float(golden["threshold"])), golden["positive"])
    assert bool((golden["positive"].sum(dim=1) > 1).any()), "the vectors have a pair that is alike"


def test_terms_and_gradients_equal_those_of_the_published_code(golden):
    codes = [golden[name].requires_grad_() for name in ("codes_view1", "codes_view2", "codes_text")]
    temperature = float(golden["temperature"])
    first, second, third = duheg_terms(*codes, golden["positive"], temperature).values()
    torch.testing.assert_close(first, golden["loss_view1_text"], rtol=1e-5, atol=0)
    torch.testing.assert_close(second + third, golden["loss_rest"], rtol=1e-5, atol=0)
    loss = duheg_loss(*codes, golden["positive"], temperature)
    torch.testing.assert_close(loss, golden["loss"], rtol=1e-5, atol=0)
    for found, name in zip(torch.autograd.grad(loss, codes), ("view1", "view2", "text"), strict=True):
        assert float((found - golden[f"grad_{name}"]).norm() / golden[f"grad_{name}"].norm()) < 1e-5


def test_a_worked_example():
    first, second, text = (
        torch.tensor(rows, dtype=torch.float64)
        for rows in ([[1.0, 0.0], [0.0, 1.0]], [[0.6, 0.8], [0.0, 1.0]], [[1.0, 0.0], [1.0, 1.0]])
    )
    positive = torch.eye(2, dtype=torch.bool)
    terms = duheg_terms(first, second, text, positive, 0.8)
    expected = {"view 1 to text": 0.436295222, "view 2 to text": 0.656057311, "view 1 to view 2": 0.481405213}
    assert {name: float(value) for name, value in terms.items()} == pytest.approx(expected, rel=1e-8)
    assert float(duheg_loss(first, second, text, positive, 0.8)) == pytest.approx(1.573757746, rel=1e-8)


@pytest.mark.parametrize(("n", "m", "e", "temperature"), [(1, 2, 3, 0.004), (9, 5, 4, 0.1), (3, 20, 6, 1.0)])
def test_guidance_restated_with_loops(n, m, e, temperature):
    images, nouns = normal(n, e, seed=n), normal(m, e, seed=m)
    guidance = noun_guidance(images, nouns, temperature)
    units = [noun / noun.norm() for noun in nouns]
    for image, found in zip(images, guidance, strict=True):
        cosines = [float(image @ unit / image.norm()) for unit in units]
        shares = [math.exp((cosine - max(cosines)) / temperature) for cosine in cosines]
        mixed = sum((share * unit for share, unit in zip(shares, units, strict=True)), torch.zeros(e))
        torch.testing.assert_close(found, mixed / mixed.norm())
    for i in range(n):
        for j in range(n):
            assert bool(alike(guidance, 0.5)[i, j]) == (i == j or float(guidance[i] @ guidance[j]) > 0.5)


def test_guidance_does_not_depend_on_how_many_images_there_are():
    images, nouns = normal(8200, 3), normal(4, 3, seed=1)
    torch.testing.assert_close(noun_guidance(images, nouns, 0.1)[8190:], noun_guidance(images[8190:], nouns, 0.1))


@pytest.mark.parametrize(("n", "bits", "temperature"), [(2, 3, 0.8), (7, 16, 0.2)])
def test_the_contrast_restated_with_loops(n, bits, temperature):
    codes1, codes2 = torch.tanh(normal(n, bits)), torch.tanh(normal(n, bits, seed=1))
    positive = alike(normal(n, 2, seed=2), 0.5)
    total = 0.0
    for i in range(n):
        cosines = [float(codes1[i] @ other / (codes1[i].norm() * other.norm())) for other in codes2]
        shares = [math.exp(cosine / temperature) for cosine in cosines]
        total -= math.log(sum(s for s, hit in zip(shares, positive[i], strict=True) if hit) / sum(shares)) / n
    assert float(guided_contrast(codes1, codes2, positive, temperature)) == pytest.approx(total, rel=1e-9)


seeds = st.integers(0, 2**32 - 1)


@given(seed=seeds, n=st.integers(1, 20), temperature=st.floats(0.05, 5))
@settings(deadline=None, max_examples=40)
def test_what_holds_of_any_contrast(seed, n, temperature):
    codes1, codes2 = normal(n, 6, seed=seed), normal(n, 6, seed=seed + 1)
    positive = alike(normal(n, 2, seed=seed + 2), 0.9)
    loss = float(guided_contrast(codes1, codes2, positive, temperature))
    assert loss >= 0
    assert float(guided_contrast(codes1 * 3, codes2 * 0.2, positive, temperature)) == pytest.approx(loss, rel=1e-9)
    everything = guided_contrast(codes1, codes2, torch.ones((n, n), dtype=torch.bool), temperature)
    assert float(everything) == pytest.approx(0, abs=1e-9)
    flat = guided_contrast(codes1, codes2, positive, 1e9)
    assert float(flat) == pytest.approx(float((n / positive.sum(dim=1).double()).log().mean()), abs=1e-7)


def test_all_mass_on_positives_has_no_loss():
    codes = torch.eye(5, dtype=torch.float64)
    assert float(guided_contrast(codes, codes, torch.eye(5, dtype=torch.bool), 0.01)) == pytest.approx(0, abs=1e-9)
    shifted = torch.eye(5, dtype=torch.bool).roll(1, dims=1)
    assert float(guided_contrast(codes, codes, shifted, 0.01)) == pytest.approx(-math.log(1e-12), rel=1e-9)


@given(seed=seeds, m=st.integers(1, 15))
@settings(deadline=None, max_examples=30)
def test_nouns_may_stand_in_any_order_and_have_any_length(seed, m):
    images, nouns = normal(6, 4, seed=seed), normal(m, 4, seed=seed + 1)
    guidance = noun_guidance(images, nouns, 0.1)
    order = torch.randperm(m, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(noun_guidance(images * 5, (nouns * 3)[order], 0.1), guidance)
    torch.testing.assert_close(guidance.norm(dim=1), torch.ones(6, dtype=torch.float64))


def test_an_image_is_always_like_itself():
    rows = normal(50, 7, seed=4).float()
    assert bool(alike(rows, 1 - 1e-9).diagonal().all())
