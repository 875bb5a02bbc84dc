"""The whole report: which files, and that the same records give the same bytes."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from helpers import ablation

from hashbench.records import CellSeconds
from hashbench.report.build import ablation_of, metrics_of, render_ablation, tables_of
from hashbench.report.results import Results, Setting
from hashbench.report.tables.rendering import html


def test_the_report_is_complete_and_the_same_for_shuffled_input(small_bundle, small_report, files_of):
    files = small_report
    for table in ("table1", "table2", "cost/table3"):
        assert {f"{table}.{ending}" for ending in ("md", "tex", "csv", "bib")} <= files.keys()
    figures = {name.removesuffix(".svg") for name in files if name.endswith(".svg")}
    assert len(figures) == 10
    assert {figure.partition("/")[0] for figure in figures} == {"figures", "cost"}
    for figure in figures:
        assert files[f"{figure}.pdf"].startswith(b"%PDF")
        assert ElementTree.fromstring(files[f"{figure}.svg"]).tag.endswith("svg")
        assert len(files[f"{figure}.csv"].splitlines()) > 1

    records = list(small_bundle.records)
    random.Random(0).shuffle(records)
    keys = list(small_bundle.seconds)
    random.Random(1).shuffle(keys)
    ap, seconds = ({key: values[key] for key in keys} for values in (small_bundle.ap, small_bundle.seconds))
    again = files_of(replace(small_bundle, records=tuple(records), ap=ap, seconds=seconds))
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


def test_an_altered_digit_changes_the_table_and_its_digest(small_bundle, change):
    first = small_bundle.records[0]
    changed = (change(first, map=first.evaluation.map + 0.001), *small_bundle.records[1:])
    before, after = tables_of(small_bundle), tables_of(replace(small_bundle, records=changed))
    assert [a.digest == b.digest for a, b in zip(before, after, strict=True)] == [False, False, True]


def test_seconds_stand_in_the_cost_files_alone(small_bundle, small_report, files_of):
    slower = {cell: CellSeconds(fit=86.125, encode=86.5, evaluate=86.25) for cell in small_bundle.seconds}
    again = files_of(replace(small_bundle, seconds=slower))
    without = files_of(replace(small_bundle, seconds={}))
    content = {name for name in small_report if not name.startswith("cost/")}
    assert without.keys() == content
    for name in content:
        assert small_report[name] == again[name] == without[name], name
    assert {"cost/table3.csv", "cost/cost.html", "cost/time_quality.csv"} <= small_report.keys() - content
    for name in ("cost/table3.csv", "cost/table3.md", "cost/time_quality.csv", "cost/cost.html"):
        assert "86.1" in again[name]
    assert 'href="cost/cost.html"' in small_report["report.html"]
    assert 'href="../report.html"' in small_report["cost/cost.html"]


def test_the_main_report_has_no_ablation_and_says_where_there_may_be_one(small_report):
    assert not [name for name in small_report if "ablation" in name]
    assert '<a href="ablations/">' in small_report["report.html"]


def test_the_ablation_is_a_report_of_its_own(make_bundle):
    bundle = replace(make_bundle(3), ablations=(ablation("alpha", "beta"),))
    files = {}
    render_ablation(bundle, files.__setitem__)
    assert files.keys() == {*(f"ablation.{ending}" for ending in ("md", "tex", "csv", "bib")), "report.html"}
    table = ablation_of(bundle)
    assert table.digest in files["ablation.md"]
    assert html(table) in files["report.html"]
    assert [(row.heading.label, row.remark) for row in table.rows] == [
        ("Alpha", "as in table 1"),
        ("beta", "layers: 0 → 1 (Alpha)"),
    ]


def test_no_variant_no_ablation(make_bundle):
    files = {}
    render_ablation(replace(make_bundle(1), ablations=(ablation("alpha", "nothing"),)), files.__setitem__)
    assert files == {}


def test_metrics_are_one_number_a_method_data_set_and_length(make_bundle):
    results = Results(make_bundle(2))
    metrics = metrics_of(results)
    assert metrics.keys() == {"tiny-vit/alpha", "tiny-vit/beta"}
    found = json.loads(metrics["tiny-vit/beta"])
    assert {dataset: list(numbers) for dataset, numbers in found.items()} == {
        "toys": ["16", "32", "64"],
        "mosaic": ["16", "32", "64"],
    }
    for dataset, numbers in found.items():
        for bits, number in numbers.items():
            assert number == round(results.mean(Setting(dataset, "tiny-vit"), "beta", int(bits), "map"), 4)


def test_dvc_shows_the_metrics_of_a_method_in_one_short_line(small_report, tmp_path):
    for name in [name for name in small_report if name.startswith("metrics/")]:
        path = tmp_path / "results" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(small_report[name], encoding="utf-8")
    (tmp_path / "dvc.yaml").write_text("metrics:\n  - results/metrics\n", encoding="utf-8")
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "init", "--no-scm", "-q"], cwd=tmp_path, check=True, timeout=120)
    done = subprocess.run([*dvc, "metrics", "show"], cwd=tmp_path, capture_output=True, text=True, check=True)
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["Path", "toys.16", "toys.32"]
    assert [Path(line.split()[0]).stem for line in lines] == ["alpha", "beta", "gamma"]
    assert max(map(len, (head, *lines))) < 80
