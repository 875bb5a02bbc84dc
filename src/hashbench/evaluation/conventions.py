"""The conventions by which published code turns codes into one number, and the mAP that each of them gives.

`evaluate` follows the suite's own. The others here exist to find out why two numbers of the same codes differ: each is
seen in code or papers of the field. All but the expectation need one ranking, and are computed from the ranks of the
relevant items in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.evaluation.contestants import evaluate_given
from hashbench.evaluation.given import GivenCodes, label_matrices
from hashbench.evaluation.packing import PackedItems, pack_codes, pack_labels, unpack_codes
from hashbench.evaluation.rules import Denominator, Empty, check_choice
from hashbench.progress import track
from hashbench.types import Array

Labels = Literal["any", "same_set", "first"]
TieOrder = Literal["random", "optimistic", "pessimistic", "database", "argsort"]
SelfMatches = Literal["kept", "left_out"]
FirstHit = Literal["kept", "dropped"]
Area = Literal["steps", "trapezoids"]
Ranking = Literal["symmetric", "asymmetric"]

_DENOMINATORS: tuple[str, ...] = get_args(Denominator)
_NO_CUTOFF = 1 << 62


@dataclass(frozen=True)
class Convention:
    """How a number was made; the defaults are the suite's. Raises HashbenchError where a value is none of those named.

    `labels`: two items are relevant to each other if they share a label ("any"), show the same labels ("same_set"), or
    have the same first label ("first": an argmax over multi-hot labels). `k`: cut-off, None for all. `denominator` and
    `empty` as in `evaluate`. `order` inside ties: the expectation ("random"), relevant items first ("optimistic") or
    last ("pessimistic"), the order of the database, or NumPy's `argsort` of float32. `self_matches`: whether a pair of
    the same row is ranked. `first`: whether the first of each ranking is dropped, as code does that takes it for the
    query itself. `area`: AP as the sum of precisions at relevant ranks ("steps"), or as the area under the
    precision-recall curve by trapezoids, precision 1 at recall 0 (Philbin et al., CVPR 2007). `ranking`: by Hamming
    distance ("symmetric"), or by the inner product of a query's real outputs with database codes of -1 and +1
    ("asymmetric").
    """

    labels: Labels = "any"
    k: int | None = None
    denominator: Denominator = "relevant_in_top_k"
    order: TieOrder = "random"
    empty: Empty = "zero"
    self_matches: SelfMatches = "kept"
    first: FirstHit = "kept"
    area: Area = "steps"
    ranking: Ranking = "symmetric"

    def __post_init__(self) -> None:
        for name, allowed in ALLOWED.items():
            check_choice(name, getattr(self, name), allowed)
        if self.k is not None and self.k < 1:
            raise HashbenchError(f"k must be a whole number of at least 1, or all, got {self.k}")
        if self.order == "random" and (rules := self.of_one_ranking):
            orders = ", ".join(get_args(TieOrder)[1:])
            raise HashbenchError(f"{rules[0]} is a rule for one ranking: say which by order= one of {orders}")

    @property
    def of_one_ranking(self) -> list[str]:
        """Those of its rules that need one order inside ties, as name=value."""
        values = ((name, getattr(self, name), default) for name, default in OF_ONE_RANKING.items())
        return [f"{name}={value}" for name, value, default in values if value != default]

    @property
    def departures(self) -> dict[str, Any]:
        """What is not as the suite does it, `k` aside, by name."""
        default = Convention()
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name != "k" and getattr(self, field.name) != getattr(default, field.name)
        }


ALLOWED: dict[str, tuple[str, ...]] = {
    "labels": get_args(Labels),
    "denominator": get_args(Denominator),
    "order": get_args(TieOrder),
    "empty": get_args(Empty),
    "self_matches": get_args(SelfMatches),
    "first": get_args(FirstHit),
    "area": get_args(Area),
    "ranking": get_args(Ranking),
}
OF_ONE_RANKING = {"first": "kept", "area": "steps", "ranking": "symmetric"}  # by their values without one


def map_of(given: GivenCodes, convention: Convention) -> float:
    """The mAP of codes by one convention, NaN where no query counts."""
    return maps_of(given, [convention])[convention]


def maps_of(given: GivenCodes, conventions: Iterable[Convention]) -> dict[Convention, float]:
    """The mAP of codes by each convention. Every query is ranked once for each rule of labels, order, ranking and
    self-matches.

    Raises HashbenchError where the file lacks the row numbers or the outputs that a convention needs.
    """
    groups: dict[tuple[object, ...], list[Convention]] = {}
    for each in dict.fromkeys(conventions):
        expected = (each.k, each.denominator) if each.order == "random" else ()
        groups.setdefault((each.labels, each.self_matches, each.order, each.ranking, *expected), []).append(each)
    found: dict[Convention, float] = {}
    for group in track(list(groups.values()), "conventions"):
        measure = _expected if group[0].order == "random" else _ranked
        found |= measure(_as_ruled(given, group[0]), group)
    return found


def _as_ruled(given: GivenCodes, convention: Convention) -> GivenCodes:
    """The codes with labels that meet where the rule calls two items relevant, and rows where self-matches go."""
    if convention.self_matches == "left_out" and given.query_rows is None:
        raise HashbenchError("self_matches=left_out needs the row numbers query_rows and db_rows in the file")
    if convention.ranking == "asymmetric" and given.query_outputs is None:
        raise HashbenchError("ranking=asymmetric needs the queries' real outputs, query_outputs, in the file")
    if convention.self_matches == "kept":
        given = replace(given, query_rows=None, database_rows=None)
    if convention.labels == "any":
        return given
    if convention.labels == "first":
        of_query, of_database = (array if array.ndim == 1 else array.argmax(axis=1) for array in given.labels)
        return replace(given, query_labels=of_query, database_labels=of_database)
    query, database, _ = label_matrices(given)
    sets = np.unique(np.concatenate([query, database]), axis=0, return_inverse=True)[1].reshape(-1)
    return replace(given, query_labels=sets[: len(query)], database_labels=sets[len(query) :])


def _expected(given: GivenCodes, conventions: list[Convention]) -> dict[Convention, float]:
    """The expectation over random order in ties, by conventions that differ in nothing but queries without relevant
    items."""
    evaluation = evaluate_given(given, k=conventions[0].k, denominator=conventions[0].denominator)
    return {each: replace(evaluation, empty=each.empty).map for each in conventions}


def _ranked(given: GivenCodes, conventions: list[Convention]) -> dict[Convention, float]:
    """The mAP by conventions that share one ranking."""
    cutoffs = np.array(sorted({_cutoff(c) for c in conventions}))
    curves = sorted({(c.first, c.area) for c in conventions})
    ap = np.array(
        [
            [average_precisions(ranks - (first == "dropped"), cutoffs, area) for first, area in curves]
            for ranks in ranks_of_relevant(given, conventions[0].order, conventions[0].ranking)
        ]
    )
    found = {}
    for c in conventions:
        denominator = _DENOMINATORS.index(c.denominator)
        of_queries = ap[:, curves.index((c.first, c.area)), np.searchsorted(cutoffs, _cutoff(c)), denominator]
        counted = np.nan_to_num(of_queries) if c.empty == "zero" else of_queries[np.isfinite(of_queries)]
        found[c] = float(counted.mean()) if len(counted) else float("nan")
    return found


def _cutoff(convention: Convention) -> int:
    return _NO_CUTOFF if convention.k is None else convention.k


def ranks_of_relevant(given: GivenCodes, order: TieOrder, ranking: Ranking) -> Iterator[Array]:
    """For each query the ranks, from 1 and ascending, of the relevant items in the ranking of an order but "random"."""
    query, database = _packed(given)
    signs = 2.0 * unpack_codes(database.codes, given.n_bits) - 1 if ranking == "asymmetric" else None
    for position in range(len(query)):
        if signs is not None and given.query_outputs is not None:
            distance = -(signs @ given.query_outputs[position].astype(np.float64))
        else:
            distance = np.bitwise_count(database.codes ^ query.codes[position]).sum(axis=1, dtype=np.int16)
        relevant = (database.labels & query.labels[position]).any(axis=1)
        if given.query_rows is not None and given.database_rows is not None:
            others = given.database_rows != given.query_rows[position]
            distance, relevant = distance[others], relevant[others]
        yield np.flatnonzero(relevant[_sorted(distance, relevant, order)]) + 1


def _packed(given: GivenCodes) -> tuple[PackedItems, PackedItems]:
    query_labels, database_labels = pack_labels(given.query_labels, given.database_labels)
    query_codes, database_codes = (
        pack_codes(codes, name)[0]
        for codes, name in ((given.query_codes, "query_codes"), (given.database_codes, "database_codes"))
    )
    return PackedItems(query_codes, query_labels), PackedItems(database_codes, database_labels)


def _sorted(distance: Array, relevant: Array, order: TieOrder) -> Array:
    if order == "argsort":
        return np.argsort(distance.astype(np.float32))
    if order == "database":
        return np.argsort(distance, kind="stable")
    second = relevant if order == "pessimistic" else ~relevant
    if distance.dtype == np.int16:  # one key, which NumPy sorts without comparisons
        return np.argsort(2 * distance + second, kind="stable")
    return np.lexsort((second, distance))


def average_precisions(ranks: Array, cutoffs: Array, area: Area) -> Array:
    """AP of one ranking at each cut-off, by each denominator: float64 (len(cutoffs), 3), in the order of `Denominator`.

    `ranks`: those of the relevant items, ascending; rank 0 is no part of the ranking. All NaN where there is none.
    """
    ranks = ranks[ranks > 0]
    n = len(ranks)
    if n == 0:
        return np.full((len(cutoffs), len(_DENOMINATORS)), np.nan)
    found = np.arange(1, n + 1)
    precision = found / ranks
    if area == "trapezoids":
        before = np.divide(found - 1, ranks - 1, out=np.ones(n), where=ranks > 1)
        precision = (precision + before) / 2
    inside = np.searchsorted(ranks, cutoffs, side="right")
    total = np.concatenate([[0.0], np.cumsum(precision)])[inside]
    most = np.column_stack([inside, np.minimum(cutoffs, n), np.full(len(cutoffs), n)])
    ap: Array = total[:, np.newaxis] / np.maximum(most, 1)  # nothing relevant inside: 0
    return ap
