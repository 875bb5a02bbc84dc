"""Tables as text: every format says the same, and none breaks on odd names."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

import pytest

from hashbench.report.tables import latex, rendering
from hashbench.report.tables.model import Cell, Heading, Row
from hashbench.report.templating import latex_text


def test_markdown_has_as_many_cells_in_every_row(tables):
    for table in tables:
        lines = [line for line in rendering.markdown(table).splitlines() if line.startswith("|")]
        assert len(lines) == 2 + len(table.rows) + sum(bool(name) for name, _ in table.sections)
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1


def test_markdown_marks_and_closes_with_provenance_and_digest(tables):
    text = rendering.markdown(tables[0])
    best = tables[0].rows[0].cells[0]
    assert f"**{best.value:.3f}** ± {best.spread:.3f}" in text
    assert "<u>" in text
    assert "Epsilon\\<b>" in text
    assert text.rstrip().endswith(f"content digest {tables[0].digest}*")
    assert "Fingerprint" in text.splitlines()[-1]


@pytest.mark.parametrize(
    ("ending", "shown"),
    [
        ("md", "| m | **0.500** ± 0.010 |"),
        ("tex", r"m & \textbf{0.500}{\tiny$\pm$0.010} \\"),
        ("html", "<strong>0.500</strong> <small>± 0.010</small></td></tr>"),
    ],
)
def test_the_best_value_is_bold_and_its_spread_is_not(tables, ending, shown):
    cell = Cell("d", "b", "m", 16, "mAP", 0.5, 0.01, 3, marks=("best",))
    table = replace(tables[0], columns=tables[0].columns[:1], rows=(Row(Heading("", "m"), (cell,)),))
    assert shown in rendering.RENDERERS[ending](table)


@pytest.mark.parametrize("ending", ["md", "tex", "html"])
def test_every_row_is_a_line_that_can_be_found(tables, ending):
    for table in tables:
        lines = rendering.RENDERERS[ending](table).splitlines()
        found = list(rendering.lines_of_rows(table, ending))
        place = -1
        for text, _, _ in found:
            place = lines.index(text, place + 1)
        cells = [cell for _, row, columns in found for cell in row.cells if len(row.cells) == len(columns)]
        assert sorted(cells, key=repr) == sorted((cell for row in table.rows for cell in row.cells), key=repr)


def test_csv_round_trips_every_number(tables):
    for table in tables:
        lines = list(csv.DictReader(io.StringIO(rendering.tidy_csv(table))))
        cells = [cell for row in table.rows for cell in row.cells]
        assert len(lines) == len(cells)
        for line, cell in zip(lines, cells, strict=True):
            assert (line["dataset"], line["method"], int(line["bits"])) == (cell.dataset, cell.method, cell.bits)
            assert (float(line["value"]) if line["value"] else None) == cell.value
            assert line["metric"] == cell.metric
            assert tuple(line["marks"].split()) == cell.marks


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("a_b & c%", r"a\_b \& c\%"),
        (r"\x{y}", r"\textbackslash{}x\{y\}"),
        ("p ≥ 0.05 ~ ^ # $", r"p $\geq$ 0.05 \textasciitilde{} \textasciicircum{} \# \$"),
        ("0 → 1", r"0 $\rightarrow$ 1"),
    ],
)
def test_latex_escapes(text, source):
    assert latex_text(text) == source


def test_latex_has_no_character_that_needs_more_than_ascii(tables):
    for table in tables:
        assert latex.latex(table).isascii()


def test_html_escapes_names_and_gives_plain_numbers_to_sort_by(tables):
    text = rendering.html(tables[0])
    assert "Epsilon&lt;b&gt;" in text
    assert "<b>Epsilon" not in text
    values = [float(value) for value in re.findall(r'data-value="([^"]+)"', text)]
    assert values == [cell.value for row in tables[0].rows for cell in row.cells]
    assert text.count('aria-sort="none"') == 1 + len(tables[0].columns)
    assert tables[0].digest in text
