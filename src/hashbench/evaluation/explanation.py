"""Why do two numbers differ? Each setting that differs is changed in turn, and what it moves is measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.evaluation.conventions import OF_ONE_RANKING, Convention, map_of
from hashbench.evaluation.given import GivenCodes, GivenLabels, split_difference
from hashbench.evaluation.packing import pack_codes

_CONVENTION = tuple(each.name for each in fields(Convention))
NOT_KNOWN = "not known"


@dataclass(frozen=True)
class Side:
    """One of two numbers, and what is known of it.

    `number`: what was reported, None where it is what the codes give by the convention. `convention`: its known fields
    of `Convention`. `labels`: of its split, where they are at hand without codes. `facts`: what else is known, by name.
    """

    name: str
    number: float | None
    convention: Mapping[str, Any]
    codes: GivenCodes | None = None
    labels: GivenLabels | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Difference:
    """A setting that is not the same on both sides, or not known of one of them ("not known")."""

    setting: str
    a: str
    b: str


@dataclass(frozen=True)
class Step:
    """The mAP after one more setting of a was changed to that of b, and by how much that moved it."""

    setting: str
    a: str
    b: str
    value: float
    moved: float


@dataclass(frozen=True)
class Explanation:
    """From the mAP of a, `start`, by `steps` to that of b, `end`; `unexplained` is what no step moves.

    `untried`: the settings that differ, or are not known, and that codes alone cannot change.
    """

    start: float
    steps: tuple[Step, ...]
    end: float
    untried: tuple[Difference, ...]

    @property
    def unexplained(self) -> float:
        """What is left between the last step and b."""
        return self.end - (self.steps[-1].value if self.steps else self.start)


def explain(a: Side, b: Side) -> Explanation:
    """Change the settings of a to those of b one by one. Raises HashbenchError where the codes of a are not at hand."""
    if a.codes is None:
        raise HashbenchError(f"the codes of {a.name} are not at hand: the first of the two must have codes")
    changes = [("", "", "", a.codes, Convention(**a.convention)), *_changes(a, b)]
    values = [map_of(codes, convention) for *_, codes, convention in changes]
    if not math.isfinite(values[0]):
        raise HashbenchError(f"{a.name}: no query has anything relevant in the database, so there is no mAP to explain")
    steps = tuple(
        Step(setting, before, after, value, value - last)
        for (setting, before, after, *_), value, last in zip(changes[1:], values[1:], values, strict=False)
    )
    return Explanation(values[0], steps, values[-1] if b.number is None else b.number, _untried(a, b))


_Change = tuple[str, str, str, GivenCodes, Convention]


def _changes(a: Side, b: Side) -> Iterator[_Change]:
    """Each setting to change, its two values, and the codes and convention after it; conventions before codes."""
    assert a.codes is not None
    codes, convention = a.codes, Convention(**a.convention)
    wanted = {name: value for name, value in b.convention.items() if value != getattr(convention, name)}
    # What needs one order comes after that order, and goes before it goes.
    last = tuple(OF_ONE_RANKING) if b.convention.get("order", "random") != "random" else ("order",)
    for name in sorted(wanted, key=lambda name: (name in last, _CONVENTION.index(name))):
        before, convention = getattr(convention, name), replace(convention, **{name: wanted[name]})
        yield name, _shown(before), _shown(wanted[name]), codes, convention
    if b.codes is not None and (named := _codes_change(codes, b.codes)):
        yield *named, b.codes, convention


def _codes_change(a: GivenCodes, b: GivenCodes) -> tuple[str, str, str] | None:
    """What tells two files' codes apart, with its two values; None where they are the same."""
    if split_difference(a, b):
        return "split and codes", _counts(a), _counts(b)
    if a.n_bits != b.n_bits:
        return "codes", f"{a.n_bits} bits", f"{b.n_bits} bits"
    others = {}
    for part in ("query", "database"):
        words_a, words_b = (pack_codes(getattr(each, f"{part}_codes"), f"{part}_codes")[0] for each in (a, b))
        others[part] = int(np.bitwise_count(words_a ^ words_b).sum())
    total = (len(a.query_labels) + len(a.database_labels)) * a.n_bits
    differing = [part for part, count in others.items() if count]
    if not differing:
        return None
    name = f"{differing[0]} codes" if len(differing) == 1 else "codes"
    return name, "", f"{sum(others.values()):,} of {total:,} bits differ"


def _shown(value: Any) -> str:
    return "all" if value is None else str(value)


def _counts(codes: GivenCodes) -> str:
    return f"{len(codes.query_labels):,} queries, {len(codes.database_labels):,} items, {codes.n_bits} bits"


def _untried(a: Side, b: Side) -> tuple[Difference, ...]:
    """What differs, or is known of one side alone, and is no step."""
    found = []
    labels_a, labels_b = a.codes or a.labels, b.codes or b.labels
    facts = dict.fromkeys([*a.facts, *b.facts])
    if labels_a is not None and labels_b is not None:
        facts.pop("split", None)
        difference = split_difference(labels_a, labels_b)
        if difference and b.codes is None:  # with codes, it is a step
            found.append(Difference("split", difference, b.facts.get("split", b.name)))
    default = Convention(**a.convention)
    unknown = [name for name in _CONVENTION if name not in b.convention]
    found += [Difference(name, _shown(getattr(default, name)), NOT_KNOWN) for name in unknown]
    sides = ((name, a.facts.get(name, NOT_KNOWN), b.facts.get(name, NOT_KNOWN)) for name in facts)
    found += [Difference(name, one, other) for name, one, other in sides if one != other]
    return tuple(found)
