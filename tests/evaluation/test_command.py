"""What `hashbench evaluate` prints, and what it refuses in one sentence."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from hashbench.errors import HashbenchError
from hashbench.evaluation import bootstrap_interval, code_statistics, command, evaluate, evaluate_asymmetric
from hashbench.evaluation.command import Asked, run
from hashbench.evaluation.readers import Reading, Sources


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


def printed(path, *ks, reading=None, **asked):
    """What the command prints of a file."""
    return run(Sources(str(path)), reading or Reading(), Asked(ks=ks or (None,), **asked))


def numbers(path, *ks, **asked):
    """The numbers at one k, from what is printed as JSON."""
    (found,) = json.loads(printed(path, *ks, form="json", **asked))["evaluations"]
    return found


@pytest.mark.parametrize("empty", ["zero", "nan"])
def test_json_holds_what_evaluate_gives(file, empty):
    found = numbers(file, 20, empty=empty)
    expected = evaluate(*arrays().values(), k=20, empty=empty)
    for name in ("map", "map_optimistic", "map_pessimistic", "measures", "k"):
        assert found[name] == getattr(expected, name)
    for name in ("ranks", "precision_at", "recall_at", "radius_precision", "radius_recall", "relevant_histogram"):
        assert found[name] == getattr(expected, name).tolist()
    assert found["empty"] == empty
    assert found["map_ci95"][0] < found["map"] < found["map_ci95"][1]
    counted = np.nan_to_num(expected.ap) if empty == "zero" else expected.ap
    assert found["map_ci95"] == list(bootstrap_interval(counted, seed=0))
    between_bits = np.corrcoef(arrays()["db_codes"].T)[~np.eye(16, dtype=bool)]
    assert found["bit_correlation"] == pytest.approx(np.abs(between_bits).mean())
    assert found["distinct_codes"] == code_statistics(arrays()["db_codes"]).distinct
    assert found["queries_without_relevant"] == (expected.n_relevant == 0).sum()


def test_json_of_means_over_no_query_is_null_not_nan(tmp_path):
    some = arrays()
    some["db_labels"][:] = 0
    np.savez(tmp_path / "codes.npz", **some)
    assert "NaN" not in printed(tmp_path / "codes.npz", 20, empty="nan", form="json")
    assert numbers(tmp_path / "codes.npz", 20, empty="nan")["map"] is None
    assert "nan" in printed(tmp_path / "codes.npz", 20, empty="nan")


def test_table_shows_the_map_with_its_bounds_and_rules(file):
    text = printed(file)
    expected = evaluate(*arrays().values())
    for number in (expected.map, expected.map_optimistic, expected.map_pessimistic, *expected.measures.values()):
        assert f"{number:.4f}" in text
    assert "mAP@all" in text
    assert "relevant_in_top_k" in text
    assert "found nothing within 2" in text


@pytest.mark.parametrize(("empty", "said"), [("zero", "count 0"), ("nan", "are left out")])
def test_table_says_what_queries_without_relevant_items_count(file, empty, said):
    assert said in printed(file, 20, empty=empty)


def test_a_small_file_may_unpack_to_a_thousand_times_its_size(tmp_path):
    alike = {name: np.zeros((len(array) * 4000, 16), np.int8) for name, array in arrays().items()}
    alike["query_codes"], alike["query_labels"] = np.zeros((1, 16), np.int8), np.ones((1, 16), np.int8)
    alike["db_labels"] += 1
    np.savez_compressed(tmp_path / "codes.npz", **alike)
    assert numbers(tmp_path / "codes.npz", 20)["map"] == 1


def with_logits():
    some = arrays()
    size = np.random.default_rng(1).random((6, 16)).astype(np.float32)
    return {**some, "query_logits": some["query_codes"] * size}


def test_real_valued_queries_are_told_apart(tmp_path, file):
    np.savez(tmp_path / "logits.npz", **with_logits())
    named, some = {"query_logits": ":query_logits"}, with_logits()
    found = numbers(tmp_path / "logits.npz", 20, empty="nan", **named)
    expected = evaluate_asymmetric(some["query_logits"], *list(arrays().values())[1:], k=20, empty="nan")
    assert found["asymmetric"]["map"] == expected.map != found["map"]
    assert found["asymmetric"]["precision_at"] == expected.precision_at.tolist()
    plain = numbers(file, 20, empty="nan")
    assert {**plain, "asymmetric": found["asymmetric"]} == found, "all else is what it is without"
    text = printed(tmp_path / "logits.npz", 20, **named)
    assert "asymmetric mAP@20" in text
    assert "not to be compared with mAP by Hamming distance" in text
    assert "asymmetric" not in printed(file, 20)


def test_real_valued_queries_have_a_number_for_each_cut_off(tmp_path):
    np.savez(tmp_path / "logits.npz", **with_logits())
    text = printed(tmp_path / "logits.npz", 5, None, form="csv", query_logits=":query_logits")
    for line, k in zip(csv.DictReader(text.splitlines()), (5, None), strict=True):
        expected = evaluate_asymmetric(with_logits()["query_logits"], *list(arrays().values())[1:], k=k)
        assert float(line["asymmetric_map"]) == expected.map


@pytest.mark.parametrize(
    ("logits", "options", "message"),
    [
        (-with_logits()["query_logits"], {}, "--query-logits logits.npz:query_logits: logits contradict the bits"),
        (with_logits()["query_logits"][:5], {}, r"must be finite float32 \(6, 16\), got float32 \(5, 16\)"),
        (with_logits()["query_logits"] > 0, {}, "must hold real values"),
        (with_logits()["query_logits"], {"order": "database"}, "leave out --query-rows and --order"),
    ],
)
def test_real_valued_queries_that_do_not_fit_are_refused(tmp_path, logits, options, message):
    np.savez(tmp_path / "logits.npz", **{**arrays(), "query_logits": logits})
    with pytest.raises(HashbenchError, match=message):
        printed(tmp_path / "logits.npz", 20, query_logits=":query_logits", **options)


def test_golden_file(shared):
    path = shared / "golden" / "eval_single_label.npz"
    assert numbers(path, 200)["map_optimistic"] == pytest.approx(float(np.load(path)["map_optimistic"]), abs=1e-9)


def test_a_bit_that_flips_on_the_disk_is_noticed(file):
    content = bytearray(file.read_bytes())
    content[250] ^= 0xFF  # inside the data of query_codes: only the checksum can tell
    file.write_bytes(bytes(content))
    with pytest.raises(HashbenchError, match="cannot be read as plain arrays"):
        printed(file)


def test_several_cut_offs_are_those_of_one_call_each(file):
    found = json.loads(printed(file, 5, 20, None, form="json"))["evaluations"]
    assert [each["k"] for each in found] == [5, 20, None]
    for each, k in zip(found, (5, 20, None), strict=True):
        alone = evaluate(*arrays().values(), k=k, ranks=each["ranks"])
        assert each["map"] == alone.map
        assert each["precision_at"] == alone.precision_at.tolist()
    assert len({tuple(each["ranks"]) for each in found}) == 1
    assert {5, 20, 80} <= set(found[0]["ranks"])
    text = printed(file, 5, None)
    assert text.index("mAP@5") < text.index("mAP@all")
    assert text.count("precision@1 ") == 1


@pytest.mark.parametrize("order", ["database", "argsort"])
@pytest.mark.parametrize("denominator", ["min_k_relevant", "relevant"])
def test_rules_are_those_of_evaluate(file, order, denominator):
    found = numbers(file, 7, order=order, denominator=denominator)
    assert found["map"] == evaluate(*arrays().values(), k=7, order=order, denominator=denominator).map
    assert (found["order"], found["denominator"]) == (order, denominator)


def test_radii_that_are_asked_for(file):
    expected = evaluate(*arrays().values())
    text = printed(file, radii=(0, 5))
    for radius in (0, 5):
        assert f"precision within radius {radius}" in text
        assert f"{expected.radius_precision[radius]:.4f}  recall {expected.radius_recall[radius]:.4f}" in text


def test_csv_has_a_line_for_each_cut_off(file):
    lines = list(csv.DictReader(printed(file, 5, None, radii=(1,), form="csv").splitlines()))
    assert [line["k"] for line in lines] == ["5", "all"]
    for line, k in zip(lines, (5, None), strict=True):
        expected = evaluate(*arrays().values(), k=k)
        assert float(line["map"]) == expected.map
        assert float(line["map_low"]) < expected.map < float(line["map_high"])
        assert float(line["radius_1_precision"]) == expected.radius_precision[1]


def test_what_was_read_is_told(file):
    assert "query codes      codes.npz:query_codes (6, 16), -1 and +1" in printed(file)
    assert json.loads(printed(file, form="json"))["read"]["database_labels"].startswith("codes.npz:db_labels (80, 4)")


def test_a_query_is_not_found_for_itself(tmp_path):
    some = arrays()
    some["query_codes"], some["query_labels"] = some["db_codes"][5:11], some["db_labels"][5:11]
    np.savez(tmp_path / "codes.npz", **some, rows=np.arange(5, 11))
    rows = {"query_rows": np.arange(5, 11), "database_rows": np.arange(80)}
    found = numbers(tmp_path / "codes.npz", 20, query_rows=":rows")
    assert found["map"] == evaluate(*some.values(), k=20, **rows).map
    assert found["map"] < numbers(tmp_path / "codes.npz", 20)["map"]


def test_zeros_of_real_values_are_told(tmp_path):
    some = arrays()
    some["db_codes"] = some["db_codes"] * 0.7
    some["db_codes"][[3, 9], [0, 2]] = 0
    np.savez(tmp_path / "codes.npz", **some)
    text = printed(tmp_path / "codes.npz", reading=Reading(binarize="sign"))
    assert "2 zeros taken as bit 0, in 2 rows, the first 3, 9" in text


def test_many_queries_draw_fewer_resamples(file, monkeypatch):
    codes, database, *labels = arrays().values()
    ap = evaluate(codes, database, *labels).ap
    for draws, resamples in ((10**9, 10_000), (6 * 300, 300), (6, 100)):
        monkeypatch.setattr(command, "_DRAWS", draws)
        expected = bootstrap_interval(np.nan_to_num(ap), seed=0, resamples=resamples)
        assert numbers(file)["map_ci95"] == list(expected)


def test_finished_blocks_are_kept_where_they_are_asked_for(tmp_path, file):
    once = printed(file, 20, None, form="json")
    for _ in range(2):
        assert printed(file, 20, None, form="json", resume=tmp_path / "blocks") == once
    assert {path.name for path in (tmp_path / "blocks").iterdir()} == {"k-20", "k-all"}
    with pytest.raises(HashbenchError, match="holds blocks of other codes, labels or rules"):
        printed(file, 20, empty="nan", resume=tmp_path / "blocks")
