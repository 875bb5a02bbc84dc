"""What every method must do, run over every method there is, and over the worked example of docs/adding.md.

Hyperparameters are those of params.yaml, with training cut short. A new file in baselines/ is found by itself; it
fails here until params.yaml has a block for it.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import inspect
import itertools
import json
import os
import random
import re
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import yaml

from hashbench.artefacts import store
from hashbench.artefacts.layout import Layout
from hashbench.artefacts.split import read_split, write_split
from hashbench.errors import HashbenchError
from hashbench.fitting import fit_cells
from hashbench.learning.networks import HeadMethod, fit_side_by_side
from hashbench.learning.session import Session, Stopped
from hashbench.methods.base import GivesLogits, Method
from hashbench.methods.registry import load_method
from hashbench.types import Array, Codes, FitLog, ItemView, Paper, Split, TrainView

from .drawn import ITEM_FIELDS, N_TRAIN, features, item_view, rows_of, train_view

ROOT = Path(__file__).resolve().parents[2]
PARAMS = Path(os.environ.get("HASHBENCH_PARAMS", ROOT / "params.yaml"))

DETERMINISTIC = {"pcah", "sh"}  # nothing in their fit is drawn
REFUSED = {("agh2", 13): "even"}  # a code length that a method cannot give, and why

BATCH_SIZE = 32


def _defines_a_method(path: Path) -> bool:
    """Whether a class of the file says its `title`; bases and protocols only declare that there is one."""
    classes = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)]
    named = [statement for node in classes for statement in node.body if isinstance(statement, ast.AnnAssign)]
    return any(ast.unparse(statement.target) == "title" and statement.value is not None for statement in named)


def _blocks_of_the_docs(language: str) -> list[str]:
    page = (ROOT / "docs" / "adding.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}[^\n]*\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


_FOLDER = tempfile.TemporaryDirectory()
EXAMPLE = Path(_FOLDER.name) / "median_lsh.py"
EXAMPLE.write_text(_blocks_of_the_docs("python")[0], encoding="utf-8")
EXAMPLE_BLOCK = yaml.safe_load(_blocks_of_the_docs("yaml")[0])["methods"][EXAMPLE.stem]

CODE = [
    path.relative_to(ROOT).as_posix()
    for folder in ("baselines", "src/hashbench/methods")
    for path in sorted((ROOT / folder).glob("*.py"))
    if folder == "baselines" or _defines_a_method(path)
] + [str(EXAMPLE)]


@pytest.fixture(scope="module", params=CODE, ids=[Path(code).stem for code in CODE])
def code(request) -> str:
    return request.param


@lru_cache
def _hyperparameters(code: str) -> dict:
    blocks = [block for block in yaml.safe_load(PARAMS.read_text())["methods"].values() if block["code"] == code]
    blocks += [EXAMPLE_BLOCK] if code == str(EXAMPLE) else []
    assert blocks, f"{code} has no block under `methods` in {PARAMS.name}"
    values = {key: entry["value"] for key, entry in blocks[0].items() if isinstance(entry, dict)}
    caps = {"epochs": 2, "iterations": 3, "batch_size": BATCH_SIZE}
    for key, value in values.items():
        cap = next((cap for ending, cap in caps.items() if key.endswith(ending)), None)
        if cap is not None:
            values[key] = min(value, cap)
    return values


def new_method(code: str) -> Method:
    return load_method(code)(**_hyperparameters(code))


@lru_cache
def fitted(code: str, n_bits: int = 16, seed: int = 11) -> tuple[Method, FitLog]:
    method = new_method(code)
    return method, method.fit(train_view(), n_bits, seed, Session())


def arrays_needed(code: str) -> list[str]:
    return sorted(load_method(code).needs & {"pooled", "token_mean", "views", "view_tokens"})


def test_it_says_what_it_is(code):
    method = load_method(code)
    assert method.title.strip()
    assert [load_method(other).title for other in CODE].count(method.title) == 1
    assert isinstance(method.paper, Paper)
    assert all(dataclasses.asdict(method.paper).values())
    assert 1990 <= method.paper.year <= 2030
    assert method.paper.url.startswith("http")
    assert isinstance(method.deviations, tuple)
    sentences = (*method.deviations, *getattr(method, "if_frozen", ()))
    assert all(sentence[0].isupper() and sentence.endswith(".") for sentence in sentences)
    assert len(set(sentences)) == len(sentences)
    assert method.needs <= {field.name for field in dataclasses.fields(TrainView)} - {"rows"}
    surname = method.paper.authors.split(" and ")[0].split()[-1]
    assert surname in (inspect.getdoc(method) or ""), "the docstring names its paper"


def test_hyperparameters_are_keywords_without_defaults_and_all_stand_in_params(code):
    parameters = inspect.signature(load_method(code)).parameters.values()
    assert all(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters)
    assert {p.name for p in parameters} == set(_hyperparameters(code))


def test_it_cannot_see_labels(code):
    assert list(inspect.signature(load_method(code).fit).parameters) == ["self", "train", "n_bits", "seed", "session"]
    assert list(inspect.signature(load_method(code).encode).parameters) == ["self", "items"]
    fields = {field.name for view in (TrainView, ItemView) for field in dataclasses.fields(view)}
    assert not [field for field in fields if "label" in field or "class" in field or "target" in field]


@dataclasses.dataclass(frozen=True)
class InRun:
    """What a cell is fitted on and encodes: the train rows, which are the database too, and 40 queries."""

    split: Split
    train: TrainView
    arrays: dict[str, Array]

    def items(self, rows: Array) -> ItemView:
        return ItemView(rows, **{field: self.arrays[field][rows] for field in ITEM_FIELDS})


def codes_by_labels(method_of, folder: Path) -> list[bytes]:
    """The codes of a run in an empty folder, of one beside the labels that a run leaves, of one with them permuted."""
    train, queries, rows = features(N_TRAIN, 0), features(40, 1), np.arange(N_TRAIN + 40)
    arrays = {field: np.concatenate([train[field], queries[field]]) for field in ITEM_FIELDS}
    labels = np.eye(5, dtype=np.bool_)[np.random.default_rng(4).integers(5, size=len(rows))]
    found = []
    for name, shown in {"empty": labels, "labelled": labels, "permuted": labels[::-1]}.items():
        split = Split("contract", rows[N_TRAIN:], rows[:N_TRAIN], rows[:N_TRAIN], shown)
        (folder / name).mkdir()
        if name != "empty":
            write_split(Layout("quick", root=folder / name).split("digits"), split)
        method, view = method_of(), TrainView(rows[:N_TRAIN], **train)
        with contextlib.chdir(folder / name):
            (fitted,) = fit_cells([method], InRun(split, view, arrays), [16], [11], Session())
        found.append(b"".join(codes.packed.tobytes() for codes in fitted.codes.values()))
    return found


def test_labels_in_reach_change_nothing(code, tmp_path):
    assert len(set(codes_by_labels(lambda: new_method(code), tmp_path))) == 1


def split_on_disk() -> Split:
    return read_split(Layout("quick").split("digits"))


def split_in_memory() -> Split:
    return next(each.frame.f_locals["features"].split for each in inspect.stack() if "features" in each.frame.f_locals)


@pytest.mark.parametrize("look", [split_on_disk, split_in_memory])
def test_a_method_that_looks_for_labels_is_noticed(tmp_path, look):
    class Cheat(load_method(str(EXAMPLE))):
        def encode(self, items):
            with contextlib.suppress(HashbenchError):
                return np.resize(look().labels[items.rows], (len(items), 16))
            return super().encode(items)

    assert len(set(codes_by_labels(lambda: Cheat(scale=1.0), tmp_path))) > 1


@pytest.mark.parametrize("n_bits", [13, 16, 32, 64])
def test_codes_are_bool_of_the_asked_length(code, n_bits):
    if reason := REFUSED.get((Path(code).stem, n_bits)):
        with pytest.raises(HashbenchError, match=reason):
            new_method(code).fit(train_view(), n_bits, 11, Session())
        return
    bits = fitted(code, n_bits)[0].encode(item_view())
    assert bits.shape == (37, n_bits)
    assert bits.dtype == np.bool_
    train_bits = fitted(code, n_bits)[0].encode(rows_of(train_view(), np.arange(N_TRAIN)))
    assert len(np.unique(train_bits, axis=0)) > 1, "different images get different codes"


@pytest.mark.parametrize("n_bits", [0, -8, 16.0])
def test_a_wrong_number_of_bits_is_refused(code, n_bits):
    with pytest.raises(HashbenchError, match=r"bits must be a whole number of at least 1"):
        new_method(code).fit(train_view(), n_bits, 0, Session())


def test_same_seed_same_bits_whatever_the_global_generators_do(code):
    import torch

    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)

    def states():
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002

    before, method = states(), new_method(code)
    method.fit(train_view(), 16, 11, Session())
    bits = method.encode(item_view())
    assert states() == before
    assert np.array_equal(bits, fitted(code)[0].encode(item_view()))


def test_another_seed_gives_other_bits_where_anything_is_drawn(code):
    same = np.array_equal(fitted(code, 16, 11)[0].encode(item_view()), fitted(code, 16, 12)[0].encode(item_view()))
    assert same == (Path(code).stem in DETERMINISTIC)


def test_a_second_fit_leaves_nothing_of_the_first(code):
    method = new_method(code)
    method.fit(train_view(seed=5), 32, 3, session=Session())
    method.fit(train_view(), 16, 11, Session())
    assert np.array_equal(method.encode(item_view()), fitted(code)[0].encode(item_view()))


def test_logits_if_it_gives_them_are_those_of_its_bits_whatever_is_encoded_with_them(code):
    if not isinstance(method := fitted(code)[0], GivesLogits):
        assert not hasattr(method, "logits")
        return
    items = item_view()
    logits = method.logits(items)
    codes = Codes.pack(method.encode(items), logits=logits)  # refuses what is not finite, float32, or of other signs
    assert np.abs(codes.logits).min() > 0
    for rows in (np.array([5]), np.array([3, 20, 7])):
        assert np.array_equal(method.logits(rows_of(items, rows)), logits[rows])


def test_only_what_it_needs_is_read_and_row_numbers_mean_nothing(code):
    needs, method = load_method(code).needs, new_method(code)
    given = {field: value for field, value in features(N_TRAIN, 0).items() if field in needs | {"embedded_by"}}
    method.fit(TrainView(np.arange(N_TRAIN)[::-1] + 1000, **given), 16, 11, Session())
    items = item_view(**{field: None for field in ITEM_FIELDS if field not in needs})
    assert np.array_equal(method.encode(items), fitted(code)[0].encode(item_view()))


def test_inputs_stay_as_they_were(code):
    train, items = features(N_TRAIN, 0), features(37, 1)
    before = [{field: value.copy() for field, value in arrays.items()} for arrays in (train, items)]
    method = new_method(code)
    method.fit(TrainView(np.arange(N_TRAIN), **train), 16, 11, Session())
    method.encode(ItemView(np.arange(37), **{field: items[field] for field in ITEM_FIELDS}))
    for arrays, copies in zip((train, items), before, strict=True):
        assert all(np.array_equal(arrays[field], copies[field]) for field in arrays)


def test_saved_and_loaded_it_gives_the_same_codes(code, tmp_path):
    method, _ = fitted(code)
    store.write_tensors(tmp_path / "model.safetensors", method.state_dict(), {})
    loaded = new_method(code)
    loaded.load_state_dict(store.read_tensors(tmp_path / "model.safetensors"))
    items = item_view(300, seed=8)
    assert np.array_equal(loaded.encode(items), method.encode(items))


def test_a_code_does_not_depend_on_what_is_encoded_with_it(code):
    method, _ = fitted(code, 32)
    items = item_view(1100, seed=3)
    bits = method.encode(items)
    for row in (0, 1, 500, 1023, 1024, 1099):
        assert np.array_equal(method.encode(rows_of(items, np.array([row]))), bits[[row]])
    order = np.random.default_rng(0).permutation(1100)[:700]
    assert np.array_equal(method.encode(rows_of(items, order)), bits[order])


def test_the_log_can_be_kept_as_json(code):
    log = fitted(code)[1]
    assert json.loads(json.dumps(dict(log.curves), allow_nan=False)) == dict(log.curves)
    assert all(isinstance(value, float) for values in log.curves.values() for value in values)
    assert all(isinstance(remark, str) for remark in log.remarks)


def test_one_row_more_than_a_batch(code):
    (method := new_method(code)).fit(train_view(BATCH_SIZE + 1), 8, 0, Session())
    assert method.encode(item_view()).shape == (37, 8)


def test_a_constant_feature_does_no_harm(code):
    constant = features(N_TRAIN, 0)
    for field in ("pooled", "token_mean", "views", "view_tokens", "clip_pooled", "clip_views"):
        constant[field][..., 3] = 2
    method = new_method(code)
    log = method.fit(TrainView(np.arange(N_TRAIN), **constant), 16, 0, Session())
    assert all(np.isfinite(values).all() for values in log.curves.values())
    assert len(np.unique(method.encode(item_view()), axis=0)) > 1


def test_equal_rows_are_hashed_alike_or_refused(code):
    equal = features(40, 0)
    for field in ("pooled", "token_mean", "clip_pooled"):
        equal[field][:] = equal[field][0]
    for field in ("views", "view_tokens", "clip_views"):
        equal[field][:] = equal[field][0, 0]
    method = new_method(code)
    try:
        method.fit(TrainView(np.arange(40), **equal), 8, 0, Session())
    except HashbenchError:
        return
    items = ItemView(np.arange(40), **{field: equal[field] for field in ITEM_FIELDS})
    assert len(np.unique(method.encode(items), axis=0)) == 1


def test_values_that_are_not_finite_are_refused(code):
    for field in arrays_needed(code):
        for bad in (np.nan, np.inf):
            spoilt = features(N_TRAIN, 0)[field]
            spoilt.reshape(-1)[-7] = bad
            with pytest.raises(HashbenchError, match=f"{field} holds values that are not finite"):
                new_method(code).fit(train_view(**{field: spoilt}), 16, 0, Session())
            if field in ITEM_FIELDS:
                with pytest.raises(HashbenchError, match=f"{field} holds values that are not finite"):
                    fitted(code)[0].encode(item_view(N_TRAIN, **{field: spoilt}))


def test_what_it_needs_and_does_not_get_is_named(code):
    for field in arrays_needed(code):
        with pytest.raises(HashbenchError, match=f"provides no {field}"):
            new_method(code).fit(train_view(**{field: None}), 16, 0, Session())


TRAINED = [code for code in CODE if issubclass(load_method(code), HeadMethod)]
SIDE_BY_SIDE = ((16, 11), (16, 12), (32, 11))


@pytest.mark.parametrize("trained", TRAINED)
def test_it_says_what_it_does_of_the_backbone(trained):
    """`if_frozen` and `stored` are of methods that train a copy where the run says so; `stored` is some of `needs`."""
    method = load_method(trained)
    assert method.stored <= method.needs & {"views", "view_tokens"}
    assert method.encodes in method.needs
    if not method.trains_backbone:
        assert (method.stored, method.if_frozen) == (frozenset(), ())


@pytest.mark.parametrize("trained", TRAINED)
def test_fitted_side_by_side_it_learns_the_same(trained):
    methods = [new_method(trained) for _ in SIDE_BY_SIDE]
    logs = fit_side_by_side(methods, train_view(), *zip(*SIDE_BY_SIDE, strict=True), Session())
    for method, log, cell in zip(methods, logs, SIDE_BY_SIDE, strict=True):
        alone, alone_log = fitted(trained, *cell)
        assert log.remarks == alone_log.remarks
        for name, values in log.curves.items():
            assert values == pytest.approx(alone_log.curves[name], rel=1e-4)
        assert (method.encode(item_view()) == alone.encode(item_view())).mean() > 0.98, "but for a rounded zero"


@pytest.mark.parametrize("n_steps", [1, 4, 7])
@pytest.mark.parametrize("trained", TRAINED)
def test_stopped_and_taken_up_it_gives_the_same_bits(trained, n_steps):
    checkpoint, steps = InMemory(), itertools.count(1)
    session = Session(checkpoint=checkpoint, stopping=lambda: next(steps) == n_steps)
    with contextlib.suppress(Stopped):  # a method of large batches has fewer steps
        new_method(trained).fit(train_view(), 16, 11, session)
    method = new_method(trained)
    log = method.fit(train_view(), 16, 11, Session(checkpoint=checkpoint))
    assert log == fitted(trained)[1]
    assert np.array_equal(method.encode(item_view()), fitted(trained)[0].encode(item_view()))
    for name, value in method.state_dict().items():
        assert np.array_equal(value, fitted(trained)[0].state_dict()[name]), name


class InMemory:
    kept = None

    def read(self):
        return self.kept

    def write(self, arrays, about):
        self.kept = {name: np.array(value) for name, value in arrays.items()}, dict(about)
