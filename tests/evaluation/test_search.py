"""Which conventions give a number: the toy of docs/evaluation.md, value by value."""

from __future__ import annotations

import numpy as np
import pytest

from hashbench.errors import HashbenchError
from hashbench.evaluation.conventions import Convention, map_of
from hashbench.evaluation.given import GivenCodes
from hashbench.evaluation.search import candidates, search

DATABASE = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [1, 1]])
TOY = GivenCodes(np.array([7]), np.array([7, 8, 7, 8, 7]), np.array([[0, 0]]), DATABASE)
TWO = GivenCodes(np.array([7, 9]), np.array([7, 8, 7, 8, 7]), np.array([[0, 0], [1, 1]]), DATABASE)


@pytest.mark.parametrize(
    ("codes", "number", "convention"),
    [
        (TOY, "0.836111", Convention()),
        (TOY, "0.916667", Convention(order="optimistic")),
        (TOY, "0.755556", Convention(order="pessimistic")),
        (TOY, "0.755556", Convention(order="database")),
        (TOY, "1.0", Convention(k=2)),
        (TOY, "0.75", Convention(k=2, denominator="min_k_relevant")),
        (TOY, "0.5", Convention(k=2, denominator="relevant")),
        (TWO, "0.418056", Convention()),
        (TWO, "0.836111", Convention(empty="nan")),
    ],
)
def test_the_values_of_the_page_are_shown_to_be_what_they_are(codes, number, convention):
    found = search(codes, number, {})
    assert convention in [each.convention for each in found.matches]
    fewest = len(found.matches[0].convention.departures)
    assert fewest == len(convention.departures)


@pytest.fixture
def codes():
    rng = np.random.default_rng(0)
    labels = rng.random((130, 5)) < 0.3
    bits = rng.integers(0, 2, (130, 8))
    return GivenCodes(labels[:10], labels[10:], bits[:10], bits[10:])


@pytest.mark.parametrize(
    "convention",
    [
        Convention(k=50, order="argsort", area="trapezoids"),
        Convention(labels="same_set", order="database"),
        Convention(labels="first", k=20, denominator="relevant"),
        Convention(k=100, order="pessimistic", first="dropped"),
    ],
)
def test_a_number_made_by_a_convention_is_found_again(codes, convention):
    found = search(codes, f"{map_of(codes, convention):.10f}", {})
    assert convention in [each.convention for each in found.matches]


def test_what_is_stated_is_not_varied(codes):
    stated = {"k": 20, "order": "database"}
    for each in candidates(codes, stated):
        assert (each.k, each.order) == (20, "database")


def test_a_number_that_nothing_gives_has_its_nearest(codes):
    found = search(codes, "0.99999", {})
    assert found.matches == ()
    distances = [abs(each.value - 0.99999) for each in found.nearest]
    assert distances == sorted(distances)
    assert len(distances) == 5


def test_no_convention_is_shown_that_changes_nothing(codes):
    """Each match and nearest differs from what it departs from."""
    found = search(codes, "0.4", {}, n_nearest=1000)
    for each in (*found.matches, *found.nearest):
        if each.convention.k is None:
            assert each.convention.denominator == "relevant_in_top_k"


def test_label_sets_that_are_too_many_to_tell_apart_are_not_compared():
    labels = (np.arange(1200)[:, None] >> np.arange(11)) & 1
    bits = np.random.default_rng(0).integers(0, 2, (1200, 8))
    many = GivenCodes(labels[:3], labels[3:], bits[:3], bits[3:])
    assert {each.labels for each in candidates(many, {})} == {"any", "first"}


def test_a_value_matches_as_it_is_printed(codes):
    value = map_of(codes, Convention())
    for decimals in (1, 2, 3, 4):
        assert search(codes, f"{value:.{decimals}f}", {"k": None, "order": "random"}).matches
    assert not search(codes, f"{value + 1e-3:.4f}", {"k": None, "order": "random", "labels": "any"}).matches


@pytest.mark.parametrize(
    ("number", "said"), [("70.4", "give it as a share"), ("-0.1", "is no mAP"), ("x", "is not a number")]
)
def test_what_is_no_share_is_refused(codes, number, said):
    with pytest.raises(HashbenchError, match=said):
        search(codes, number, {})


def test_rules_that_no_ranking_follows_are_refused(codes):
    with pytest.raises(HashbenchError, match="go with one order, not with random"):
        search(codes, "0.5", {"order": "random", "first": "dropped"})
