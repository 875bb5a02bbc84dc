"""What `hashbench evaluate` prints, and what it refuses in one sentence."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hashbench.errors import HashbenchError
from hashbench.evaluation import bootstrap_interval, code_statistics, evaluate, evaluate_asymmetric
from hashbench.evaluation.command import run


def arrays():
    rng = np.random.default_rng(0)
    return {
        "query_codes": rng.choice([-1, 1], (6, 16)).astype(np.int8),
        "db_codes": rng.choice([-1, 1], (80, 16)).astype(np.int8),
        "query_labels": np.eye(4, dtype=np.int8)[rng.integers(0, 4, 6)],
        "db_labels": np.eye(4, dtype=np.int8)[rng.integers(0, 3, 80)],
    }


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "codes.npz"
    np.savez(path, **arrays())
    return path


@pytest.mark.parametrize("empty", ["zero", "nan"])
def test_json_holds_what_evaluate_gives(file, empty):
    printed = json.loads(run(file, 20, empty, as_json=True))
    expected = evaluate(*arrays().values(), k=20, empty=empty)
    for name in ("map", "map_optimistic", "map_pessimistic", "precision_within_2", "found_nothing_within_2", "k"):
        assert printed[name] == getattr(expected, name)
    for name in ("ranks", "precision_at", "recall_at", "radius_precision", "radius_recall", "relevant_histogram"):
        assert printed[name] == getattr(expected, name).tolist()
    assert printed["empty"] == empty
    assert printed["map_ci95"][0] < printed["map"] < printed["map_ci95"][1]
    counted = np.nan_to_num(expected.ap) if empty == "zero" else expected.ap
    assert printed["map_ci95"] == list(bootstrap_interval(counted, seed=0))
    between_bits = np.corrcoef(arrays()["db_codes"].T)[~np.eye(16, dtype=bool)]
    assert printed["bit_correlation"] == pytest.approx(np.abs(between_bits).mean())
    assert printed["distinct_codes"] == code_statistics(arrays()["db_codes"]).distinct
    assert printed["queries_without_relevant"] == (expected.n_relevant == 0).sum()


def test_json_of_means_over_no_query_is_null_not_nan(tmp_path):
    some = arrays()
    some["db_labels"][:] = 0
    np.savez(tmp_path / "codes.npz", **some)
    text = run(tmp_path / "codes.npz", 20, "nan", as_json=True)
    assert "NaN" not in text
    assert json.loads(text)["map"] is None
    assert "nan" in run(tmp_path / "codes.npz", 20, "nan", as_json=False)


def test_table_shows_the_map_with_its_bounds_and_rules(file):
    text = run(file, None, "zero", as_json=False)
    expected = evaluate(*arrays().values())
    for number in (expected.map, expected.map_optimistic, expected.map_pessimistic, expected.precision_within_2):
        assert f"{number:.4f}" in text
    assert "mAP@all" in text
    assert "relevant_in_top_k" in text
    assert "of queries find nothing" in text


@pytest.mark.parametrize(("empty", "said"), [("zero", "count 0"), ("nan", "are left out")])
def test_table_says_what_queries_without_relevant_items_count(file, empty, said):
    assert said in run(file, 20, empty, as_json=False)


def test_a_small_file_may_unpack_to_a_thousand_times_its_size(tmp_path):
    alike = {name: np.zeros((len(array) * 4000, 16), np.int8) for name, array in arrays().items()}
    alike["query_codes"], alike["query_labels"] = np.zeros((1, 16), np.int8), np.ones((1, 16), np.int8)
    alike["db_labels"] += 1
    np.savez_compressed(tmp_path / "codes.npz", **alike)
    assert json.loads(run(tmp_path / "codes.npz", 20, "zero", as_json=True))["map"] == 1


def with_logits():
    some = arrays()
    size = np.random.default_rng(1).random((6, 16)).astype(np.float32)
    return {**some, "query_logits": some["query_codes"] * size}


def test_real_valued_queries_are_told_apart(tmp_path, file):
    np.savez(tmp_path / "logits.npz", **with_logits())
    printed = json.loads(run(tmp_path / "logits.npz", 20, "nan", as_json=True))
    some = with_logits()
    expected = evaluate_asymmetric(some["query_logits"], *list(arrays().values())[1:], k=20, empty="nan")
    assert printed["asymmetric"]["map"] == expected.map != printed["map"]
    assert printed["asymmetric"]["precision_at"] == expected.precision_at.tolist()
    plain = json.loads(run(file, 20, "nan", as_json=True))
    assert {**plain, "asymmetric": printed["asymmetric"]} == printed, "all else is what it is without"
    text = run(tmp_path / "logits.npz", 20, "zero", as_json=False)
    assert "asymmetric mAP@20" in text
    assert "not to be compared with mAP by Hamming distance" in text
    assert "asymmetric" not in run(file, 20, "zero", as_json=False)


def test_real_valued_queries_of_other_bits_are_refused(tmp_path):
    some = with_logits()
    np.savez(tmp_path / "logits.npz", **{**some, "query_logits": -some["query_logits"]})
    with pytest.raises(HashbenchError, match="query_logits contradict query_codes"):
        run(tmp_path / "logits.npz", 20, "zero", as_json=False)


def test_golden_file(shared):
    path = shared / "golden" / "eval_single_label.npz"
    printed = json.loads(run(path, 200, "zero", as_json=True))
    assert printed["map_optimistic"] == pytest.approx(float(np.load(path)["map_optimistic"]), abs=1e-9)


def write_text(path):
    path.write_text("not an archive")


def write_cut(path):
    np.savez(path, **arrays())
    path.write_bytes(path.read_bytes()[:-200])


def write_flipped(path):
    np.savez(path, **arrays())
    content = bytearray(path.read_bytes())
    content[250] ^= 0xFF  # inside the data of query_codes: only the checksum can tell
    path.write_bytes(bytes(content))


def write_pickled(path):
    np.savez(path, **{**arrays(), "db_codes": np.array([{}], dtype=object)})


def write_lacking(path):
    np.savez(path, **{name: array for name, array in arrays().items() if name != "db_labels"})


def write_real_codes(path):
    np.savez(path, **{**arrays(), "db_codes": np.full((80, 16), 0.3)})


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: None, "is missing"),
        (write_text, "is no .npz file"),
        (write_cut, "is no .npz file"),
        (write_flipped, "cannot be read"),
        (write_pickled, "cannot be read as plain arrays"),
        (write_lacking, "lacks the array db_labels"),
        (write_real_codes, "database_codes must hold bool or 0 and 1 or -1 and \\+1"),
    ],
)
def test_refuses_in_one_sentence(tmp_path, write, message):
    path = tmp_path / "codes.npz"
    write(path)
    with pytest.raises(HashbenchError, match=message) as error:
        run(path, 10, "zero", as_json=False)
    assert "\n" not in str(error.value)
