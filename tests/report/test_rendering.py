"""Tables as text: every format says the same, and none breaks on odd names."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess

import pytest

from hashbench.report import rendering
from hashbench.report.ablation import ablation_table
from hashbench.report.bundle import Ablation
from hashbench.report.cost import table3
from hashbench.report.quality import table1, table2
from hashbench.report.tables import Cell, Column


@pytest.fixture
def tables(make_bundle, results_of):
    bundle = make_bundle(6)
    results = results_of(bundle)
    ablation = ablation_table(results, [Ablation("alpha", ("beta", "gamma"))], "tiny")
    return [table1(results, bundle.paired_pvalue, "tiny"), table2(results, "tiny"), table3(results, "tiny"), ablation]


def test_markdown_has_as_many_cells_in_every_row(tables):
    for table in tables:
        lines = [line for line in rendering.markdown(table).splitlines() if line.startswith("|")]
        assert len(lines) == 2 + len(table.rows) + sum(bool(name) for name, _ in table.sections())
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1


def test_markdown_marks_and_closes_with_provenance_and_digest(tables):
    text = rendering.markdown(tables[0])
    best = tables[0].rows[0].cells[0]
    assert f"**{best.value:.3f}** ± {best.spread:.3f}" in text.replace("**†", "**")
    assert "<u>" in text
    assert "Epsilon\\<b>" in text
    assert text.rstrip().endswith(f"content digest {tables[0].digest}*")
    assert "Code and params" in text.splitlines()[-1]


def test_the_dagger_stands_with_the_value():
    cell = Cell("d", "b", "m", 16, "mAP", 0.5, 0.01, 3, ("best", "insignificant"))
    assert rendering._decorated(cell, Column("", ""), "**{}**", "<u>{}</u>", "†") == "**0.500**† ± 0.010"


def test_csv_round_trips_every_number(tables):
    for table in tables:
        lines = list(csv.DictReader(io.StringIO(rendering.tidy_csv(table))))
        cells = [cell for row in table.rows for cell in row.cells]
        assert len(lines) == len(cells)
        for line, cell in zip(lines, cells, strict=True):
            assert (line["dataset"], line["method"], int(line["bits"])) == (cell.dataset, cell.method, cell.bits)
            assert float(line["value"]) == cell.value
            assert line["metric"] == cell.metric
            assert tuple(line["marks"].split()) == cell.marks


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("a_b & c%", r"a\_b \& c\%"),
        (r"\x{y}", r"\textbackslash{}x\{y\}"),
        ("p ≥ 0.05 ~ ^ # $", r"p $\geq$ 0.05 \textasciitilde{} \textasciicircum{} \# \$"),
        ("0 → 1", r"0 $\rightarrow$ 1"),
    ],
)
def test_latex_escapes(text, latex):
    assert rendering.latex_text(text) == latex


def test_latex_has_no_character_that_needs_more_than_ascii(tables):
    for table in tables:
        assert rendering.latex(table).isascii()


def test_a_long_latex_table_continues_in_further_floats(make_bundle, results_of):
    table = table2(results_of(make_bundle(20)), "tiny")
    text = rendering.latex(table)
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 3
    assert text.count(r"\label{tab:table2}") == 1
    assert sum(line.startswith("Alpha &") for line in text.splitlines()) == 6


def test_latex_compiles(tables, tmp_path):
    engine = next((found for name in ("tectonic", "pdflatex", "xelatex") if (found := shutil.which(name))), None)
    if engine is None:
        pytest.skip("needs a TeX engine (tectonic, or texlive-latex-base and texlive-latex-recommended)")
    for table in tables:
        source = tmp_path / f"{table.name}.tex"
        source.write_text(rendering.latex_document(table), encoding="utf-8")
        options = [] if engine.endswith("tectonic") else ["-interaction=nonstopmode", "-halt-on-error"]
        done = subprocess.run(
            [engine, *options, source.name], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-2000:]
        assert "Overfull" not in done.stdout
        assert source.with_suffix(".pdf").stat().st_size > 5000


def test_html_escapes_names_and_gives_plain_numbers_to_sort_by(tables):
    text = rendering.html(tables[0])
    assert "Epsilon&lt;b&gt;" in text
    assert "<b>Epsilon" not in text
    values = [float(value) for value in re.findall(r'data-value="([^"]+)"', text)]
    assert values == [cell.value for row in tables[0].rows for cell in row.cells]
    assert text.count('aria-sort="none"') == 1 + len(tables[0].columns)
    assert tables[0].digest in text
