"""Numbers as public sources print them: results/published.csv, read strictly."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from hashbench.errors import HashbenchError

FIELDS = ("method", "dataset", "protocol", "backbone", "k", "bits", "value", "source", "verified", "note")


@dataclass(frozen=True)
class Published:
    """One number as a public source prints it, as a fraction.

    `method`, `dataset`: names as the run records use them. `protocol`: counts 'query/train/database', '?' where the
    source does not say. `k`: cutoff of mAP, 'all', or '?'. `bits`: None where not given. `verified`: whether the
    source itself was read.
    """

    method: str
    dataset: str
    protocol: str
    backbone: str
    k: str
    bits: int | None
    value: float
    source: str
    verified: bool
    note: str


def open_published(path: Path) -> tuple[Published, ...]:
    """The rows of the file `path`, none where there is no such file. Raises HashbenchError where it is damaged."""
    try:
        return read_published(path.read_bytes().decode("utf-8")) if path.exists() else ()
    except UnicodeDecodeError as error:
        raise HashbenchError(f"{path} is not UTF-8 ({error}); save it anew") from None


def read_published(text: str) -> tuple[Published, ...]:
    """The rows of a published.csv. Raises HashbenchError, naming the line, where one is not as it must be."""
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        if tuple(reader.fieldnames or ()) != FIELDS:
            raise HashbenchError(f"published.csv must have the columns {', '.join(FIELDS)}, got {reader.fieldnames}")
        return tuple(_read_row(row, reader.line_num) for row in reader)
    except csv.Error as error:
        raise HashbenchError(f"published.csv line {reader.line_num} is not CSV ({error})") from None


# How the fields that are not free text must read.
_PATTERNS = {
    "protocol": r"([0-9]+|\?)/([0-9]+|\?)/([0-9]+|\?)",
    "k": r"[0-9]+|all|\?",
    "bits": r"([1-9][0-9]{0,3})?",
    "value": r"0(\.[0-9]+)?|1(\.0+)?",
    "verified": r"yes|no",
}


def _read_row(row: dict[str, str], line: int) -> Published:
    whole = set(row) == set(FIELDS) and None not in row.values()
    if not whole or not all(re.fullmatch(pattern, row[name]) for name, pattern in _PATTERNS.items()):
        raise HashbenchError(
            f"published.csv line {line} must have {len(FIELDS)} fields, with counts such as 1000/5000/? as protocol, "
            "k a number, 'all' or '?', a whole number of bits or none, a value in [0, 1], and verified yes or no"
        )
    return Published(
        row["method"],
        row["dataset"],
        row["protocol"],
        row["backbone"],
        row["k"],
        int(row["bits"]) if row["bits"] else None,
        float(row["value"]),
        row["source"],
        row["verified"] == "yes",
        row["note"],
    )
