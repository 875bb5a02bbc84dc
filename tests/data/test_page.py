"""docs/datasets.md tells of every data set and protocol that there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hashbench.data.registry import dataset_kinds
from hashbench.data.splits import PROTOCOLS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "datasets.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", dataset_kinds())
def test_every_data_set_has_a_row_and_a_section_with_licence_and_source(kind):
    assert re.search(rf"^\| `{kind}` \|(.+\|){{5}}$", PAGE, re.MULTILINE)
    section = PAGE.partition(f"\n### {kind}\n")[2].partition("\n### ")[0]
    assert re.search(r"Licence( and source)?: |Licence: ", section)
    assert re.search(r"https://|doi:|source: as|Any folder", section)


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_every_protocol_has_a_row_that_agrees_with_its_rule(protocol):
    cells = re.search(rf"^\| `{protocol.name}` \|(.+)\|$", PAGE, re.MULTILINE)
    assert cells
    query, train, database, holds_train, seen_in = (cell.strip() for cell in cells[1].split("|"))
    for cell, count in zip((query, train, database), protocol.counts, strict=True):
        assert cell.startswith(f"{count:,}") or cell in ("the test part", "half of each class of the test part")
    assert seen_in
    if "without the train rows" in protocol.describes:
        assert holds_train == "no"
    elif "with the train rows" in protocol.describes:
        assert holds_train == "yes"
