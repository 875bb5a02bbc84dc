"""The Jinja templates of the report: one environment each for HTML, Markdown and LaTeX."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment, Template

# LaTeX and Jinja both claim the braces and the percent sign.
_LATEX_SYNTAX = {
    "block_start_string": "<%",
    "block_end_string": "%>",
    "variable_start_string": "<<",
    "variable_end_string": ">>",
    "comment_start_string": "<#",
    "comment_end_string": "#>",
}

# Character -> LaTeX source that prints it.
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


def latex_text(text: str) -> str:
    """`text` as LaTeX source that prints it."""
    return "".join(_LATEX.get(character, character) for character in text)


def markdown_text(text: str) -> str:
    """`text` as Markdown that prints it."""
    return "".join(f"\\{character}" if character in r"\|*_`<" else character for character in text)


def template(name: str) -> Template:
    """The template of a file of the folder `templates`; HTML escapes what it is given, the others by a filter."""
    return _environment(name.split(".")[-2]).get_template(name)


def asset(name: str) -> str:
    """The text of another file of the folder `templates`, as a page embeds it."""
    return (files("hashbench.report") / "templates" / name).read_text(encoding="utf-8")


@cache
def _environment(language: str) -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    syntax: dict[str, Any] = _LATEX_SYNTAX if language == "tex" else {}
    environment = Environment(
        loader=PackageLoader("hashbench.report"),
        autoescape=language == "html",
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **syntax,
    )
    environment.filters |= {"tex": latex_text, "md": markdown_text, "thousands": "{:,}".format}
    return environment
