"""How to cite a table: BibTeX for the table itself and for the papers of the methods in it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from hashbench.report.bundle import MethodCard
from hashbench.report.tables.model import Table
from hashbench.report.templating import latex_text
from hashbench.types import Paper

_JOURNALS = re.compile(r"\b(journal|transactions|trans\.|tpami|pami|ijcv|tip|tmm|tkde)\b", re.IGNORECASE)


def bibtex(table: Table, profile: str, version: str, methods: Mapping[str, MethodCard]) -> str:
    """BibTeX entries: the table, told by version and content digest, then each paper once, in the order of the rows."""
    cards = [methods[method] for method in table.methods if method in methods]  # submissions name theirs in words
    papers = [card.paper for card in cards if card.paper is not None]
    found = {paper.key: paper for paper in papers}
    own = _entry(
        "misc",
        f"hashbench-{profile}-{table.name}-{table.digest}",
        {
            "author": "{hashbench contributors}",
            "title": f"hashbench: {latex_text(table.title)}, profile {latex_text(profile)}",
            "howpublished": "Benchmark and reproducibility suite for unsupervised image hashing",
            "note": f"Version {version}, content digest {table.digest}",
        },
    )
    return "\n".join([own, *(_paper(paper) for paper in found.values())])


def _paper(paper: Paper) -> str:
    venue = paper.venue
    if "arxiv" in venue.lower():
        kind, where = "misc", "howpublished"
    elif _JOURNALS.search(venue):
        kind, where = "article", "journal"
    else:
        kind, where = "inproceedings", "booktitle"
    fields = {
        "author": latex_text(paper.authors),
        "title": f"{{{latex_text(paper.title)}}}",
        where: latex_text(venue),
        "year": str(paper.year),
        "url": paper.url,
    }
    return _entry(kind, paper.key, fields)


def _entry(kind: str, key: str, fields: Mapping[str, str]) -> str:
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@{kind}{{{key},", *lines, "}", ""])
