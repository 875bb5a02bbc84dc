"""`evaluate` as users call it: golden values, brute force, every accepted kind of input, and every refusal."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashbench.errors import HashbenchError
from hashbench.evaluation import evaluate
from hashbench.types import Codes

GOLDEN = ["single_label", "multi_label", "all"]


@pytest.fixture(params=GOLDEN)
def golden(request, shared):
    """One file of values that the evaluation routines of published code gave."""
    with np.load(shared / "golden" / f"eval_{request.param}.npz", allow_pickle=False) as archive:
        return dict(archive)


def evaluate_golden(golden, **options):
    arrays = (golden[name] for name in ("query_codes", "db_codes", "query_labels", "db_labels"))
    return evaluate(*arrays, k=int(golden["k"]), ranks=golden["topk"], **options)


def test_golden_map(golden):
    result = evaluate_golden(golden)
    assert result.map_optimistic == pytest.approx(golden["map_optimistic"], abs=1e-9)
    assert result.map_pessimistic == pytest.approx(golden["map_pessimistic"], abs=1e-9)
    assert abs(result.map - golden["map_random_ties_mean"]) <= 4 * golden["map_random_ties_sem"]


def test_golden_precision_and_recall_lie_inside_the_tie_bounds(golden):
    order = np.argsort(golden["topk"])
    distance = (golden["query_codes"][:, None] != golden["db_codes"][None]).sum(axis=2)
    relevant = golden["query_labels"].astype(int) @ golden["db_labels"].T.astype(int) > 0
    bounds = []
    for place in (~relevant, relevant):
        found = np.cumsum(np.take_along_axis(relevant, np.lexsort((place, distance)), axis=1), axis=1)
        found = found[:, golden["topk"][order] - 1]
        bounds.append((
            (found / golden["topk"][order]).mean(axis=0),
            (found / relevant.sum(axis=1, keepdims=True)).mean(axis=0),
        ))  # fmt: skip
    result = evaluate_golden(golden)
    for number, name in enumerate(("precision", "recall")):
        most, least = bounds[0][number] + 1e-8, bounds[1][number] - 1e-8  # the golden values were float32
        assert (least <= golden[f"{name}_official"][order]).all()
        assert (golden[f"{name}_official"][order] <= most).all()
        ours = getattr(result, f"{name}_at")
        assert (least <= ours).all()
        assert (ours <= most).all()


@pytest.mark.parametrize("order", ["database", "argsort"])
def test_orders_of_published_code(golden, order):
    """The loop that published code runs, over float32 codes of -1 and +1."""
    k = int(golden["k"])
    query, database = golden["query_codes"].astype(np.float32), golden["db_codes"].astype(np.float32)
    kind = "stable" if order == "database" else None
    aps = []
    for code, label in zip(query, golden["query_labels"], strict=True):
        hits = golden["db_labels"] @ label > 0
        distance = 0.5 * (query.shape[1] - database @ code)
        ranks = np.flatnonzero(hits[np.argsort(distance, kind=kind)][:k]) + 1
        aps.append(np.mean(np.arange(1, len(ranks) + 1) / ranks) if len(ranks) else 0.0)
    result = evaluate_golden(golden, order=order)
    assert result.order == order
    np.testing.assert_allclose(result.ap, aps, rtol=1e-12)
    # The bounds are those of the ties, whatever the order.
    assert result.map_optimistic == evaluate_golden(golden).map_optimistic


@st.composite
def problems(draw):
    """Small codes and labels of either kind, with k anywhere, and often with repeated codes, so that there are ties."""
    n_query, n_database, n_bits = draw(st.integers(1, 3)), draw(st.integers(1, 6)), draw(st.sampled_from([4, 5, 11]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    flip = draw(st.sampled_from([0.05, 0.2, 0.5]))
    codes = [rng.random((n, n_bits)) < flip for n in (n_query, n_database)]
    n_classes = draw(st.integers(1, 4))
    if draw(st.booleans()):
        labels = [rng.integers(0, n_classes, n) for n in (n_query, n_database)]
        relevant = labels[0][:, None] == labels[1]
    else:
        labels = [rng.random((n, n_classes)) < 0.3 for n in (n_query, n_database)]
        relevant = (labels[0][:, None] & labels[1]).any(axis=2)
    distance = (codes[0][:, None] != codes[1]).sum(axis=2)
    return codes, labels, distance, relevant, draw(st.integers(1, n_database + 2))


@settings(max_examples=60, deadline=None)
@given(
    problem=problems(),
    denominator=st.sampled_from(["relevant_in_top_k", "min_k_relevant", "relevant"]),
    empty=st.sampled_from(["zero", "nan"]),
)
def test_everything_equals_brute_force(brute_force, problem, denominator, empty):
    codes, labels, distance, relevant, k = problem
    n = distance.shape[1]
    result = evaluate(*codes, *labels, k=k, denominator=denominator, empty=empty, ranks=range(1, n + 1))
    every = [brute_force(*query) for query in zip(distance, relevant, strict=True)]

    def mean(values):
        values = np.array(values, float)
        counted = np.ones(len(values), bool) if empty == "zero" else relevant.any(axis=1)
        filled = np.nan_to_num(values[counted])
        return filled.mean(axis=0) if counted.any() else np.full(values.shape[1:], np.nan)

    def same(ours, theirs):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)

    ap = [each.ap(k, denominator) for each in every]
    same(result.ap, ap)
    same(result.map, mean(ap))
    same(result.ap_optimistic, [each.ap_relevant("first", k, denominator) for each in every])
    same(result.ap_pessimistic, [each.ap_relevant("last", k, denominator) for each in every])
    same(result.ndcg, [each.ndcg(k) for each in every])
    same(result.mean_ndcg, mean(result.ndcg))
    found = np.array([[each.found(rank) for rank in range(1, n + 1)] for each in every])
    n_relevant = relevant.sum(axis=1)
    same(result.n_relevant, n_relevant)
    same(result.precision_at, mean(found / np.arange(1, n + 1)))
    same(result.recall_at, mean(found / np.maximum(n_relevant, 1)[:, None]))

    radii = np.arange(codes[0].shape[1] + 1)
    inside = distance[:, :, None] <= radii
    hits = (inside & relevant[:, :, None]).sum(axis=1)
    precision = hits / np.maximum(inside.sum(axis=1), 1)
    same(result.radius_precision, mean(precision))
    same(result.radius_recall, mean(hits / np.maximum(n_relevant, 1)[:, None]))
    same(result.measures["precision_within_2"], mean(precision[:, 2]))
    same(result.measures["found_nothing_within_2"], (inside[:, :, 2].sum(axis=1) == 0).mean())
    same(result.relevant_histogram, [(relevant & (distance == radius)).sum() for radius in radii])
    same(result.other_histogram, [(~relevant & (distance == radius)).sum() for radius in radii])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), order=st.sampled_from(["random", "database", "argsort"]), k=st.integers(1, 12))
def test_a_query_that_is_in_the_database_does_not_find_itself(seed, order, k):
    rng = np.random.default_rng(seed)
    codes, labels, rows = rng.random((10, 4)) < 0.3, rng.integers(0, 3, 10), rng.permutation(100)[:10]
    query = np.array([3, 7])
    result = evaluate(
        codes[query], codes, labels[query], labels, k=k, order=order, query_rows=rows[query], database_rows=rows
    )
    for position, own in enumerate(query):
        others = np.arange(10) != own
        alone = evaluate(codes[[own]], codes[others], labels[[own]], labels[others], k=k, order=order)
        np.testing.assert_allclose(result.ap[position], alone.ap[0])
        np.testing.assert_allclose(result.ndcg[position], alone.ndcg[0])
        assert result.n_relevant[position] == alone.n_relevant[0]
    assert result.relevant_histogram.sum() + result.other_histogram.sum() == 2 * 9


def example():
    rng = np.random.default_rng(5)
    return rng.random((4, 12)) < 0.5, rng.random((50, 12)) < 0.5, rng.integers(0, 3, 4), rng.integers(0, 3, 50)


def one_hot(labels):
    return np.eye(3, dtype=int)[labels]


def same_results(a, b):
    assert (a.map, a.map_optimistic, a.map_pessimistic) == (b.map, b.map_optimistic, b.map_pessimistic)
    np.testing.assert_array_equal(a.relevant_histogram, b.relevant_histogram)
    np.testing.assert_array_equal(a.other_histogram, b.other_histogram)


@pytest.mark.parametrize(
    "form",
    [
        lambda bits: bits.astype(np.uint8),
        lambda bits: bits.astype(np.float32),
        lambda bits: bits.astype(np.int8) * 2 - 1,
        lambda bits: bits * 2.0 - 1,
        lambda bits: bits.tolist(),
        Codes.pack,
    ],
    ids=["0/1", "0.0/1.0", "-1/+1", "-1.0/+1.0", "list", "Codes"],
)
def test_every_kind_of_codes_gives_the_same(form):
    query, database, *labels = example()
    same_results(evaluate(form(query), form(database), *labels), evaluate(query, database, *labels))


@pytest.mark.parametrize("dtype", [bool, np.int64, np.float32])
def test_every_kind_of_labels_gives_the_same(dtype):
    query, database, *labels = example()
    hot = [one_hot(each).astype(dtype) for each in labels]
    same_results(evaluate(query, database, *hot), evaluate(query, database, *labels))


def test_torch_tensors_give_the_same():
    torch = pytest.importorskip("torch")
    query, database, *labels = example()
    signs = [torch.tensor(bits * 2.0 - 1, requires_grad=True) for bits in (query, database)]
    same_results(evaluate(*signs, *map(torch.tensor, labels)), evaluate(query, database, *labels))
    half = [each.detach().to(torch.bfloat16) for each in signs]
    same_results(evaluate(*half, *map(torch.tensor, labels)), evaluate(query, database, *labels))


def test_inputs_are_left_alone_and_order_of_rows_does_not_matter():
    query, database, query_labels, database_labels = example()
    before = database.copy(), database_labels.copy()
    shuffled = np.random.default_rng(0).permutation(50)
    same_results(
        evaluate(query, database, query_labels, database_labels, k=20),
        evaluate(query, database[shuffled], query_labels, database_labels[shuffled], k=20),
    )
    np.testing.assert_array_equal(database, before[0])
    np.testing.assert_array_equal(database_labels, before[1])


def test_default_ranks_are_1_2_5_10_with_k_and_the_whole_database():
    query, database, *labels = example()
    assert evaluate(query, database, *labels, k=30).ranks.tolist() == [1, 2, 5, 10, 20, 30, 50]


def test_memory_does_not_grow_with_pairs():
    """64 x 200,000 pairs: one byte a pair would be 12 MiB; packing and counting need a part of that."""
    rng = np.random.default_rng(0)
    query, database = (rng.integers(0, 2, (n, 64), dtype=np.uint8) for n in (64, 200_000))
    labels = rng.integers(0, 10, 64), rng.integers(0, 10, 200_000)
    hot = [np.eye(10, dtype=bool)[each] for each in labels]
    evaluate(query, database[:100], hot[0], hot[1][:100], k=1000)
    tracemalloc.start()
    evaluate(query, database, *hot, k=1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 9 * 2**20


def test_any_number_of_classes():
    """Class numbers and one-hot of 3,000 classes, some of them on one side alone, give the same."""
    rng = np.random.default_rng(0)
    query, database = rng.integers(0, 2, (1500, 12)), rng.integers(0, 2, (2500, 12))
    a, b = rng.permutation(3000)[:1500], rng.permutation(3000)[:2500]
    by_number = evaluate(query, database, a, b, k=50)
    by_column = evaluate(query, database, np.eye(3000, dtype=bool)[a], np.eye(3000, dtype=bool)[b], k=50)
    assert (by_number.n_relevant == np.isin(a, b)).all()
    np.testing.assert_array_equal(by_number.ap, by_column.ap)


BAD = {
    "three values": (lambda q, d, a, b: (q * 1 - (d[:4] * 1), d, a, b), "query_codes must hold bool or 0 and 1 or -1"),
    "real values": (lambda q, d, a, b: (q, d * 0.3, a, b), "take the sign first"),
    "not finite": (lambda q, d, a, b: (q, np.where(d, np.nan, 1), a, b), "database_codes must hold"),
    "one axis": (lambda q, d, a, b: (q[0], d, a, b), "must be (items, bits)"),
    "no items": (lambda q, d, a, b: (q[:0], d, a[:0], b), "at least one item"),
    "too many bits": (lambda q, d, a, b: (np.ones((4, 1025)), d, a, b), "1 to 1024 bits"),
    "ones beyond the last bit": (
        lambda q, d, a, b: (Codes(np.full((4, 2), 255, np.uint8), 12, np.arange(4)), d, a, b),
        "bits after the last of 12 must be 0",
    ),
    "text": (lambda q, d, a, b: (q, d.astype(str), a, b), "must be an array of numbers or bool"),
    "ragged": (lambda q, d, a, b: ([[0, 1], [1]], d, a, b), "query_codes must be an array of numbers"),
    "bits differ": (lambda q, d, a, b: (q[:, :11], d, a, b), "query_codes have 11 bits and database_codes 12"),
    "items differ": (lambda q, d, a, b: (q, d, a, b[:49]), "database_codes have 50 items and database_labels 49"),
    "classes differ": (lambda q, d, a, b: (q, d, one_hot(a), one_hot(b)[:, :2]), "with the same classes"),
    "kinds differ": (lambda q, d, a, b: (q, d, a, one_hot(b)), "both (items,) of class numbers"),
    "labels -1": (lambda q, d, a, b: (q, d, a - 1, b), "integers from 0"),
    "labels not whole": (lambda q, d, a, b: (q, d, a * 1.0, b), "integers from 0"),
    "labels not hot": (lambda q, d, a, b: (q, d, one_hot(a) * 2, one_hot(b)), "query_labels must hold bool or 0 and 1"),
    "labels -1/+1": (lambda q, d, a, b: (q, d, one_hot(a) * 2 - 1, one_hot(b)), "query_labels must hold"),
}


@pytest.mark.parametrize("case", BAD)
def test_refuses_wrong_arrays(case):
    make, message = BAD[case]
    with pytest.raises(HashbenchError) as error:
        evaluate(*make(*example()))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k must be a whole number of at least 1"),
        ({"k": -1}, "k must be"),
        ({"k": 2.5}, "k must be"),
        ({"k": True}, "k must be"),
        ({"denominator": "all"}, "denominator must be one of relevant_in_top_k, min_k_relevant, relevant"),
        ({"empty": "skip"}, "empty must be one of zero, nan"),
        ({"order": "stable"}, "order must be one of random, database, argsort"),
        ({"engine": "gpu"}, "engine must be one of cpu, cuda"),
        ({"ranks": [0, 1]}, "ranks must be whole numbers from 1 to 50"),
        ({"ranks": [51]}, "ranks must be"),
        ({"ranks": []}, "ranks must be"),
        ({"ranks": [1.5]}, "ranks must be"),
        ({"query_rows": range(4)}, "must be given together"),
        ({"query_rows": range(3), "database_rows": range(50)}, "query_rows must be 4 whole numbers"),
        ({"query_rows": range(4), "database_rows": [1] * 50}, "database_rows names a row twice"),
    ],
)
def test_refuses_wrong_rules(options, message):
    with pytest.raises(HashbenchError, match=message.replace("(", r"\(")):
        evaluate(*example(), **options)


def test_cuda_without_a_device_is_refused():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        same_results(evaluate(*example(), engine="cuda"), evaluate(*example()))
    else:
        with pytest.raises(HashbenchError, match="no CUDA device"):
            evaluate(*example(), engine="cuda")


@pytest.mark.parametrize("n_bits", [8, 16, 64, 72, 200])
def test_packed_codes_of_whole_bytes_give_what_their_bits_give(n_bits):
    rng = np.random.default_rng(n_bits)
    query, database = rng.integers(0, 2, (5, n_bits)) == 1, rng.integers(0, 2, (40, n_bits)) == 1
    labels = rng.integers(0, 3, 5), rng.integers(0, 3, 40)
    packed, plain = evaluate(Codes.pack(query), Codes.pack(database), *labels), evaluate(query, database, *labels)
    np.testing.assert_array_equal(packed.ap, plain.ap)
    np.testing.assert_array_equal(packed.relevant_histogram, plain.relevant_histogram)


def test_self_matches_of_many_classes_are_left_out_wherever_the_rows_lie():
    rng = np.random.default_rng(0)
    codes, labels = rng.integers(0, 2, (40, 16)), np.arange(40) % 36
    query, rest = np.array([0, 10, 35, 39]), np.arange(38)
    found = evaluate(
        codes[query], codes[rest], labels[query], labels[rest], query_rows=query, database_rows=rest, ranks=[1]
    )
    alone = [np.setdiff1d(rest, [row]) for row in query]
    expected = [
        evaluate(codes[[row]], codes[others], labels[[row]], labels[others], ranks=[1])
        for row, others in zip(query, alone, strict=True)
    ]
    np.testing.assert_allclose(found.ap, [each.ap[0] for each in expected], rtol=1e-12)
    np.testing.assert_array_equal(found.n_relevant, [each.n_relevant[0] for each in expected])
    assert found.n_bits == 16


def test_a_self_match_is_left_out_where_its_codes_differ_and_it_has_no_label():
    rng = np.random.default_rng(3)
    codes, queries = rng.random((20, 12)) < 0.5, rng.random((6, 12)) < 0.5
    labels = rng.random((20, 3)) < 0.4
    labels[:3] = False
    rows = np.arange(20)
    left_out = evaluate(queries, codes, labels[:6], labels, query_rows=rows[:6], database_rows=rows)
    for q in range(6):
        rest = rows != q
        alone = evaluate(queries[[q]], codes[rest], labels[[q]], labels[rest])
        assert left_out.n_relevant[q] == alone.n_relevant[0]
        np.testing.assert_allclose(left_out.ap[q], alone.ap[0])


@pytest.mark.parametrize("n_bits", [4, 7, 9, 12, 21])
def test_packed_codes_are_taken_unless_any_bit_after_the_last_is_set(n_bits):
    whole = Codes.pack(np.random.default_rng(0).random((40, n_bits)) < 0.5)
    evaluate(whole, whole, np.zeros(40, int), np.zeros(40, int))
    for bit in range(8 - n_bits % 8):
        packed = whole.packed.copy()
        packed[0, -1] |= 1 << bit
        with pytest.raises(HashbenchError, match=f"bits after the last of {n_bits} must be 0"):
            evaluate(replace(whole, packed=packed), whole, np.zeros(40, int), np.zeros(40, int))


@pytest.mark.parametrize("value", [-1, 0, 1])
def test_codes_of_one_value_are_taken(value):
    codes = np.full((3, 8), value)
    assert evaluate(codes, codes, np.zeros(3, int), np.zeros(3, int)).map == 1
