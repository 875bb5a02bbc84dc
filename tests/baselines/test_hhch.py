"""HHCH: its schedule, its hierarchy, its dropout, and what training does."""

from __future__ import annotations

import contextlib
import itertools

import numpy as np
import pytest
import torch

from hashbench.baselines.hhch import HHCH, DelayedDecay, Hierarchy, cluster_counts
from hashbench.learning.hyperbolic import poincare_points
from hashbench.learning.networks import fit_side_by_side
from hashbench.learning.session import Session, Stopped
from hashbench.learning.training import Training
from hashbench.types import ItemView, TrainView

OPTIONS = {
    "temperature": 0.3,
    "curvature": 0.01,
    "clip_radius": 2.3,
    "quantisation": 0.01,
    "fine_clusters": 20,
    "middle_clusters": 10,
    "coarse_clusters": 5,
    "kmeans_iterations": 30,
    "hidden": 32,
    "dropout": 0.1,
    "width": 16,
    "learning_rate": 1e-3,
    "decay": 0.9,
    "decay_epochs": 20,
    "constant_epochs": 30,
    "batch_size": 32,
}


@pytest.fixture
def view(features) -> TrainView:
    shifts = np.random.default_rng(3).normal(size=(2, *features.shape)) * 0.2
    return TrainView(np.arange(len(features)), pooled=features, views=(features + shifts).astype(np.float32))


def begun(view: TrainView, **changes: float) -> tuple[HHCH, Training]:
    method = HHCH(**{**OPTIONS, "epochs": 1, **changes})
    return method, next(iter(method.begin(view, 8, 0, "cpu")))


