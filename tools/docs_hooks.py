"""What mkdocs.yml adds to the site: formulas as MathML, and a refusal of anything that comes from another host."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
ELSEWHERE = r"""=["']?(?:https?:)?//[^>]*>"""
LOADED = re.compile(
    rf"<(?:script|img|iframe|source)\b[^>]*\bsrc{ELSEWHERE}"
    rf"|<link\b(?=[^>]*\brel=\W?(?:stylesheet|preload|preconnect|icon))[^>]*\bhref{ELSEWHERE}"
)


def on_page_content(html: str, **_: Any) -> str:
    """Browsers draw MathML by themselves; a script that typesets TeX would have to be fetched."""
    display = {"span": "inline", "div": "block"}
    return FORMULA.sub(lambda found: convert(unescape(found[2]), display=display[found[1]]), html)


def on_post_page(output: str, *, page: Any, **_: Any) -> str:
    """The site must work on a machine without a network."""
    if found := LOADED.search(output):
        raise PluginError(f"{page.file.src_uri} loads something from another host: {found[0]}")
    return output
