"""The numbers that are kept of an evaluation are those of its parts."""

from __future__ import annotations

import numpy as np
import pytest

from hashbench.evaluation.significance import bootstrap_interval
from hashbench.evaluation.statistics import code_statistics
from hashbench.evaluation.summary import RESAMPLES, EvaluationRules, ap_of_queries, evaluate_codes, summarise
from hashbench.types import Codes, Split

N, N_QUERY, N_BITS = 60, 12, 10
RULES = EvaluationRules(20, "relevant_in_top_k", "zero", (1, 5, 48, 49, 1000))


@pytest.fixture(scope="module")
def split() -> Split:
    rng = np.random.default_rng(0)
    labels = rng.random((N, 3)) < 0.4
    rows = rng.permutation(N)
    labels[rows[0]] = False  # a query to which nothing is relevant
    return Split("s", rows[:N_QUERY], rows[N_QUERY:], rows[N_QUERY:30], labels)


@pytest.fixture(scope="module")
def codes(split: Split) -> tuple[Codes, Codes]:
    bits = np.random.default_rng(1).random((N, N_BITS)) < 0.5
    return Codes.pack(bits[split.query], split.query), Codes.pack(bits[split.database], split.database)


def test_codes_are_compared_with_the_labels_of_their_rows(split: Split, codes: tuple[Codes, Codes]) -> None:
    evaluation = evaluate_codes(*codes, split, RULES)
    query, database = (each.unpack() for each in codes)
    for number in range(N_QUERY):
        relevant = (split.labels[split.query[number]] & split.labels[split.database]).any(axis=1)
        assert evaluation.n_relevant[number] == relevant.sum()
        at_distance = (query[number] != database).sum(axis=1)
        assert np.isnan(evaluation.ap[number]) == (not relevant.any())
        if relevant.any():
            best = np.lexsort((~relevant, at_distance))[: RULES.k]
            hits = np.cumsum(relevant[best])
            ap = (hits / np.arange(1, len(best) + 1))[relevant[best]].mean() if hits[-1] else 0.0
            assert evaluation.ap_optimistic[number] == pytest.approx(ap)


def test_ranks_beyond_the_database_are_left_out(split: Split, codes: tuple[Codes, Codes]) -> None:
    evaluation = evaluate_codes(*codes, split, RULES)
    found = summarise(evaluation, codes[1], 0)
    assert found.ranks == [1, 5, 48]
    assert len(found.precision_at) == len(found.recall_at) == 3
    assert found.recall_at[-1] == pytest.approx((evaluation.n_relevant > 0).mean()), "all that there is"


@pytest.mark.parametrize("empty", ["zero", "nan"])
def test_every_number_is_that_of_the_evaluation(split: Split, codes: tuple[Codes, Codes], empty: str) -> None:
    rules = EvaluationRules(RULES.k, RULES.denominator, empty, RULES.ranks)  # type: ignore[arg-type]
    evaluation, statistics = evaluate_codes(*codes, split, rules), code_statistics(codes[1])
    found = summarise(evaluation, codes[1], 7)
    assert (found.k, found.denominator, found.empty) == (20, "relevant_in_top_k", empty)
    counted = np.nan_to_num(evaluation.ap) if empty == "zero" else evaluation.ap[evaluation.n_relevant > 0]
    assert np.isnan(evaluation.ap[0])
    assert found.map == pytest.approx(counted.mean())
    assert found.map_pessimistic <= found.map <= found.map_optimistic
    assert found.map_ci95 == bootstrap_interval(counted, seed=7, resamples=RESAMPLES)
    assert found.map_ci95 != summarise(evaluation, codes[1], 8).map_ci95
    assert found.map_ci95[0] < found.map < found.map_ci95[1]
    assert found.ndcg == evaluation.mean_ndcg
    assert found.radius_recall == evaluation.radius_recall.tolist()
    assert sum(found.relevant_histogram) + sum(found.other_histogram) == N_QUERY * (N - N_QUERY)
    assert found.bit_balance == statistics.balance.tolist()
    assert found.distinct_codes == statistics.distinct
    assert found.largest_bucket == statistics.largest_bucket
    pairs = [abs(statistics.correlation[a, b]) for a in range(N_BITS) for b in range(N_BITS) if a != b]
    assert found.bit_correlation == pytest.approx(np.mean(pairs))


def test_values_of_queries_are_kept_as_they_are(split: Split, codes: tuple[Codes, Codes]) -> None:
    evaluation = evaluate_codes(*codes, split, RULES)
    kept = ap_of_queries(evaluation)
    assert list(kept) == ["ap", "ap_optimistic", "ap_pessimistic"]
    assert all(np.array_equal(kept[name], getattr(evaluation, name), equal_nan=True) for name in kept)
