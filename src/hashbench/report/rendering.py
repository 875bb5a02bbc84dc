"""A `Table` as Markdown, LaTeX (booktabs), tidy CSV and an HTML fragment."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from html import escape
from itertools import groupby

from hashbench.report.tables import Cell, Column, Row, Table, printed

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≠": r"$\neq$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "→": r"$\rightarrow$",
    "†": r"$^\dagger$",
    "−": r"$-$",
    "–": "--",
    "—": "---",
    "’": "'",
    "“": "``",
    "”": "''",
    "…": r"\ldots{}",
    "τ": r"$\tau$",
    "λ": r"$\lambda$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
}
_ROWS_OF_A_PAGE = 42


def latex_text(text: str) -> str:
    """`text` as LaTeX source that prints it."""
    return "".join(_LATEX.get(character, character) for character in text)


def _markdown_text(text: str) -> str:
    return "".join(f"\\{character}" if character in r"\|*_`<" else character for character in text)


def shown(cell: Cell, column: Column) -> str:
    """A cell's value, with its spread where the column shows one."""
    if cell.spread is None or not column.show_spread:
        return printed(cell, column)
    return f"{printed(cell, column)} ± {cell.spread:.{column.decimals}f}"


def _decorated(cell: Cell, column: Column, bold: str, underline: str, dagger: str) -> str:
    """Put a cell's value into the templates of its marks; the spread stays plain, so that marks stay legible."""
    value = printed(cell, column)
    text = shown(cell, column).removeprefix(value)
    if "best" in cell.marks:
        value = bold.format(value)
    if "second" in cell.marks:
        value = underline.format(value)
    return value + (dagger if "insignificant" in cell.marks else "") + text


def _groups(columns: Sequence[Column]) -> list[tuple[str, int]]:
    """The headings above neighbouring columns, with how many columns each spans."""
    return [(heading, len(list(members))) for heading, members in groupby(columns, key=lambda column: column.group)]


def _has_remarks(table: Table) -> bool:
    return any(row.remark for row in table.rows)


def _closing(table: Table) -> str:
    return "; ".join(table.provenance) + f"; content digest {table.digest}"


def markdown(table: Table) -> str:
    """The table in GitHub's Markdown, with notes and provenance below."""
    remarks = _has_remarks(table)
    head = [
        "Method",
        *(["Changes"] if remarks else []),
        *(f"{_markdown_text(c.group)}<br>{c.label}" for c in table.columns),
    ]
    lines = [f"**{table.title}.** {_markdown_text(table.caption)}", "", _pipe(head)]
    lines.append(_pipe(["---"] * (len(head) - len(table.columns)) + ["---:"] * len(table.columns)))
    for heading, rows in table.sections():
        if heading:
            lines.append(_pipe([f"**{_markdown_text(heading)}**", *[""] * (len(head) - 1)]))
        lines += [_markdown_row(row, table.columns, remarks) for row in rows]
    lines += [
        "",
        *(f"{_markdown_text(note)}  " for note in table.notes),
        "",
        f"*{_markdown_text(_closing(table))}*",
        "",
    ]
    return "\n".join(lines)


def _markdown_row(row: Row, columns: Sequence[Column], remarks: bool) -> str:
    cells = [_decorated(*pair, "**{}**", "<u>{}</u>", "†") for pair in zip(row.cells, columns, strict=True)]
    return _pipe([_markdown_text(row.label), *([_markdown_text(row.remark)] if remarks else []), *cells])


