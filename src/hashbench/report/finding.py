"""What a report found, in two sentences made from its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hashbench.report.results import Results, Setting
from hashbench.report.standings import Standing
from hashbench.report.tables.model import Tied
from hashbench.report.tables.provenance import setting_map_name

_NAMED = 4  # of a tie


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


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
