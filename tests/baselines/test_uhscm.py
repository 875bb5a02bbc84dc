"""UHSCM: what it is told of the images, and what training does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hashbench.baselines.uhscm import UHSCM
from hashbench.errors import HashbenchError
from hashbench.learning.concept_mining import concept_probabilities, concept_similarity
from hashbench.learning.networks import fit_side_by_side
from hashbench.learning.session import Session
from hashbench.types import ItemView

from .joint_space import JointSpace

OPTIONS = {
    "sharpness": 3.0,
    "threshold": 0.8,
    "temperature": 0.2,
    "contrast": 0.2,
    "quantisation": 0.001,
    "learning_rate": 0.5,
    "weight_decay": 1e-5,
    "batch_size": 64,
}


@pytest.fixture(scope="module")
def model(clusters) -> JointSpace:
    drawn, groups = clusters(400, 9)
    return JointSpace(np.stack([drawn[groups == group].mean(axis=0) for group in range(8)]))


def test_a_batch_is_one_view_and_the_similarity_of_its_images(model, clusters):
    view = model.train_view(clusters(90, 1)[0])
    training = next(iter(UHSCM(**OPTIONS, epochs=1).begin(view, 8, 0, "cpu")))
    batch = torch.tensor([3, 77, 4, 10])
    rows, similarity = training.draw(batch)
    stored = torch.from_numpy(view.views.copy())[:, batch]
    assert all(bool((stored[:, place] == row).all(dim=1).any()) for place, row in enumerate(rows))
    embeddings = torch.from_numpy(view.clip_pooled.copy()), torch.from_numpy(view.clip_concepts.copy())
    whole = concept_similarity(concept_probabilities(*embeddings, 3.0))
    torch.testing.assert_close(similarity, whole[batch][:, batch])


def test_it_tells_how_many_concepts_it_kept(model, clusters):
    (remark,) = UHSCM(**OPTIONS, epochs=1).fit(model.train_view(clusters(300, 1)[0]), 8, 0, Session()).remarks
    kept, of, total = remark.split()[:3]
    assert (of, total) == ("of", "12")
    assert 6 <= int(kept) <= 9, "four of the twelve concepts name none of the eight clusters"


def test_images_of_a_single_concept_are_refused(model, clusters):
    view = model.train_view(clusters(90, 1)[0])
    one = np.broadcast_to(view.clip_pooled[:1], view.clip_pooled.shape)
    with pytest.raises(HashbenchError, match="all but 1 of 12 concepts"):
        UHSCM(**OPTIONS, epochs=1).fit(model.train_view(clusters(90, 1)[0], clip_pooled=one), 8, 0, Session())


def test_a_code_needs_no_embedding_and_is_the_sign_of_the_head(model, clusters):
    method, rows = UHSCM(**OPTIONS, epochs=1), clusters(90, 1)[0]
    method.fit(model.train_view(rows), 8, 0, Session())
    with torch.no_grad():
        expected = (method.head(torch.from_numpy(rows)) >= 0).numpy()
    assert np.array_equal(method.encode(ItemView(np.arange(90), pooled=rows)), expected)


def test_the_head_receives_a_gradient(model, clusters, unmoved):
    assert unmoved(lambda epochs: UHSCM(**OPTIONS, epochs=epochs), model.train_view(clusters(90, 1)[0])) == []


def test_the_loss_falls(model, clusters):
    curves = UHSCM(**OPTIONS, epochs=30).fit(model.train_view(clusters(300, 1)[0]), 16, 0, Session()).curves
    assert set(curves) == {"similarity", "contrast", "quantisation"}
    # Eight directions cannot all be opposite: their mean cosine is -1/7 or more, so 7/8 · (6/7)² = 0.643 is the least.
    assert curves["similarity"][-1] < 0.68 < 0.8 < curves["similarity"][0]
    assert curves["contrast"][-1] < curves["contrast"][0]


def test_what_it_is_told_beats_random_projections(model, clusters, mean_average_precision):
    (fitted_on, _), (held_out, groups) = clusters(300, 1), clusters(200, 2)
    method = UHSCM(**OPTIONS, epochs=30)
    method.fit(model.train_view(fitted_on), 16, 0, Session())
    learned = mean_average_precision(method.encode(model.item_view(held_out)), groups)
    draws = [np.random.default_rng(seed).normal(size=(40, 16)) for seed in range(5)]
    random = [mean_average_precision((held_out - fitted_on.mean(axis=0)) @ draw >= 0, groups) for draw in draws]
    assert learned > np.mean(random) + 0.1


def test_side_by_side_it_learns_the_same(model, clusters):
    view, cells = model.train_view(clusters(120, 1)[0]), [(16, 1), (16, 2), (8, 1)]
    methods = [UHSCM(**OPTIONS, epochs=3) for _ in cells]
    logs = fit_side_by_side(methods, view, *zip(*cells, strict=True), Session())
    for method, log, (bits, seed) in zip(methods, logs, cells, strict=True):
        alone = UHSCM(**OPTIONS, epochs=3)
        for name, values in alone.fit(view, bits, seed, Session()).curves.items():
            assert log.curves[name] == pytest.approx(values, rel=1e-4)
        assert np.array_equal(method.encode(view), alone.encode(view))
