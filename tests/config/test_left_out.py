"""Which methods a profile leaves out for want of texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import ROOT, TINY, read_params

from hashbench.config.left_out import left_out_of, provided_by, texts_of
from hashbench.config.params import Params, load_params
from hashbench.config.selection import evaluate_params, fit_params, report_params
from hashbench.features.specs import TextBanks
from hashbench.methods.registry import load_method

SENTENCE = (
    "uhscm needs image embeddings of the train rows and concept text embeddings of one vision-language model; this run "
    "provides pooled, views: add a CLIP backbone and a concept list, or leave uhscm out"
)


@pytest.fixture
def params(monkeypatch: pytest.MonkeyPatch) -> Params:
    monkeypatch.chdir(ROOT)
    params = load_params(ROOT / "params.yaml")
    quick = params.profiles["quick"].model_copy(update=TINY)
    return params.model_copy(update={"profiles": {**params.profiles, "quick": quick}})


def with_texts(params: Params, **files: str) -> Params:
    """The same, with a second backbone in `quick` that has these texts."""
    clip = params.backbones["vit_micro"].model_copy(update={"texts": TextBanks(**files)})
    quick = params.profiles["quick"].model_copy(update={"backbones": ["vit_micro", "clip"]})
    changes = {"backbones": {**params.backbones, "clip": clip}, "profiles": {**params.profiles, "quick": quick}}
    return params.model_copy(update=changes)


def test_what_the_source_says_is_what_the_class_says(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    codes = [block["code"] for block in read_params(ROOT)["methods"].values()]
    said = {code: texts_of(code) for code in codes}
    assert said == {code: getattr(load_method(code), "texts", None) for code in codes}
    assert {kind for kind in said.values() if kind} == {"concept", "noun"}


def test_a_class_of_ones_own_is_read_too_and_one_by_its_name_is_not_known(tmp_path: Path):
    own = tmp_path / "own.py"
    own.write_text("class Own:\n    title = 'Own'\n    texts = 'noun'\n\nclass Other:\n    texts = 'concept'\n")
    assert texts_of(str(own)) == "noun"
    assert texts_of("package.module:Class") is None
    assert texts_of(str(tmp_path / "absent.py")) is None


def test_methods_that_are_told_texts_are_left_out_where_there_are_none(params: Params):
    found = left_out_of(params, "quick", params.methods)
    assert set(found) == {"uhscm", "duheg"}
    assert found["uhscm"] == {"vit_micro": SENTENCE}
    assert "noun text embeddings" in found["duheg"]["vit_micro"]


def test_each_kind_of_texts_lets_its_methods_in(params: Params):
    found = left_out_of(with_texts(params, concepts="c.safetensors"), "quick", params.methods)
    assert {name: sorted(on) for name, on in found.items()} == {"uhscm": ["vit_micro"], "duheg": ["clip", "vit_micro"]}
    assert "provides clip_concepts, clip_pooled, clip_views, pooled, views:" in found["duheg"]["clip"]
    assert left_out_of(with_texts(params, nouns="n.safetensors"), "quick", ["duheg"]).keys() == {"duheg"}


def test_what_a_run_provides_are_fields_of_a_train_view(params: Params):
    from hashbench.types import TrainView

    spec = with_texts(params, concepts="c.safetensors", nouns="n.safetensors").backbones["clip"]
    assert set(provided_by(spec)) < set(TrainView._provides)


def test_no_stage_and_no_report_has_a_cell_that_is_left_out(params: Params):
    chosen = with_texts(params, concepts="c.safetensors")
    for cells in (
        list(evaluate_params(chosen, "quick", "methods").cells()),
        list(report_params(chosen, "quick", "methods").cells()),
        [cell for name in chosen.methods for cell in fit_params(chosen, "quick", "methods", name).cells()],
    ):
        on = {(cell.method, cell.backbone) for cell in cells}
        assert {pair for pair in on if pair[0] in ("uhscm", "duheg")} == {("uhscm", "clip")}
        assert {("lsh", "clip"), ("lsh", "vit_micro")} <= on
        assert len(cells) == len(set(cells))
