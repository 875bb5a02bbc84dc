"""Every convention against loops written straight from its definition."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashbench.errors import HashbenchError
from hashbench.evaluation import evaluate
from hashbench.evaluation.conventions import ALLOWED, Convention, map_of, maps_of
from hashbench.evaluation.given import GivenCodes


def some_codes(seed, *, multi=True, rows=False):
    """Few bits, so that all ties; a query without anything relevant; codes that a row number may join."""
    rng = np.random.default_rng(seed)
    labels = rng.random((16, 4)) < 0.4 if multi else np.eye(4, dtype=bool)[rng.integers(0, 4, 16)]
    labels = np.column_stack([np.zeros(16, bool), labels, np.zeros(16, bool)])  # the first class shows nowhere
    labels[0] = [False] * 5 + [True]
    numbers = {"query_rows": np.array([40, 3, 5, 8]), "database_rows": np.arange(12)} if rows else {}
    codes = rng.integers(0, 2, (16, 5))
    return GivenCodes(labels[:4], labels[4:], codes[:4], codes[4:], **numbers)


def meets(rule, a, b):
    if rule == "any":
        return any(x and y for x, y in zip(a, b, strict=True))
    if rule == "same_set":
        return list(a) == list(b)
    # An argmax takes an item without any label for the first class.
    return (list(a).index(True) if any(a) else 0) == (list(b).index(True) if any(b) else 0)


def ranking(codes, query, convention):
    """Whether each item of the ranking is relevant, nearest first, by sorting plain tuples."""
    items = []
    for item in range(len(codes.database_codes)):
        is_itself = codes.query_rows is not None and codes.query_rows[query] == codes.database_rows[item]
        if is_itself and convention.self_matches == "left_out":
            continue
        distance = int((codes.query_codes[query] != codes.database_codes[item]).sum())
        relevant = meets(convention.labels, codes.query_labels[query], codes.database_labels[item])
        lucky = {"optimistic": not relevant, "pessimistic": relevant, "database": 0}[convention.order]
        items.append((distance, lucky, item, relevant))
    ranked = [relevant for *_, relevant in sorted(items)]
    return ranked[1:] if convention.first == "dropped" else ranked


def average_precision(ranked, convention):
    if not any(ranked):
        return math.nan
    k = len(ranked) if convention.k is None else convention.k
    total, found, before = 0.0, 0, 1.0
    for rank, relevant in enumerate(ranked[:k], start=1):
        found += relevant
        precision = found / rank
        if relevant:
            total += precision if convention.area == "steps" else (precision + before) / 2
        before = precision
    most = {
        "relevant_in_top_k": found, "min_k_relevant": min(k, sum(ranked)), "relevant": sum(ranked)
    }[convention.denominator]  # fmt: skip
    return total / most if most else 0.0


def plain_map(codes, convention):
    ap = [average_precision(ranking(codes, query, convention), convention) for query in range(len(codes.query_codes))]
    counted = [0.0 if math.isnan(x) else x for x in ap if convention.empty == "zero" or not math.isnan(x)]
    return sum(counted) / len(counted) if counted else math.nan


ORDERS = ("optimistic", "pessimistic", "database")
EVERY = [
    Convention(labels, k, denominator, order, empty, self_matches, first, area)
    for labels, k, denominator, order, empty, self_matches, first, area in itertools.product(
        ALLOWED["labels"], (None, 1, 3, 50), ALLOWED["denominator"], ORDERS, ALLOWED["empty"],
        ALLOWED["self_matches"], ALLOWED["first"], ALLOWED["area"],
    )
]  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_every_convention_is_what_plain_loops_give(seed):
    codes = some_codes(seed, rows=True)
    found = maps_of(codes, EVERY)
    assert len(found) == len(EVERY) == 1728
    for convention, value in found.items():
        assert value == pytest.approx(plain_map(codes, convention), abs=1e-12, nan_ok=True), convention


@given(
    seed=st.integers(0, 10**6),
    k=st.sampled_from([None, 1, 2, 7, 12]),
    denominator=st.sampled_from(ALLOWED["denominator"]),
    empty=st.sampled_from(ALLOWED["empty"]),
)
@settings(max_examples=60, deadline=None)
def test_the_suites_own_conventions_are_those_of_evaluate(seed, k, denominator, empty):
    codes = some_codes(seed)
    rules = {"k": k, "denominator": denominator, "empty": empty}
    arrays = codes.query_codes, codes.database_codes, codes.query_labels, codes.database_labels
    found = maps_of(codes, [Convention(**rules, order=order) for order in ALLOWED["order"]])
    own = {name: evaluate(*arrays, **rules, order=name) for name in ("random", "database", "argsort")}
    expected = {name: each.map for name, each in own.items()}
    expected |= {"optimistic": own["random"].map_optimistic, "pessimistic": own["random"].map_pessimistic}
    for convention, value in found.items():
        assert value == pytest.approx(expected[convention.order], abs=1e-12, nan_ok=True)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_what_must_hold_between_conventions(seed):
    codes = some_codes(seed)

    def by(**rules):
        return map_of(codes, Convention(**rules))

    whole = [by(order="database", denominator=name) for name in ALLOWED["denominator"]]
    assert whole == pytest.approx([whole[0]] * 3)  # over the whole database all denominators agree
    for denominator in ("min_k_relevant", "relevant"):
        low, mean, high = (by(order=o, k=4, denominator=denominator) for o in ("pessimistic", "random", "optimistic"))
        assert low - 1e-12 <= mean <= high + 1e-12
    assert by(empty="nan") >= by(empty="zero") or math.isnan(by(empty="nan"))


def test_with_one_label_an_item_the_three_rules_of_labels_are_one():
    codes = some_codes(0, multi=False)
    found = [map_of(codes, Convention(labels=rule, order="database")) for rule in ALLOWED["labels"]]
    assert found == pytest.approx([found[0]] * 3)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"order": "sorted"}, "order must be one of random, optimistic, pessimistic, database, argsort, got 'sorted'"),
        ({"k": 0}, "k must be a whole number of at least 1, or all, got 0"),
        ({"first": "dropped"}, "first=dropped is a rule for one ranking: say which by order="),
        ({"area": "trapezoids"}, "area=trapezoids is a rule for one ranking"),
    ],
)
def test_what_is_no_convention_is_refused(rules, said):
    with pytest.raises(HashbenchError) as error:
        Convention(**rules)
    assert said in str(error.value)


def test_self_matches_need_row_numbers():
    with pytest.raises(HashbenchError, match="needs the row numbers query_rows and db_rows"):
        map_of(some_codes(0), Convention(self_matches="left_out"))
