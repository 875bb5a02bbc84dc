"""What beats what: every method against a few that a reader measures all others by, tested column by column; and the
sentences with which the page says what was found, and what the test could not tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from hashbench.report.results import Results, Setting
from hashbench.report.tables.model import Tied
from hashbench.report.tables.provenance import setting_map_name
from hashbench.types import Array

LEVEL = 0.05
_NAMED = 4  # of a tie
Compared = Callable[[Mapping[str, Array], str], Mapping[str, float]]
"""Of methods with their AP by repetition and query, (s, n_q), the p-value of each one's being as good as the one named,
corrected for their number."""


@dataclass(frozen=True)
class Pair:
    """A method beside another in one column: how much higher its mAP is, and the p-value of no difference."""

    setting: Setting
    bits: int
    method: str
    against: str
    difference: float
    p_value: float

    @property
    def place(self) -> tuple[str, str, int]:
        """The column: data set, backbone, code length."""
        return self.setting.dataset, self.setting.backbone, self.bits

    @property
    def verdict(self) -> Literal["better", "tied", "worse"]:
        """What the test says at `LEVEL`."""
        if self.p_value >= LEVEL:
            return "tied"
        return "better" if self.difference > 0 else "worse"


@dataclass(frozen=True)
class Standing:
    """In how many columns a method is better than another, cannot be told from it, and is worse."""

    better: int
    tied: int
    worse: int

    @property
    def columns(self) -> int:
        """How many columns both were run in."""
        return self.better + self.tied + self.worse


def pairs_of(results: Results, references: Sequence[str], compared: Compared) -> list[Pair]:
    """Every ranked method against each of the `references` but itself, in each column that both were run in."""
    return list(_pairs(results, references, compared))


def _pairs(results: Results, references: Sequence[str], compared: Compared) -> Iterator[Pair]:
    for setting, bits in results.grid:
        ran = [method for method in results.ranked if results.runs(setting, method, bits)]
        ap = {method: results.ap_by_seed(setting, method, bits) for method in ran}
        for against in (method for method in references if method in ap):
            p_values = compared(ap, against)
            for method in (method for method in ran if method != against):
                difference = float(ap[method].mean() - ap[against].mean())
                yield Pair(setting, bits, method, against, difference, p_values[method])


def standings_of(pairs: Sequence[Pair]) -> dict[str, dict[str, Standing]]:
    """Method -> the one that it is compared with -> how it stands."""
    verdicts: dict[str, dict[str, list[str]]] = {}
    for each in pairs:
        verdicts.setdefault(each.method, {}).setdefault(each.against, []).append(each.verdict)
    return {
        method: {
            against: Standing(*(found.count(verdict) for verdict in ("better", "tied", "worse")))
            for against, found in of_method.items()
        }
        for method, of_method in verdicts.items()
    }


def leaders(results: Results, tied: Tied) -> str:
    """Which method has the highest mAP in each setting at its longest codes, and which cannot be told from it."""
    found = [said for setting in results.settings if (said := _leader(results, setting, tied))]
    text = "; ".join(found)
    return f"{text[:1].upper()}{text[1:]}."


def _leader(results: Results, setting: Setting, tied: Tied) -> str:
    bits = results.bits(setting)[-1]
    means = {m: v for m in results.ranked if (v := results.mean(setting, m, bits, "map")) is not None}
    if not means:
        return ""
    order = sorted(means, key=lambda method: -means[method])
    tie = tied({method: results.ap_by_seed(setting, method, bits) for method in means})
    others = [results.title(method) for method in order[1:] if method in tie]
    where = f"on {results.setting_title(setting)} with {bits} bits"
    best = f"{results.title(order[0])} has the highest {setting_map_name(results, setting)} ({means[order[0]]:.3f})"
    return f"{where}, {best}, {_tie(others)}" if len(means) > 1 else f"{where}, {best}"


def _tie(others: Sequence[str]) -> str:
    if not others:
        return "ahead of all others by the test of Table 1"
    if len(others) > _NAMED:
        return f"tied with {', '.join(others[: _NAMED - 1])} and {len(others) - _NAMED + 1} more"
    return f"tied with {_listed(others)}"


def under_study(results: Results, standings: Mapping[str, Mapping[str, Standing]]) -> str:
    """How the methods under study stand against what all are compared with; empty where none can be."""
    said = [
        f"{results.title(method)} is {', '.join(_stands(results, *each) for each in against.items())}"
        for method, against in standings.items()
        if method in results.under_study
    ]
    return f"Column by column, {'; '.join(said)}." if said else ""


def _stands(results: Results, against: str, standing: Standing) -> str:
    counts = {"better than": standing.better, "tied with": standing.tied, "worse than": standing.worse}
    first, *others = [word for word, count in counts.items() if count]
    name = results.title(against)
    if not others:
        return f"{first} {name} in all {standing.columns}"
    rest = [f"{word.partition(' ')[0]} in {counts[word]}" for word in others]
    return f"{first} {name} in {_listed([str(counts[first]), *rest])}"


def undecided(results: Results, pairs: Sequence[Pair]) -> str:
    """How large a difference the test left undecided in each setting: what its number of queries cannot tell."""
    ties: dict[Setting, float] = {}
    for pair in pairs:
        if pair.verdict == "tied":
            ties[pair.setting] = max(abs(pair.difference), ties.get(pair.setting, 0.0))
    said = [
        f"{difference:.3f} on {results.setting_title(setting)} ({results.any_run(setting).n_query:,} queries)"
        for setting, difference in ties.items()
    ]
    return f"The largest difference that the test left undecided is {_listed(said)}." if said else ""


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
