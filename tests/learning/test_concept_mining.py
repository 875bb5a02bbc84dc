"""UHSCM's targets and loss: the authors' vectors, a worked example, loops, and what must hold of any input."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hashbench.learning.concept_mining import (
    concept_probabilities,
    concept_similarity,
    frequent_concepts,
    uhscm_terms,
)
from hashbench.learning.losses import uhscm_loss

README = {"threshold": 0.8, "temperature": 0.2, "weight_contrast": 0.2, "weight_quantisation": 0.001}


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rotation(k: int, seed: int) -> Tensor:
    return torch.linalg.qr(normal(k, k, seed=seed))[0]


@pytest.fixture(params=[torch.float64, torch.float32], ids=str)
def golden(request, shared: Path) -> dict[str, Tensor]:
    arrays = {n: torch.from_numpy(np.array(a)) for n, a in np.load(shared / "golden/newer_uhscm.npz").items()}
    return {n: a.to(request.param) if a.is_floating_point() else a for n, a in arrays.items()}


def test_targets_equal_those_of_the_published_code(golden):
    embeddings = golden["image_features"], golden["text_features"]
    assert torch.equal(frequent_concepts(*embeddings), golden["selected"])
    assert not bool(golden["selected"].all()), "the vectors drop a concept"
    probabilities = concept_probabilities(*embeddings, float(golden["tau"]))
    torch.testing.assert_close(probabilities, golden["probabilities"], rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(concept_similarity(probabilities), golden["similarity"], rtol=1e-5, atol=1e-6)


def test_terms_and_gradient_equal_those_of_the_published_code(golden):
    codes = golden["codes"].requires_grad_()
    similarity = golden["similarity"][golden["index"]][:, golden["index"]]
    options = {name: float(golden[name]) for name in README}
    terms = uhscm_terms(codes, similarity, **options)
    weighted = {
        "similarity": golden["similarity_term"],
        "contrast": golden["weight_contrast"] * golden["contrast_term"],
        "quantisation": golden["weight_quantisation"] * golden["quantisation_term"],
    }
    for name, value in weighted.items():
        torch.testing.assert_close(terms[name], value, rtol=1e-5, atol=0)
    loss = uhscm_loss(codes, similarity, **options)
    torch.testing.assert_close(loss, golden["loss"], rtol=1e-5, atol=0)
    (gradient,) = torch.autograd.grad(loss, codes)
    assert float((gradient - golden["grad_codes"]).norm() / golden["grad_codes"].norm()) < 1e-5


def test_a_worked_example():
    probabilities = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]], dtype=torch.float64)
    similarity = concept_similarity(probabilities)
    assert similarity[0, 1:].tolist() == pytest.approx([0.2, -1])
    assert float(similarity[1, 2]) == pytest.approx(0.6)
    codes = torch.tensor([[0.5, -0.5], [0.8, 0.6], [-0.6, 0.8]], dtype=torch.float64, requires_grad=True)
    terms = uhscm_terms(codes, similarity, 0.5, 0.2, 0.2, 0.001)
    expected = {"similarity": 0.080784993, "contrast": 0.2 * -4.554370324, "quantisation": 0.001 * 0.3}
    assert {name: float(value.detach()) for name, value in terms.items()} == pytest.approx(expected, rel=1e-8)
    loss = uhscm_loss(codes, similarity, 0.5, 0.2, 0.2, 0.001)
    assert float(loss.detach()) == pytest.approx(-0.829789071, rel=1e-8)
    gradient = [[0.624389880, 0.625056546], [0.740369198, -0.987603375], [-0.487291471, -0.365801936]]
    np.testing.assert_allclose(torch.autograd.grad(loss, codes)[0].numpy(), gradient, rtol=1e-7)


def restated_probabilities(images, concepts, sharpness):
    def cosine(a, b):
        return float(a @ b / (a.norm() * b.norm()))

    n, m = len(images), len(concepts)
    cosines = [[cosine(x, t) for t in concepts] for x in images]
    counts = [sum(max(range(m), key=lambda k: row[k]) == j for row in cosines) for j in range(m)]
    kept = [j for j in range(m) if counts[j] > 0.5 * n / m]
    rows = []
    for row in cosines:
        weights = {j: math.exp(len(kept) * sharpness * (row[j] - max(row))) for j in kept}
        rows.append([weights.get(j, 0.0) / sum(weights.values()) for j in range(m)])
    return rows, kept


@pytest.mark.parametrize(("n", "m", "e", "sharpness"), [(7, 3, 2, 3.0), (30, 8, 5, 0.5), (12, 40, 6, 3.0)])
def test_probabilities_restated_with_loops(n, m, e, sharpness):
    images, concepts = normal(n, e, seed=n), normal(m, e, seed=m)
    expected, kept = restated_probabilities(images, concepts, sharpness)
    assert frequent_concepts(images, concepts).nonzero().flatten().tolist() == kept
    np.testing.assert_allclose(concept_probabilities(images, concepts, sharpness).numpy(), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("n", "bits", "threshold", "temperature"), [(2, 3, 0.8, 0.2), (9, 16, 0.1, 0.7), (6, 4, -1, 1)]
)
def test_terms_restated_with_loops(n, bits, threshold, temperature):
    codes, similarity = torch.tanh(normal(n, bits)), concept_similarity(normal(n, 4, seed=1).square())
    unit = [z / z.norm() for z in codes]
    cosines = [[float(a @ b) for b in unit] for a in unit]
    pairs = [(i, j) for i in range(n) for j in range(n) if similarity[i, j] >= threshold]
    contrast = 0.0
    for i, j in pairs:
        negatives = sum(math.exp(cosines[i][m] / temperature) for m in range(n) if (i, m) not in pairs)
        contrast -= math.log(math.exp(cosines[i][j] / temperature) / (negatives + 1e-5)) / len(pairs)
    squared = sum((cosines[i][j] - float(similarity[i, j])) ** 2 for i in range(n) for j in range(n)) / n**2
    rounded = sum((math.copysign(1, float(z)) - float(z)) ** 2 for z in codes.flatten()) / n
    terms = uhscm_terms(codes, similarity, threshold, temperature, 0.2, 0.001)
    expected = {"similarity": squared, "contrast": 0.2 * contrast, "quantisation": 0.001 * rounded}
    assert {name: float(value) for name, value in terms.items()} == pytest.approx(expected, rel=1e-9)


seeds = st.integers(0, 2**32 - 1)


@given(seed=seeds, n=st.integers(1, 30), m=st.integers(1, 12), sharpness=st.floats(0.01, 10))
@settings(deadline=None, max_examples=40)
def test_probabilities_are_of_frequent_concepts_alone(seed, n, m, sharpness):
    images, concepts = normal(n, 5, seed=seed), normal(m, 5, seed=seed + 1)
    frequent = frequent_concepts(images, concepts)
    assert bool(frequent.any())
    probabilities = concept_probabilities(images, concepts, sharpness)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(n, dtype=torch.float64))
    assert float(probabilities[:, ~frequent].sum()) == 0
    scaled = concept_probabilities(images * 7, concepts * torch.rand(m, 1, dtype=torch.float64).add(0.1), sharpness)
    torch.testing.assert_close(scaled, probabilities)
    similarity = concept_similarity(probabilities)
    torch.testing.assert_close(similarity, similarity.T)
    torch.testing.assert_close(similarity.diagonal(), torch.ones(n, dtype=torch.float64))
    assert float(similarity.min()) >= -1 - 1e-9


def test_images_of_disjoint_concepts_are_opposites():
    images = torch.eye(4, dtype=torch.float64).repeat(3, 1)
    similarity = concept_similarity(concept_probabilities(images, torch.eye(4, dtype=torch.float64), 20.0))
    expected = torch.eye(4, dtype=torch.float64).repeat(3, 3) * 2 - 1
    torch.testing.assert_close(similarity, expected)


@given(seed=seeds, scale=st.floats(0.01, 100))
@settings(deadline=None, max_examples=30)
def test_only_the_quantisation_sees_the_length_and_the_axes_of_codes(seed, scale):
    codes, similarity = torch.tanh(normal(6, 4, seed=seed)), concept_similarity(normal(6, 3, seed=seed + 1).square())
    terms = uhscm_terms(codes, similarity, **README)
    scales = torch.rand(6, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale + 0.01
    for changed in (codes * scales, codes @ rotation(4, seed)):
        others = uhscm_terms(changed, similarity, **README)
        torch.testing.assert_close(others["similarity"], terms["similarity"])
        torch.testing.assert_close(others["contrast"], terms["contrast"], rtol=1e-6, atol=1e-8)
        assert float(others["quantisation"]) != pytest.approx(float(terms["quantisation"]), rel=1e-9)


def test_codes_of_plus_and_minus_one_have_no_quantisation_error():
    codes = torch.where(normal(5, 8) >= 0, 1.0, -1.0)
    similarity = concept_similarity(normal(5, 3, seed=1).square())
    assert float(uhscm_terms(codes, similarity.float(), **README)["quantisation"]) == 0
    codes[2, 3] *= 0.99
    assert float(uhscm_terms(codes, similarity.float(), **README)["quantisation"]) > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_batch_of_positives_has_the_lowest_contrast_and_a_finite_gradient(dtype):
    codes = torch.full((4, 8), 0.5, dtype=dtype, requires_grad=True)
    terms = uhscm_terms(codes, torch.ones((4, 4), dtype=dtype), 0.8, 0.2, 1.0, 0.0)
    assert float(terms["contrast"].detach()) == pytest.approx(-1 / 0.2 - math.log(1e5), rel=1e-6)
    assert bool(torch.isfinite(torch.autograd.grad(terms["contrast"], codes)[0]).all())


def test_a_code_of_zeros_keeps_all_terms_and_gradients_finite():
    codes = torch.zeros((3, 4), requires_grad=True)
    loss = uhscm_loss(codes, torch.eye(3), **README)
    assert bool(torch.isfinite(loss))
    assert bool(torch.isfinite(torch.autograd.grad(loss, codes)[0]).all())
