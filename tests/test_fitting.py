"""One way to fit a cell: what it gives, and one sentence for each fault of a method."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hashbench.errors import HashbenchError
from hashbench.fitting import Fitted, encode, fit_cells, new_method, wasted_bits
from hashbench.learning.session import Session, Stopped
from hashbench.methods.base import Method
from hashbench.methods.registry import load_method
from hashbench.types import Array, Codes, FitLog, ItemView, Split, TrainView

N = 60
POOLED = np.random.default_rng(0).normal(size=(N, 6)).astype(np.float32)


@dataclass(frozen=True)
class InMemory:
    """Features of 60 items, of which the last 20 are queries."""

    split: Split
    train: TrainView
    pooled: Array

    def items(self, rows: Array) -> ItemView:
        return ItemView(rows, pooled=self.pooled[rows])


@pytest.fixture
def features() -> InMemory:
    rows = np.random.default_rng(1).permutation(N)
    query, train = rows[:20], rows[20:]
    labels = np.eye(2, dtype=np.bool_)[np.arange(N) % 2]
    pooled = POOLED.copy()
    views = np.stack([pooled[train], pooled[train] + 0.1]).astype(np.float32)
    view = TrainView(train, pooled=pooled[train], views=views)
    return InMemory(Split("test", query, train, train, labels), view, pooled)


CONTROL = {
    "negatives": "both_views",
    "temperature": 0.5,
    "hidden": 8,
    "learning_rate": 1e-3,
    "batch_size": 20,
    "epochs": 3,
}

WORKING = """
    title = "Mine"
    paper = None
    needs = frozenset({"pooled"})
    deviations = ()

    def fit(self, train, n_bits, seed, session):
        self.planes = np.random.default_rng(seed).normal(size=(train.pooled.shape[1], n_bits))
        return FitLog()

    def encode(self, items):
        return items.pooled @ self.planes >= 0

    def state_dict(self):
        return {"planes": self.planes}

    def load_state_dict(self, state):
        self.planes = state["planes"]
"""
HEAD = "import sys\nimport numpy as np\nfrom hashbench.types import FitLog\n\n\nclass Mine:"


def mine(folder: Path, name: str = "", body: str = "") -> Method:
    """A user's method, whose function `name` does `body` first."""
    text = HEAD + WORKING
    if name:
        text = re.sub(rf"(    def {name}\(.*\n)", rf"\1        {body}\n", text)
    path = folder / "mine.py"
    path.write_text(text)
    return load_method(str(path))()


def fit(method: Method, features: InMemory, n_bits: int = 16) -> Fitted:
    (fitted,) = fit_cells([method], features, [n_bits], [3], Session())
    return fitted


def test_a_cell_is_fitted_and_encoded(tmp_path: Path, features: InMemory) -> None:
    fitted = fit(mine(tmp_path), features)
    planes = np.random.default_rng(3).normal(size=(6, 16))
    assert set(fitted.codes) == {"query", "database"}
    for part, codes in fitted.codes.items():
        rows = getattr(features.split, part)
        assert np.array_equal(codes.rows, rows)
        assert np.array_equal(codes.unpack(), features.pooled[rows] @ planes >= 0)
    assert fitted.log == FitLog()
    assert fitted.fit_seconds >= 0
    assert fitted.encode_seconds >= 0


LOGITS = """
    def logits(self, items):
        return (items.pooled @ self.planes).astype(np.float32)
"""


def giving_logits(folder: Path, body: str = "") -> Method:
    text = HEAD + WORKING + LOGITS.replace("        return", f"        {body}\n        return", 1)
    (folder / "mine.py").write_text(text)
    return load_method(str(folder / "mine.py"))()


def test_queries_keep_the_logits_of_a_method_that_gives_them(tmp_path: Path, features: InMemory) -> None:
    codes = fit(giving_logits(tmp_path), features).codes
    planes = np.random.default_rng(3).normal(size=(6, 16))
    expected = features.pooled[features.split.query] @ planes
    np.testing.assert_allclose(codes["query"].logits, expected, rtol=1e-5)
    assert codes["database"].logits is None
    assert fit(mine(tmp_path), features).codes["query"].logits is None


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("return -(items.pooled @ self.planes).astype(np.float32)", "Mine: logits contradict the bits"),
        ("return items.pooled @ self.planes", r"Mine: logits must be finite float32 \(20, 16\), got float64"),
        ("return items.pooled", r"Mine: logits must be finite float32 \(20, 16\), got float32 \(20, 6\)"),
        ("return None", r"Mine: logits must return float32 \(items, bits\), got None"),
        ("raise ValueError('no')", "Mine: .*logits.*no"),
    ],
)
def test_logits_that_are_none_are_told_in_one_sentence(
    tmp_path: Path, features: InMemory, body: str, sentence: str
) -> None:
    with pytest.raises(HashbenchError, match=sentence) as error:
        fit(giving_logits(tmp_path, body), features)
    assert "\n" not in str(error.value)


