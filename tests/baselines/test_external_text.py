"""Methods that need a vision-language model: what they say where there is none, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from hashbench.baselines.duheg import DUHEG
from hashbench.baselines.uhscm import UHSCM
from hashbench.errors import HashbenchError
from hashbench.learning.session import Session
from hashbench.types import TrainView

from .joint_space import MODEL, JointSpace

MADE = {
    UHSCM: {
        "sharpness": 3.0, "threshold": 0.8, "temperature": 0.2, "contrast": 0.2, "quantisation": 0.001,
        "learning_rate": 0.1, "weight_decay": 1e-5, "batch_size": 32, "epochs": 2,
    },
    DUHEG: {
        "guidance_temperature": 0.004, "threshold": 0.97, "temperature": 0.8, "hidden": 32, "learning_rate": 1e-3,
        "lowest_learning_rate": 1e-5, "warmup_epochs": 1, "batch_size": 32, "epochs": 2,
    },
}  # fmt: skip


@pytest.fixture(params=MADE, ids=lambda method: method.__name__)
def method(request):
    return request.param(**MADE[request.param])


@pytest.fixture(scope="module")
def rows(clusters):
    return clusters(90, 1)[0]


@pytest.fixture(scope="module")
def model(clusters):
    drawn, groups = clusters(400, 9)
    return JointSpace(np.stack([drawn[groups == group].mean(axis=0) for group in range(8)]))


def test_a_run_without_such_a_model_is_told_what_to_add(rows):
    view = TrainView(np.arange(90), pooled=rows, views=rows[None].repeat(2, axis=0))
    assert UHSCM.reason_to_skip("uhscm", view.provides) == (
        "uhscm needs image embeddings of the train rows and concept text embeddings of one vision-language model; this "
        "run provides pooled, views: add a CLIP backbone and a concept list, or leave uhscm out"
    )
    assert DUHEG.reason_to_skip("duheg", []) == (
        "duheg needs image embeddings of the train rows and noun text embeddings of one vision-language model; this "
        "run provides nothing: add a CLIP backbone and a noun list, or leave duheg out"
    )


def test_a_fit_without_such_a_model_ends_before_any_training(method, rows):
    view = TrainView(np.arange(90), pooled=rows, views=rows[None].repeat(2, axis=0))
    with pytest.raises(HashbenchError, match=f"{method.title} needs image embeddings .* provides pooled, views: add"):
        method.fit(view, 16, 0, Session())


def test_a_run_with_such_a_model_is_not_skipped(method, model, rows):
    assert method.reason_to_skip("it", model.train_view(rows).provides) is None
    assert method.needs >= set(method.embeddings)


def test_class_names_and_generic_nouns_are_kept_apart():
    assert (UHSCM.texts, DUHEG.texts) == ("concept", "noun")
    assert not UHSCM.needs & DUHEG.needs - {"clip_pooled"}


def test_every_embedding_is_needed(method, model, rows):
    for field in method.embeddings:
        with pytest.raises(HashbenchError, match=f"leave {method.title} out"):
            method.fit(model.train_view(rows, **{field: None}), 16, 0, Session())


@pytest.mark.parametrize("other", ["another CLIP", "made-up CLIP, sha256 ba9876543210", None])
def test_embeddings_of_two_models_are_refused_even_of_equal_width(method, model, rows, other):
    told = dict.fromkeys(method.embeddings, MODEL) | {method.embeddings[-1]: other}
    given = {field: name for field, name in told.items() if name is not None}
    with pytest.raises(HashbenchError, match=f"one vision-language model, got .* of {other or 'an unknown model'}"):
        method.fit(model.train_view(rows, embedded_by=given), 16, 0, Session())


def test_embeddings_of_no_told_model_are_refused(method, model, rows):
    with pytest.raises(HashbenchError, match="one vision-language model"):
        method.fit(model.train_view(rows, embedded_by={}), 16, 0, Session())


def test_embeddings_of_two_widths_are_refused(method, model, rows):
    field = method.embeddings[-1]
    narrow = getattr(model.train_view(rows), field)[:, :-1]
    with pytest.raises(HashbenchError, match="one width"):
        method.fit(model.train_view(rows, **{field: narrow}), 16, 0, Session())


def test_a_single_text_is_refused(method, model, rows):
    field = method.embeddings[-1]
    with pytest.raises(HashbenchError, match=f"{field} must hold 2 texts or more, got 1"):
        method.fit(model.train_view(rows, **{field: getattr(model.train_view(rows), field)[:1]}), 16, 0, Session())


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_embeddings_that_are_not_finite_are_refused(method, model, rows, bad):
    for field in method.embeddings:
        spoilt = getattr(model.train_view(rows), field).copy()
        spoilt.reshape(-1)[-3] = bad
        with pytest.raises(HashbenchError, match=f"{field} holds values that are not finite"):
            method.fit(model.train_view(rows, **{field: spoilt}), 16, 0, Session())
