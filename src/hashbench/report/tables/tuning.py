"""Official beside searched settings: what tuning does to each method, and to their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from hashbench.report.bundle import MethodCard
from hashbench.report.results import Results, Setting
from hashbench.report.tables.model import (
    DIFFERENCE_NOTE,
    PLAIN_MAP,
    Cell,
    Heading,
    Row,
    Table,
    Tied,
    cell_of,
    difference,
)
from hashbench.report.tables.provenance import provenance, setting_map_name, version_notes


def tuning_table(
    official: Results, searched: Results, cards: Mapping[str, MethodCard], tied: Tied, profile: str
) -> Table:
    """mAP of each method with its authors' settings and with those that the search chose, and the difference.

    `cards` have the official hyperparameters in full; where a run has others, its training was cut, as its row says.
    A method without anything to search has one setting, which stands on both sides, and no difference.
    `tied(ap)`: of the two, each with its AP by repetition and query, those that tie with the better one.
    """
    methods = [method for method in official.ranked if method in searched.ranked]
    return Table(
        "official",
        "Official and searched settings",
        "mAP with the settings of a method's authors and with those that the search on train rows chose, mean ± "
        "standard deviation over seeds, and the difference.",
        tuple(
            Heading(f"{official.setting_title(setting)}, {setting_map_name(official, setting)}, {bits} bits", label)
            for setting, bits in official.grid
            for label in ("official", "searched", "difference")
        ),
        tuple(
            Row(
                Heading("", official.title(method), official.citation_key(method)),
                tuple(cell for column in official.grid for cell in _cells(official, searched, method, *column, tied)),
                cut_of(official, method, cards[method]),
            )
            for method in methods
        ),
        (
            DIFFERENCE_NOTE,
            "Official lengths of training are cut to the most steps of a fit of the search; Changes names each cut.",
            _agreement(official, searched, methods),
            *official.left_out,
            *version_notes(official, methods),
        ),
        provenance(official, methods, profile),
    )


def cut_of(results: Results, method: str, card: MethodCard) -> str:
    """What the runs of a method have less of than its official setting, in words; empty where nothing was cut."""
    run = next(run for setting in results.settings for run in results.of_setting(setting, [method]))
    found = [
        (note.name.replace("_", " "), run.fit.hyperparameters.get(note.name), note) for note in card.hyperparameters
    ]
    return ", ".join(f"{value} of {note.value} {name}" for name, value, note in found if value != note.value)


def kendall(official: Results, searched: Results, methods: Sequence[str], setting: Setting, bits: int) -> float:
    """Kendall's tau-b of the two orders of the methods by mAP: 1 where they agree, -1 where one is the other reversed;
    NaN where fewer than two methods ran."""
    before, after = (
        pd.Series([each.mean(setting, method, bits, "map") for method in methods], dtype=float)
        for each in (official, searched)
    )
    return float(before.corr(after, method="kendall"))


def _agreement(official: Results, searched: Results, methods: Sequence[str]) -> str:
    taus = [
        f"{official.setting_title(setting)}, {bits} bits {kendall(official, searched, methods, setting, bits):.2f}"
        for setting, bits in official.grid
    ]
    return f"Kendall's τ of the two orders of the {len(methods)} methods: {'; '.join(taus)}."


def _cells(
    official: Results, searched: Results, method: str, setting: Setting, bits: int, tied: Tied
) -> tuple[Cell, Cell, Cell]:
    name = setting_map_name(official, setting)
    before, after = (
        cell_of(each, setting, method, bits, f"{name} {kind}", "map", PLAIN_MAP)
        for each, kind in ((official, "official"), (searched, "searched"))
    )
    are_the_same = official.runs(setting, method, bits) == searched.runs(setting, method, bits)
    both = {"official": official, "searched": searched}
    found = difference(
        replace(after, metric=name),
        None if are_the_same else before,
        lambda: {kind: each.ap_by_seed(setting, method, bits) for kind, each in both.items()},
        tied,
    )
    return before, after, found