def test_heads_are_fitted_together_as_each_alone(features: InMemory) -> None:
    control = load_method("baselines/contrastive.py")
    heads = [new_method("contrastive", control, CONTROL) for _ in range(3)]
    together = fit_cells(heads, features, [8, 8, 12], [1, 2, 1], Session())
    for fitted, n_bits, seed in zip(together, (8, 8, 12), (1, 2, 1), strict=True):
        (alone,) = fit_cells([new_method("contrastive", control, CONTROL)], features, [n_bits], [seed], Session())
        assert fitted.codes["database"].n_bits == n_bits
        assert (fitted.codes["database"].unpack() == alone.codes["database"].unpack()).mean() > 0.98
        assert fitted.log.curves["contrastive"] == pytest.approx(alone.log.curves["contrastive"], rel=1e-4)
    assert len({fitted.fit_seconds for fitted in together}) == 1


def test_the_session_reaches_the_fit(tmp_path: Path, features: InMemory) -> None:
    method = mine(tmp_path, "fit", "self.session = session")
    session = Session(precision="bf16")
    fit_cells([method], features, [4], [0], session)
    assert method.session is session  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "body", "sentence"),
    [
        ("fit", "return None", "Mine: fit must return a FitLog of curves (lists of numbers by name) and remarks"),
        ("fit", "return {'loss': [1.0]}", "and remarks (texts), got a dict"),
        ("fit", "return FitLog({'loss': 1.0})", "fit must return a FitLog of curves"),
        ("fit", "return FitLog({'loss': ['low']})", "fit must return a FitLog of curves"),
        ("fit", "return FitLog(remarks=(3,))", "fit must return a FitLog of curves"),
        ("fit", "sys.exit(3)", "Mine: fit ended the whole process (`exit`); let it return or raise"),
        ("fit", "exit()", "Mine: fit ended the whole process (`exit`); let it return or raise"),
        ("encode", "sys.exit()", "Mine: encode ended the whole process (`exit`); let it return or raise"),
        ("encode", "return None", "Mine: encode must return bool (20, 16) here, got None"),
        ("encode", "return items.pooled", "Mine: encode must return bool (20, 16) here, got float32 (20, 6)"),
        ("encode", "return (items.pooled @ self.planes)", "bool (20, 16) here, got float64 (20, 16)"),
        ("encode", "return (items.pooled @ self.planes >= 0)[:, :8]", "bool (20, 16) here, got bool (20, 8)"),
        ("encode", "return (items.pooled @ self.planes >= 0)[1:]", "bool (20, 16) here, got bool (19, 16)"),
        ("encode", "return (items.pooled @ self.planes >= 0).tolist()", "bool (20, 16) here, got a list"),
        ("state_dict", "return None", "Mine: state_dict must return arrays by name, got None"),
        ("state_dict", "return {'planes': [1.0]}", "Mine: state_dict must return arrays by name, got a dict"),
        (
            "state_dict",
            "return {'planes': np.where(self.planes > 1, np.nan, self.planes)}",
            "Mine: 'planes' of the fitted state holds NaN; check the features, or lower a learning rate",
        ),
    ],
)
def test_a_fault_is_named_in_one_sentence(
    tmp_path: Path, features: InMemory, name: str, body: str, sentence: str
) -> None:
    with pytest.raises(HashbenchError) as error:
        fit(mine(tmp_path, name, body), features)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("array", ["pooled", "views", "rows"])
def test_a_changed_input_is_named(tmp_path: Path, features: InMemory, array: str) -> None:
    # As an operation in place does on a tensor that was made from the array: the read-only flag is none of its concern.
    method = mine(tmp_path, "fit", f"import ctypes; ctypes.memset(train.{array}.ctypes.data, 255, 1)")
    with pytest.raises(HashbenchError, match=f"Mine: fit changed its input, {array}; let it work on a copy"):
        fit(method, features)


def test_what_is_mapped_from_a_file_is_not_read_to_be_compared(
    tmp_path: Path, features: InMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "views.npy", np.zeros((3, 40, 6), dtype=np.float32))
    views = np.load(tmp_path / "views.npy", mmap_mode="r")
    view = TrainView(features.train.rows, pooled=features.train.pooled, views=views)
    sizes: list[int] = []
    monkeypatch.setattr("zlib.crc32", lambda data: sizes.append(memoryview(data).nbytes))
    fit(mine(tmp_path), InMemory(features.split, view, features.pooled))
    assert sizes == [view.rows.nbytes, view.pooled.nbytes] * 2  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "doing"), [("fit", "fit"), ("encode", "encode"), ("state_dict", "state_dict"), ("__init__", "constructor")]
)
def test_an_exception_is_told_with_its_place_in_the_users_file(
    tmp_path: Path, features: InMemory, caplog: pytest.LogCaptureFixture, name: str, doing: str
) -> None:
    path = tmp_path / "mine.py"
    text = HEAD + WORKING
    if name == "__init__":
        text += "\n    def __init__(self):\n        pass\n"
    path.write_text(re.sub(rf"(    def {name}\(.*\n)", r"\1        np.zeros(3) @ np.zeros(4)  # here\n", text))
    line = path.read_text().splitlines().index("        np.zeros(3) @ np.zeros(4)  # here") + 1
    with caplog.at_level(logging.DEBUG, "hashbench"), pytest.raises(HashbenchError) as error:
        fit(new_method("mine", load_method(str(path)), {}), features)
    said = str(error.value)
    assert f"{doing} raised ValueError: matmul: Input operand 1" in said
    assert f"({path}, line {line}); `hashbench -v` shows the whole traceback" in said
    assert "\n" not in said
    assert "Traceback (most recent call last)" in caplog.text


