"""The whole report: which files, and that the same records give the same bytes."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree

from hashbench.report.build import tables_of


def test_the_report_is_complete_and_the_same_for_shuffled_input(small_bundle, small_report, files_of):
    files = small_report
    for table in ("table1", "table2", "table3"):
        assert {f"{table}.{ending}" for ending in ("md", "tex", "csv", "html", "bib")} <= files.keys()
    figures = {name.removesuffix(".svg") for name in files if name.endswith(".svg")}
    assert len(figures) == 10
    for figure in figures:
        assert files[f"{figure}.png"].startswith(b"\x89PNG")
        assert ElementTree.fromstring(files[f"{figure}.svg"]).tag.endswith("svg")
        assert len(files[f"{figure}.csv"].splitlines()) > 1
    assert json.loads(files["metrics.json"])["toys"]["tiny-vit"]["alpha"]["32"]["map"] > 0.7

    records = list(small_bundle.records)
    random.Random(0).shuffle(records)
    keys = list(small_bundle.ap)
    random.Random(1).shuffle(keys)
    again = files_of(replace(small_bundle, records=tuple(records), ap={key: small_bundle.ap[key] for key in keys}))
    assert list(again) == list(files)
    assert [name for name in files if files[name] != again[name]] == []


def test_no_file_holds_a_clock_a_path_or_a_version_of_matplotlib(small_report):
    for name, content in small_report.items():
        text = content if isinstance(content, str) else content.decode("latin-1")
        text = re.sub(r"base64,[A-Za-z0-9+/=]+", "", text)
        assert str(os.getcwd()) not in text, name  # noqa: PTH109
        assert not re.search(r"\b20\d\d-\d\d-\d\d", text), name
        assert not re.search(r"matplotlib\s+(version|v?\d)", text, re.IGNORECASE), name


def test_tables_do_not_need_matplotlib_or_torch():
    code = (
        "import sys, hashbench.report.build; print([m for m in ('matplotlib', 'torch', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_altered_digit_changes_the_table_and_its_digest(small_bundle):
    first = small_bundle.records[0]
    changed = (first.model_copy(update={"map": first.map + 0.001}), *small_bundle.records[1:])
    before, after = tables_of(small_bundle), tables_of(replace(small_bundle, records=changed))
    assert [a.digest == b.digest for a, b in zip(before, after, strict=True)] == [False, False, True]
