"""BibTeX for a table and the papers in it."""

from __future__ import annotations

import re
from dataclasses import replace

from hashbench.report.citing import bibtex
from hashbench.report.quality import table1


def test_a_citation_names_version_digest_and_each_paper_once(make_bundle, results_of):
    bundle = make_bundle(3)
    table = table1(results_of(bundle), bundle.paired_pvalue, "tiny")
    papers = {**bundle.papers, "gamma": bundle.papers["beta"]}
    text = bibtex(table, "tiny", "1.2.3", papers)
    assert re.findall(r"^@(\w+)\{(.+),$", text, re.MULTILINE) == [
        ("misc", f"hashbench-tiny-table1-{table.digest}"),
        ("inproceedings", "alpha2020"),
        ("inproceedings", "beta2020"),
    ]
    assert f"Version 1.2.3, content digest {table.digest}" in text
    assert "author = {Ann Author and Bob Builder}" in text
    assert r"title = {{Beta\_2 hashing}}" in text
    assert text.count("{") == text.count("}")


def test_journals_and_preprints_are_told_from_conferences(make_bundle, results_of):
    bundle = make_bundle(2)
    venues = {"alpha": "IEEE Transactions on Cybernetics", "beta": "arXiv 2012.12334"}
    papers = {method: {**paper, "venue": venues[method]} for method, paper in bundle.papers.items()}
    table = table1(results_of(replace(bundle, papers=papers)), bundle.paired_pvalue, "tiny")
    text = bibtex(table, "tiny", "1", papers)
    assert "@article{alpha2020" in text
    assert "journal = {IEEE Transactions on Cybernetics}" in text
    assert "@misc{beta2020" in text