def test_an_exception_deeper_down_is_placed_in_the_users_file(tmp_path: Path, features: InMemory) -> None:
    body = "from hashbench.learning.shallow import k_means; k_means(train.pooled, None, 3, 1, None)"
    with pytest.raises(HashbenchError, match=r"Mine: fit raised UFuncTypeError: .*mine\.py, line \d+"):
        fit(mine(tmp_path, "fit", body), features)


def test_a_fault_of_something_else_stays_what_it_is(features: InMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug of hashbench, or a full disk under its checkpoint, is no fault of the method."""
    import hashbench.learning.networks as networks

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(networks, "minimise", full)
    method = new_method("contrastive", load_method("baselines/contrastive.py"), CONTROL)
    with pytest.raises(OSError, match="No space left"):
        fit(method, features)


@pytest.mark.parametrize("interrupt", ["KeyboardInterrupt", "Stopped"])
def test_interrupts_pass(tmp_path: Path, features: InMemory, interrupt: str) -> None:
    method = mine(tmp_path, "fit", f"from hashbench.learning.session import Stopped; raise {interrupt}")
    with pytest.raises({"KeyboardInterrupt": KeyboardInterrupt, "Stopped": Stopped}[interrupt]):
        fit(method, features)


def test_what_it_needs_and_the_features_lack_is_named(tmp_path: Path, features: InMemory) -> None:
    method = mine(tmp_path)
    method.needs = frozenset({"pooled", "view_tokens", "backbone"})  # type: ignore[misc]
    with pytest.raises(HashbenchError, match=r"Mine needs backbone, view_tokens; these features provide pooled, views"):
        fit(method, features)


def test_codes_that_waste_bits_are_kept_with_a_remark(tmp_path: Path, features: InMemory) -> None:
    body = "bits = items.pooled @ self.planes >= 0; bits[:, 1] = True; bits[:, 3] = ~bits[:, 2]; return bits"
    fitted = fit(mine(tmp_path, "encode", body), features)
    assert fitted.log.remarks == (
        "1 of 16 bits are the same for every item",
        "1 of 16 bits are another bit or its opposite",
    )
    assert fitted.codes["database"].n_bits == 16


@pytest.mark.parametrize("n_bits", [1, 5, 8, 13])
def test_wasted_bits_are_counted(n_bits: int) -> None:
    bits = np.random.default_rng(0).integers(2, size=(200, n_bits)).astype(np.bool_)
    assert wasted_bits(Codes.pack(bits)) == ()
    assert wasted_bits(Codes.pack(np.zeros_like(bits))) == (f"{n_bits} of {n_bits} bits are the same for every item",)
    twice = np.concatenate([bits, bits, ~bits], axis=1)
    assert wasted_bits(Codes.pack(twice)) == (f"{2 * n_bits} of {3 * n_bits} bits are another bit or its opposite",)


def test_rows_are_encoded_a_block_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method = mine(tmp_path)
    sizes: list[int] = []

    class Counting(InMemory):
        def items(self, rows: Array) -> ItemView:
            sizes.append(len(rows))
            return super().items(rows)

    monkeypatch.setattr("hashbench.fitting.ROWS_AT_ONCE", 25)
    rows = np.arange(N)[::-1]
    split = Split("test", rows[:20], rows[20:], rows[20:], np.ones((N, 1), dtype=np.bool_))
    features = Counting(split, TrainView(split.train, pooled=POOLED[split.train]), POOLED)
    method.fit(features.train, 8, 0, Session())
    codes = encode(method, features, rows, 8)
    assert sizes == [25, 25, 10]
    assert np.array_equal(codes.unpack(), method.encode(ItemView(rows, pooled=POOLED[rows])))
    assert np.array_equal(codes.rows, rows)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"scale": "abc"}, "key 'mine.scale' is 'abc'; it must be a finite number"),
        ({"scale": 1.0, "skale": 2.0}, "unknown key 'mine.skale' with the value 2.0; did you mean 'scale'?"),
        ({}, "key 'mine.scale' is missing; mine needs scale"),
    ],
)
def test_hyperparameters_of_a_users_own_are_checked(tmp_path: Path, values: dict[str, Any], sentence: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(HEAD + WORKING + "\n    def __init__(self, *, scale: float):\n        self.scale = scale\n")
    with pytest.raises(HashbenchError, match=re.escape(sentence)):
        new_method("mine", load_method(str(path)), values)
    assert new_method("mine", load_method(str(path)), {"scale": 2}).scale == 2  # type: ignore[attr-defined]


def test_fitting_a_shallow_method_imports_no_torch() -> None:
    program = "import sys, hashbench.fitting; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
