"""The bits of one array, and how its file wrote them."""

from __future__ import annotations

from dataclasses import dataclass

from hashbench.types import Codes


@dataclass(frozen=True)
class Bits:
    """Codes of one array; `alphabet`: what stood for a bit, in words; `remark`: what else a reader should know."""

    codes: Codes
    alphabet: str
    remark: str = ""
