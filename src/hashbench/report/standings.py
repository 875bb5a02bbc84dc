"""What beats what: every method against a few that a reader measures all others by, tested column by column."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from hashbench.report.results import Results, Setting
from hashbench.types import Array

LEVEL = 0.05
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
