"""Which known protocol a split is, by its counts."""

from __future__ import annotations

from dataclasses import dataclass

from hashbench.data.splits import PROTOCOLS, Protocol
from hashbench.types import Split


@dataclass(frozen=True)
class Likeness:
    """How far the counts of a split are from those of a protocol: (query, train, database), positive for too many."""

    protocol: Protocol
    over: tuple[int, int, int]

    @property
    def total(self) -> int:
        """How many rows there are too many or too few, over all parts."""
        return sum(map(abs, self.over))

    @property
    def words(self) -> str:
        """Each count that is not the protocol's, in words."""
        parts = zip(("query", "train", "database"), self.over, strict=True)
        told = [f"{part} {abs(n):,} {'over' if n > 0 else 'short'}" for part, n in parts if n]
        return ", ".join(told) or "all counts agree"


def protocols_like(split: Split, most: int = 3) -> list[Likeness]:
    """The protocols whose counts are the split's; where there are none, the `most` nearest ones, the nearest first."""
    counts = (len(split.query), len(split.train), len(split.database))
    found = [
        Likeness(each, (counts[0] - each.counts[0], counts[1] - each.counts[1], counts[2] - each.counts[2]))
        for each in PROTOCOLS.values()
        if each.counts is not None
    ]
    found.sort(key=lambda each: each.total)
    return [each for each in found if not each.total] or found[:most]
