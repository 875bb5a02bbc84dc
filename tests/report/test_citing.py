"""BibTeX for a table and the papers in it."""

from __future__ import annotations

import re
from dataclasses import replace

from hashbench.report.citing import bibtex
from hashbench.report.results import Results
from hashbench.report.tables.rendering import RENDERERS
from hashbench.report.tables.retrieval import table1


def with_paper(card, **changes):
    return replace(card, paper=replace(card.paper, **changes))


def test_a_citation_names_version_digest_and_each_paper_once(make_bundle):
    bundle = make_bundle(3)
    table = table1(Results(bundle), bundle.tied, "tiny")
    cards = {**bundle.methods, "gamma": replace(bundle.methods["gamma"], paper=bundle.methods["beta"].paper)}
    text = bibtex(table, "tiny", "1.2.3", cards)
    assert re.findall(r"^@(\w+)\{(.+),$", text, re.MULTILINE) == [
        ("misc", f"hashbench-tiny-table1-{table.digest}"),
        ("inproceedings", "alpha2020"),
        ("inproceedings", "beta2020"),
    ]
    assert f"Version 1.2.3, content digest {table.digest}" in text
    assert "author = {Ann Author and Bob Builder}" in text
    assert r"title = {{Beta\_2 hashing}}" in text
    assert text.count("{") == text.count("}")


def test_journals_and_preprints_are_told_from_conferences(make_bundle):
    bundle = make_bundle(2)
    venues = {"alpha": "IEEE Transactions on Cybernetics", "beta": "arXiv 2012.12334"}
    cards = {method: with_paper(card, venue=venues[method]) for method, card in bundle.methods.items()}
    table = table1(Results(replace(bundle, methods=cards)), bundle.tied, "tiny")
    text = bibtex(table, "tiny", "1", cards)
    assert "@article{alpha2020" in text
    assert "journal = {IEEE Transactions on Cybernetics}" in text
    assert "@misc{beta2020" in text


def test_latex_cites_what_the_bib_file_of_the_table_holds(make_bundle):
    bundle = make_bundle(6)
    cards = {**bundle.methods, "eps": replace(bundle.methods["eps"], paper=None)}
    table = table1(Results(replace(bundle, methods=cards)), bundle.tied, "tiny")
    cited = re.findall(r"\\cite\{(\w+)\}", RENDERERS["tex"](table))
    assert cited == ["alpha2020", "beta2020", "gamma2020", "delta2020", "zeta2020"]
    entries = set(re.findall(r"^@\w+\{(.+),$", bibtex(table, "tiny", "1", cards), re.MULTILINE))
    assert set(cited) == {key for key in entries if not key.startswith("hashbench")}
