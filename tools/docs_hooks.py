"""What mkdocs.yml adds to the site: leaderboards, formulas as MathML, and a refusal of what comes from another host."""

from __future__ import annotations

import re
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from leaderboards import Board, boards_of, files_of, template
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

from hashbench.report.templating import asset

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
ELSEWHERE = r"""=["']?(?:https?:)?//[^>]*>"""
LOADED = re.compile(
    rf"<(?:script|img|iframe|source)\b[^>]*\bsrc{ELSEWHERE}"
    rf"|<link\b(?=[^>]*\brel=\W?(?:stylesheet|preload|preconnect|icon))[^>]*\bhref{ELSEWHERE}"
)


@cache
def boards() -> list[Board]:
    """The leaderboards of the committed results, read once a build."""
    return boards_of(Path(__file__).parents[1])


def on_config(config: MkDocsConfig) -> None:
    """List every leaderboard in the navigation, below the page of all."""
    boards.cache_clear()
    results = next(each["Results"] for each in config.nav or [] if "Results" in each)
    results += [{board.title: f"leaderboard/{board.dataset}.md"} for board in boards()]


def on_files(files: Files, *, config: MkDocsConfig) -> None:
    """Add a page for each leaderboard, what these link to, and the script by which the report page sorts."""
    for board in boards():
        page = template().render(board=board)
        files.append(File.generated(config, f"leaderboard/{board.dataset}.md", content=page))
    for uri, content in files_of(boards()):
        if isinstance(content, Path):
            files.append(File.generated(config, uri, abs_src_path=str(content)))
        else:
            files.append(File.generated(config, uri, content=content))
    files.append(File.generated(config, "assets/report.js", content=asset("report.js")))


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Fill in what the page of all leaderboards leaves to the build."""
    if page.file.src_uri != "leaderboards.md":
        return markdown
    index = template().module.index  # type: ignore[attr-defined]
    filled = markdown.replace("<!-- leaderboards -->", index(boards()))
    return filled.replace("<!-- findings -->", '--8<-- "methods.md:findings"')


def on_page_content(html: str, **_: Any) -> str:
    """Browsers draw MathML by themselves; a script that typesets TeX would have to be fetched.

    A table that is wider than the page is scrolled by keyboard too.
    """
    display = {"span": "inline", "div": "block"}
    html = FORMULA.sub(lambda found: convert(unescape(found[2]), display=display[found[1]]), html)
    return html.replace("<table>", '<table tabindex="0">')


def on_post_page(output: str, *, page: Any, **_: Any) -> str:
    """The site must work on a machine without a network."""
    if found := LOADED.search(output):
        raise PluginError(f"{page.file.src_uri} loads something from another host: {found[0]}")
    return output
