"""Two numbers explained: what each setting moves adds up to their difference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hashbench.errors import HashbenchError
from hashbench.evaluation.conventions import Convention, map_of
from hashbench.evaluation.explanation import NOT_KNOWN, Side, explain
from hashbench.evaluation.given import GivenCodes, GivenLabels

RNG = np.random.default_rng(0)
LABELS = np.arange(70) % 4
BITS = RNG.integers(0, 2, (70, 12))
CODES = GivenCodes(LABELS[:10], LABELS[10:], BITS[:10], BITS[10:])
OWN = vars(Convention())


def side(name="a", number=None, codes=CODES, **changes):
    return Side(name, number, OWN | changes, codes)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({}, {"k": 20, "denominator": "relevant", "order": "database"}),
        ({"order": "argsort", "first": "dropped", "area": "trapezoids", "k": 5}, {}),
        ({"order": "database", "area": "trapezoids"}, {"order": "pessimistic", "first": "dropped", "empty": "nan"}),
    ],
)
def test_conventions_are_changed_one_by_one_and_explain_all(a, b):
    found = explain(side(**a), side("b", **b))
    assert found.start == pytest.approx(map_of(CODES, Convention(**a)))
    assert found.end == pytest.approx(map_of(CODES, Convention(**b)))
    assert found.unexplained == pytest.approx(0, abs=1e-12)
    assert sum(step.moved for step in found.steps) == pytest.approx(found.end - found.start)
    assert {step.setting for step in found.steps} == {n for n in OWN if (OWN | a)[n] != (OWN | b)[n]}


def test_a_step_is_what_the_setting_alone_moves():
    found = explain(side(), side("b", k=20, order="optimistic"))
    at_20 = map_of(CODES, Convention(k=20))
    assert [(step.setting, step.value) for step in found.steps] == [
        ("k", pytest.approx(at_20)),
        ("order", pytest.approx(map_of(CODES, Convention(k=20, order="optimistic")))),
    ]
    assert found.steps[1].moved == pytest.approx(found.steps[1].value - at_20)


@pytest.mark.parametrize("part", ["query", "database"])
def test_one_flipped_bit_is_counted(part):
    bits = getattr(CODES, f"{part}_codes").copy()
    bits[3, 4] ^= 1
    other = replace(CODES, **{f"{part}_codes": bits})
    found = explain(side(), side("b", codes=other))
    (step,) = found.steps
    assert (step.setting, step.b) == (f"{part} codes", "1 of 840 bits differ")
    assert found.end == pytest.approx(map_of(other, Convention()))


def test_equal_files_differ_in_nothing():
    found = explain(side(), side("b"))
    assert (found.steps, found.untried, found.unexplained) == ((), (), 0)


def test_other_lengths_and_other_splits_are_one_step():
    short = replace(CODES, query_codes=BITS[:10, :8], database_codes=BITS[10:, :8])
    assert [(s.setting, s.a, s.b) for s in explain(side(), side("b", codes=short)).steps] == [
        ("codes", "12 bits", "8 bits")
    ]
    turned = replace(CODES, query_labels=LABELS[:10][::-1])
    (step,) = explain(side(), side("b", codes=turned)).steps
    assert step.setting == "split and codes"
    assert step.value == pytest.approx(map_of(turned, Convention()))


def test_what_no_step_moves_is_unexplained():
    reported = map_of(CODES, Convention(k=20)) + 0.03
    found = explain(side(), Side("b", reported, OWN | {"k": 20}, labels=CODES, facts={"backbone": "x"}))
    assert found.unexplained == pytest.approx(0.03)
    assert [(each.setting, each.a, each.b) for each in found.untried] == [("backbone", NOT_KNOWN, "x")]


def test_another_split_is_named_where_only_its_labels_are_at_hand():
    labels = GivenLabels(LABELS[:10][::-1], LABELS[10:])
    found = explain(side(), Side("b", 0.5, OWN, labels=labels, facts={"split": "digits, digest 1"}))
    (difference,) = found.untried
    assert difference.setting == "split"
    assert difference.a.startswith("queries whose labels differ in")
    assert difference.b == "digits, digest 1"


def test_without_any_answer_there_is_nothing_to_explain():
    nothing = replace(CODES, query_labels=LABELS[:10] + 9)
    with pytest.raises(HashbenchError, match="no query has anything relevant"):
        explain(side(codes=nothing, empty="nan"), side("b", codes=nothing, k=5, empty="nan"))


def test_without_the_codes_of_the_first_nothing_can_be_tried():
    with pytest.raises(HashbenchError, match="the codes of a are not at hand"):
        explain(Side("a", 0.5, OWN), side("b"))