def _pipe(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def latex(table: Table) -> str:
    r"""The table as LaTeX to \input into a document that loads booktabs; a long one continues in further floats."""
    pages = list(_pages(table))
    return "\n".join(_latex_float(table, page, number) for number, page in enumerate(pages))


def latex_document(table: Table) -> str:
    """A whole LaTeX document that holds the table alone."""
    preamble = r"\documentclass[10pt]{article}" "\n" r"\usepackage[utf8]{inputenc}"
    geometry = r"\usepackage[a4paper,landscape,margin=12mm]{geometry}"
    body = f"\\begin{{document}}\n\\pagestyle{{empty}}\n{latex(table)}\\end{{document}}\n"
    return f"{preamble}\n{geometry}\n\\usepackage{{booktabs}}\n{body}"


def _pages(table: Table) -> Iterator[list[tuple[str, list[Row]]]]:
    """Sections packed into floats of at most a page of rows, never splitting a section that fits one."""
    page: list[tuple[str, list[Row]]] = []
    for heading, rows in table.sections():
        if page and sum(len(r) + 1 for _, r in page) + len(rows) > _ROWS_OF_A_PAGE:
            yield page
            page = []
        page.append((heading, rows))
    yield page


def _latex_float(table: Table, page: list[tuple[str, list[Row]]], number: int) -> str:
    remarks = _has_remarks(table)
    lead = 2 if remarks else 1
    caption = latex_text(table.caption) if number == 0 else f"{latex_text(table.caption)} (Continued.)"
    label = f"\\label{{tab:{table.name}}}" if number == 0 else ""
    lines = [
        f"% {table.title}, content digest {table.digest}",
        r"\begin{table}[tbp]",
        r"\centering\scriptsize\setlength{\tabcolsep}{3pt}",
        f"\\caption{{{caption}}}{label}",
        f"\\begin{{tabular}}{{@{{}}{'l' * lead}{'r' * len(table.columns)}@{{}}}}",
        r"\toprule",
        *_latex_head(table.columns, lead, remarks),
        r"\midrule",
    ]
    for position, (heading, rows) in enumerate(page):
        if heading:
            lines += [r"\addlinespace"] if position else []
            lines.append(
                f"\\multicolumn{{{lead + len(table.columns)}}}{{@{{}}l}}{{\\emph{{{latex_text(heading)}}}}} \\\\"
            )
        lines += [_latex_row(row, table.columns, remarks) for row in rows]
    lines += [r"\bottomrule", r"\end{tabular}", ""]
    for text in (*table.notes, _closing(table)):
        lines.append(f"\\par\\smallskip\\parbox{{\\linewidth}}{{\\tiny\\raggedright {latex_text(text)}}}")
    return "\n".join([*lines, r"\end{table}", ""])


def _latex_head(columns: Sequence[Column], lead: int, remarks: bool) -> list[str]:
    groups, rules, start = [], [], lead + 1
    for heading, width in _groups(columns):
        groups.append(f"\\multicolumn{{{width}}}{{c}}{{{latex_text(heading)}}}")
        rules.append(f"\\cmidrule(lr){{{start}-{start + width - 1}}}")
        start += width
    labels = [latex_text(column.label) for column in columns]
    return [
        " & ".join([*[""] * lead, *groups]) + r" \\",
        "".join(rules),
        " & ".join(["Method", *(["Changes"] if remarks else []), *labels]) + r" \\",
    ]


def _latex_row(row: Row, columns: Sequence[Column], remarks: bool) -> str:
    marks = (r"\textbf{{{}}}", r"\underline{{{}}}", r"$^\dagger$")
    cells = [_decorated(cell, column, *marks) for cell, column in zip(row.cells, columns, strict=True)]
    cells = [text.replace("±", r"$\pm$").replace("–", "--") for text in cells]
    return " & ".join([latex_text(row.label), *([latex_text(row.remark)] if remarks else []), *cells]) + r" \\"


CSV_FIELDS = ("dataset", "backbone", "method", "bits", "metric", "value", "spread", "seeds", "marks")


def tidy_csv(table: Table) -> str:
    """One line for each number, in full precision; `marks` joined by spaces; an empty value where there was no run."""
    lines: list[Sequence[object]] = [CSV_FIELDS]
    for cell in (cell for row in table.rows for cell in row.cells):
        numbers = ["" if number is None else repr(number) for number in (cell.value, cell.spread)]
        where = (cell.dataset, cell.backbone, cell.method, cell.bits, cell.metric)
        lines.append((*where, *numbers, cell.seeds, " ".join(cell.marks)))
    return csv_text(lines)


def csv_text(lines: Sequence[Sequence[object]]) -> str:
    """Lines of values as CSV with Unix line ends."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(lines)
    return buffer.getvalue()


def html(table: Table) -> str:
    """The table as an HTML fragment: a button in each heading sorts by it once the report's script runs."""
    remarks = _has_remarks(table)
    lead = 2 if remarks else 1
    groups = "".join(
        f'<th scope="colgroup" colspan="{n}">{escape(heading)}</th>' for heading, n in _groups(table.columns)
    )
    labels = ["Method", *(["Changes"] if remarks else []), *(column.label for column in table.columns)]
    heads = "".join(_html_head(label, number >= lead) for number, label in enumerate(labels))
    bodies = "".join(_html_body(heading, rows, table.columns, remarks) for heading, rows in table.sections())
    return (
        f'<figure class="table" id="{table.name}">\n'
        f'<div class="scroll" tabindex="0" role="region" aria-labelledby="{table.name}-caption">\n'
        f'<table class="sortable">\n<caption id="{table.name}-caption"><span><b>{escape(table.title)}.</b> '
        f"{escape(table.caption)}</span></caption>\n"
        f'<thead>\n<tr><td colspan="{lead}"></td>{groups}</tr>\n<tr>{heads}</tr>\n</thead>\n{bodies}</table>\n</div>\n'
        f"<figcaption>{'<br>'.join(map(escape, table.notes))}</figcaption>\n"
        f'<details class="provenance"><summary>Provenance, content digest <code>{table.digest}</code></summary>'
        f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in table.provenance)}</ul></details>\n</figure>\n"
    )