def test_the_learning_rate_is_that_of_the_published_code():
    recipe = HHCH(**OPTIONS, epochs=80).recipe
    rates = [1e-3 * (1 if epoch < 30 else 0.9 ** (epoch // 20)) for epoch in range(80)]
    assert [recipe.rate(epoch) for epoch in range(80)] == pytest.approx(rates)
    assert DelayedDecay("adam", 1.0, 1, 9, schedule="step", decay=0.5, decay_epochs=2).rate(5) == 0.25


@pytest.mark.parametrize(
    ("n", "counts"), [(9000, (150, 120, 80)), (300, (150, 120, 80)), (160, (80, 64, 42)), (1, (1, 1, 1))]
)
def test_a_cluster_stands_for_two_images_or_more(n, counts):
    assert cluster_counts((150, 120, 80), n) == counts


def test_a_hierarchy_is_what_its_points_are():
    generator = torch.Generator().manual_seed(0)
    groups = torch.arange(40) % 4
    points = torch.tensor([[0.4, 0.4], [0.4, -0.4], [-0.4, 0.4], [-0.4, -0.4]])[groups]
    points += 0.01 * torch.randn((40, 2), generator=generator)
    hierarchy = Hierarchy(40, (12, 4, 1), 2)
    hierarchy.rebuild(points, 1.0, 30, generator)
    fine = hierarchy.clusters[:, 0]
    assert all(len(groups[fine == cluster].unique()) == 1 for cluster in fine.unique())
    assert hierarchy.clusters[:, 2].tolist() == [0] * 40
    assert hierarchy.sizes.tolist() == [len(hierarchy.clusters[:, level].unique()) for level in range(3)]
    for level, size in enumerate(hierarchy.sizes.tolist()):
        assert bool((hierarchy.centres[level, size:] == 0).all())
    hierarchy.rebuild(torch.zeros_like(points), 1.0, 30, generator)
    assert hierarchy.sizes.tolist() == [1, 1, 1]
    assert float(hierarchy.centres.abs().max()) == 0


def test_the_hierarchy_is_of_the_codes_of_the_originals_as_they_are_before_each_epoch(view):
    method, training = begun(view)
    head, projection, hierarchy = training.network
    for _ in range(2):
        generator = torch.Generator()
        generator.set_state(training.generator.get_state())
        training.before_epoch()
        with torch.no_grad():
            codes = method.head(torch.from_numpy(view.pooled.copy()))
            points = poincare_points(codes, projection.weight, projection.bias, 0.01, 2.3)
            expected = Hierarchy(len(view), (20, 10, 5), 16)
            expected.rebuild(points, 0.01, 30, generator)
            head[1].weight.add_(0.5)
        assert torch.equal(hierarchy.clusters, expected.clusters)
        assert torch.equal(hierarchy.centres, expected.centres)


def test_dropout_is_drawn_and_keeps_the_mean(view):
    _, training = begun(view, dropout=0.25, hidden=4096)
    _, _, first, second, _ = training.draw(torch.arange(32))
    for kept in (first, second):
        assert kept.unique().tolist() == pytest.approx([0, 1 / 0.75])
        assert float(kept.mean()) == pytest.approx(1, abs=0.01)
    assert not torch.equal(first, second)


def test_dropout_takes_what_it_drops_out_of_the_loss(view):
    _, training = begun(view, quantisation=1.0)
    training.before_epoch()
    first, second, kept1, kept2, batch = training.draw(torch.arange(32))
    lost = training.loss_terms(first, second, kept1 * 0, kept2 * 0, batch)
    codes = training.network[0][3].bias.detach().tanh()
    assert float(lost["quantisation"].detach()) == pytest.approx(float((codes.abs() - 1).square().mean()), rel=1e-5)


def test_the_head_and_the_projection_receive_a_gradient(view):
    _, training = begun(view)
    training.before_epoch()
    terms = training.loss_terms(*training.draw(torch.arange(32)))
    weights = dict(training.network.named_parameters())
    gradients = torch.autograd.grad(sum(terms.values()), list(weights.values()))
    for name, gradient in zip(weights, gradients, strict=True):
        assert float(gradient.abs().max()) > 0, name


def test_every_term_falls(clusters):
    rows = clusters(300, 1)[0]
    shifts = np.random.default_rng(3).normal(size=(2, *rows.shape)) * 0.2
    view = TrainView(np.arange(300), pooled=rows, views=(rows + shifts).astype(np.float32))
    curves = HHCH(**OPTIONS, epochs=12).fit(view, 16, 0, Session()).curves
    assert set(curves) == {"instances", "prototypes", "quantisation"}
    assert all(len(values) == 12 for values in curves.values())
    assert all(values[-1] < 0.8 * values[0] for values in curves.values())


def test_taken_up_in_the_middle_of_an_epoch_it_gives_the_same_bits(view):
    cells = [(16, 1), (16, 2), (8, 1)]

    def codes(session: Session) -> list[list[list[bool]]]:
        methods = [HHCH(**OPTIONS, epochs=3) for _ in cells]
        fit_side_by_side(methods, view, *zip(*cells, strict=True), session)
        return [method.encode(ItemView(view.rows, pooled=view.pooled)).tolist() for method in methods]

    checkpoint, steps = InMemory(), itertools.count(1)
    with contextlib.suppress(Stopped):
        codes(Session(checkpoint=checkpoint, stopping=lambda: next(steps) == 6))
    assert checkpoint.kept is not None
    assert codes(Session(checkpoint=checkpoint)) == codes(Session())


def test_there_is_no_dropout_in_a_code_and_the_code_is_the_sign(view):
    method = HHCH(**OPTIONS, epochs=1)
    method.fit(view, 8, 0, Session())
    with torch.no_grad():
        outputs = method.head(torch.from_numpy(view.pooled.copy()))
    assert np.array_equal(method.encode(ItemView(view.rows, pooled=view.pooled)), (outputs >= 0).numpy())
    assert float(outputs.abs().max()) <= 1


def test_trained_codes_retrieve_better_than_random_projections(gain_over_random_projections):
    assert gain_over_random_projections(HHCH(**OPTIONS, epochs=20)) > 0.05


class InMemory:
    """A checkpoint in memory."""

    kept = None

    def read(self):
        return self.kept

    def write(self, arrays, about):
        self.kept = {name: np.array(value) for name, value in arrays.items()}, dict(about)
