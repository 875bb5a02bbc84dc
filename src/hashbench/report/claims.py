"""Statements about the results, checked against the records each time the report is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hashbench.report.bundle import Contest
from hashbench.report.results import Results


@dataclass(frozen=True)
class Claim:
    """A statement about the results, whether it holds, and the numbers that say so."""

    text: str
    holds: bool
    evidence: str


def check(results: Results, contests: Sequence[Contest]) -> list[Claim]:
    """Whether each winner beats each loser of its contest, one claim a pair; pairs that never ran together are left
    out."""
    pairs = [(winner, loser) for contest in contests for winner in contest.winners for loser in contest.losers]
    claims = [_beats(results, winner, loser) for winner, loser in pairs]
    return [claim for claim in claims if claim is not None]


def _beats(results: Results, winner: str, loser: str) -> Claim | None:
    """Whether one method has the higher mean mAP in every cell that both ran."""
    leads = []
    for setting in results.settings:
        for bits in results.bits(setting):
            ours, theirs = (results.mean(setting, method, bits, "map") for method in (winner, loser))
            if ours is not None and theirs is not None:
                leads.append((ours - theirs, f"{results.setting_title(setting)}, {bits} bits"))
    if not leads:
        return None
    lost = [f"{where} ({lead:+.3f})" for lead, where in leads if lead <= 0]
    smallest, where = min(leads)
    evidence = f"not on {'; '.join(lost)}" if lost else f"smallest lead {smallest:+.3f} mAP, on {where}"
    return Claim(f"{results.title(winner)} beats {results.title(loser)} everywhere", not lost, evidence)