def _html_head(label: str, number: bool) -> str:
    kind = ' class="number"' if number else ""
    return f'<th scope="col"{kind} aria-sort="none"><button type="button">{escape(label)}</button></th>'


def _html_body(heading: str, rows: Sequence[Row], columns: Sequence[Column], remarks: bool) -> str:
    width = len(columns) + (2 if remarks else 1)
    title = (
        f'<tr class="section"><th scope="rowgroup" colspan="{width}">{escape(heading)}</th></tr>\n' if heading else ""
    )
    lines = "".join(f"{_html_row(row, columns, remarks)}\n" for row in rows)
    return f"<tbody>\n{title}{lines}</tbody>\n"


def _html_row(row: Row, columns: Sequence[Column], remarks: bool) -> str:
    cells = "".join(_html_cell(cell, column) for cell, column in zip(row.cells, columns, strict=True))
    remark = f"<td>{escape(row.remark)}</td>" if remarks else ""
    return f'<tr><th scope="row">{escape(row.label)}</th>{remark}{cells}</tr>'


def _html_cell(cell: Cell, column: Column) -> str:
    value = "" if cell.value is None else repr(cell.value)
    dagger = '<span title="lead not significant">†</span>'
    text = _decorated(cell, column, "<strong>{}</strong>", "<u>{}</u>", dagger)
    number, plus_minus, rest = text.partition(" ± ")
    spread = f" <small>± {rest}</small>" if plus_minus else ""
    return f'<td class="number" data-value="{value}">{number}{spread}</td>'


_ROWS = {"md": _markdown_row, "tex": _latex_row, "html": _html_row}


def row_text(table: Table, row: Row, ending: str) -> str:
    """The one line that a row of the table is in the format 'md', 'tex' or 'html'."""
    return _ROWS[ending](row, table.columns, _has_remarks(table))


RENDERERS: dict[str, Callable[[Table], str]] = {"md": markdown, "tex": latex, "csv": tidy_csv, "html": html}
