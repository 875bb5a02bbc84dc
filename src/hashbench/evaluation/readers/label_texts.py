"""Labels written as texts: one name an item, or several with something between them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from hashbench.evaluation.readers.found import Found, rows_where, shown
from hashbench.types import Array

_SEPARATORS = ";|,"
_NUMBERS = re.compile(r"\d+(\s+\d+)+")


def as_texts(found: Found, value: Any) -> Array:
    """Texts str (n,) of an array of texts, bytes or objects, without spaces around them."""
    if value.ndim == 2 and value.shape[1] == 1:
        value = value[:, 0]
    if value.ndim != 1:
        raise found.refuse(f"holds texts of shape {value.shape}: give one text an item")
    items = [each.decode("utf-8", "replace") if isinstance(each, bytes) else each for each in value.tolist()]
    no_text = np.array([not isinstance(each, str) or not each.strip() for each in items])
    if no_text.any():
        raise found.refuse(f"holds something empty or no text in {rows_where(no_text)}: give every item a label")
    return np.array([each.strip() for each in items])


def split_texts(found: Found, texts: Array, separator: str | None) -> Array | list[list[str]]:
    """Names (n,) as they are, or lists of them where `separator` stands between; without one, texts must need none."""
    if separator is None:
        _refuse_separated(found, texts)
        return texts
    if separator == "none":
        return texts
    return [[label.strip() for label in text.split(separator) if label.strip()] for text in texts.tolist()]


def _refuse_separated(found: Found, texts: Array) -> None:
    looks = np.array(
        [any(each in text for each in _SEPARATORS) or _NUMBERS.fullmatch(text) is not None for text in texts]
    )
    if looks.any():
        example = texts[int(looks.argmax())]
        raise found.refuse(
            f"holds texts that may be several labels in {rows_where(looks)}, the first '{shown(example)}': say what "
            "stands between labels by --separator ';' (or another), or --separator none where a text is one label"
        )
