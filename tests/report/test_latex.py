"""LaTeX for two-column papers: nothing is too wide or too high, and what is cited is in the BibTeX file."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace

import pytest
from helpers import ablation

from hashbench.report.build import ablation_of, tables_of
from hashbench.report.citing import bibtex
from hashbench.report.excerpt import excerpt
from hashbench.report.results import Results
from hashbench.report.tables import latex
from hashbench.report.tables.model import Cell, Heading, Row
from hashbench.report.tables.retrieval import table2

DOCUMENT = r"""\documentclass[10pt,twocolumn]{article}
\usepackage[utf8]{inputenc}
\usepackage{booktabs}
\setlength{\textwidth}{%spt}\setlength{\columnsep}{%spt}\setlength{\textheight}{641pt}
\setlength{\headheight}{0pt}\setlength{\headsep}{0pt}\setlength{\topmargin}{0pt}\setlength{\oddsidemargin}{-14pt}
\begin{document}
%s
\bibliographystyle{plain}
\bibliography{table1}
\end{document}
"""
CVPR, IJCAI = (496.9, 27.1), (505.9, 18.1)  # width of the text and of the gap between its columns


def compiled(folder, tables, style, bundle):
    """The log of pdflatex, and what bibtex says, of a paper that shows all tables."""
    if shutil.which("pdflatex") is None or shutil.which("bibtex") is None:
        pytest.skip("needs pdflatex and bibtex (Debian: apt-get install texlive-latex-base texlive-latex-recommended)")
    for table in tables:
        (folder / f"{table.name}.tex").write_text(latex.latex(table), encoding="ascii")
        (folder / f"{table.name}.bib").write_text(bibtex(table, "tiny", "1", bundle.methods), encoding="utf-8")
    inputs = "\n".join(rf"\input{{{table.name}}} See Table~\ref{{tab:{table.name}}}." for table in tables)
    (folder / "paper.tex").write_text(DOCUMENT % (*style, inputs), encoding="utf-8")
    typeset = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper"]
    for command in (typeset, ["bibtex", "paper"], typeset, typeset):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout[-2000:]
    return "".join((folder / f"paper.{ending}").read_text(errors="replace") for ending in ("log", "blg"))


def with_long_names(bundle):
    """The bundle with names and changes that are as long as any method's."""
    cards = {m: replace(card, title=f"{card.title} (2 layers)") for m, card in bundle.methods.items()}
    return replace(bundle, methods=cards)


@pytest.mark.parametrize("style", [CVPR, IJCAI], ids=["cvpr", "ijcai"])
def test_a_two_column_paper_has_no_overfull_box(make_bundle, change, tmp_path, style):
    bundle = with_long_names(make_bundle(20, ablations=(ablation("alpha", "beta", "gamma", "delta"),)))
    records = tuple(
        change(run, hyperparameters={"sorter": "softsort", "augmentation": "simclr_crop50", "rate": 0.1 + run.bits})
        if run.method == "beta"
        else run
        for run in bundle.records
    )
    bundle = replace(bundle, records=records)
    tables = [*tables_of(bundle), ablation_of(bundle)]
    log = compiled(tmp_path, tables, style, bundle)
    for complaint in ("Overfull", "too large", "undefined", "Warning--", "Repeated entry"):
        assert complaint not in log, log[log.index(complaint) - 300 :][:900]
    assert (tmp_path / "paper.pdf").stat().st_size > 20_000
    assert (tmp_path / "paper.aux").read_text().count(r"\citation{") >= 4 * 20


def test_an_excerpt_fits_one_column(make_bundle, tmp_path):
    bundle = make_bundle(6)
    few = excerpt(bundle, "table1", ["beta", "alpha"], [16, 32], with_spread=False)
    turned = excerpt(bundle, "table1", ["beta", "alpha", "delta"], transpose=True)
    texts = [latex.latex(table) for table in (few, turned)]
    assert all(r"\begin{table}[tbp]" in text for text in texts)
    log = compiled(tmp_path, [few, replace(turned, name="turned")], CVPR, bundle)
    assert "Overfull" not in log


def test_the_log_would_tell_of_a_table_that_is_too_wide(make_bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(latex, "_TEXT_WIDTH", 5000.0)
    bundle = make_bundle(3)
    (table, *_) = tables_of(bundle)
    row = table.rows[0]
    wide = replace(table, columns=table.columns * 4, rows=(replace(row, cells=row.cells * 4),))
    assert "Overfull" in compiled(tmp_path, [wide], CVPR, bundle)


def test_provenance_is_one_short_line_in_print_and_whole_in_comments(tables):
    for table in tables:
        lines = latex.latex(table).splitlines()
        comments = [line for line in lines if line.startswith("%")]
        assert len(comments) == 2 + len(table.provenance)
        assert f"hashbench, content digest {table.digest}.}}" in "\n".join(lines)
        assert not any(text in line for text in ("0123456789ab", "Toy CPU") for line in lines if line not in comments)


def test_a_long_table_continues_in_further_floats(make_bundle):
    table = table2(Results(make_bundle(20)), "tiny")
    text = latex.latex(table)
    assert text.count(r"\begin{table*}") == text.count(r"\end{table*}") == 2
    assert text.count(r"\label{tab:table2}") == 1
    assert text.count("(Continued.)") == 1
    assert sum(line.startswith("Alpha~") for line in text.splitlines()) == 6


def grid(n_rows, groups, remark=""):
    """A table of `n_rows` rows with, for each of `groups`, as many columns of 16 points."""
    columns = [Heading(f"g{number}", "x") for number, width in enumerate(groups) for _ in range(width)]
    cells = [Cell("d", "b", "m", 16, "mAP", 0.5, None, 1) for _ in columns]
    return tuple(columns), tuple(Row(Heading("", "m"), tuple(cells), remark) for _ in range(n_rows))


@pytest.mark.parametrize(
    ("groups", "widths"), [((3, 3), [6]), ((15, 15), [15, 15]), ((12, 3, 15), [15, 15]), ((45,), [18, 18, 9])]
)
def test_columns_are_parted_between_groups_where_they_can_be(tables, groups, widths):
    columns, rows = grid(2, groups)
    table = replace(tables[0], columns=columns, rows=rows)
    assert [len(part.columns) for part in latex.floats(table)] == widths


def test_a_section_longer_than_a_page_is_parted(tables):
    columns, rows = grid(100, (2,))
    parts = list(latex.floats(replace(tables[0], columns=columns, rows=rows)))
    assert [sum(len(found) for _, found in part.sections) for part in parts] == [68, 32]


def test_remarks_of_several_lines_take_as_much_of_a_page(tables):
    columns, rows = grid(40, (2,), remark="augmentation: simclr_crop20 → simclr_crop50, rate: 0.001 → 0.01")
    parts = list(latex.floats(replace(tables[0], columns=columns, rows=rows)))
    assert len(parts) == 3
