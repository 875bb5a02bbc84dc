"""Published numbers beside reproduced ones, in a table of their own: never among measured numbers."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hashbench.errors import HashbenchError
from hashbench.report.results import Results, Setting, mean, spread
from hashbench.types import RunRecord

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


@dataclass(frozen=True)
class Comparison:
    """A published number and the runs nearest to it.

    `reproduced`, `spread`: mAP over seeds, None where nothing was run. `reasons`: why the two are not comparable;
    empty where they are.
    """

    published: Published
    setting: Setting | None
    reproduced: float | None
    spread: float | None
    reasons: tuple[str, ...]

    @property
    def difference(self) -> float | None:
        """Reproduced minus published."""
        return None if self.reproduced is None else self.reproduced - self.published.value


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


def _counts(protocol: str) -> tuple[str, str, str]:
    query, train, database = protocol.split("/")
    return query, train, database


def compare(published: Sequence[Published], results: Results) -> list[Comparison]:
    """Every published number beside each setting in which its method, data set (or a variant of it) and bits ran."""
    return [comparison for row in published for comparison in _compare(row, results)]


def _compare(row: Published, results: Results) -> list[Comparison]:
    found = []
    for setting in results.settings:
        if row.bits is None or not _is_variant(setting.dataset, row.dataset):
            continue
        maps = results.values(setting, row.method, row.bits, lambda run: run.map)
        if maps:
            reasons = _reasons(row, results.runs(setting, row.method, row.bits)[0])
            found.append(Comparison(row, setting, mean(maps), spread(maps), reasons))
    return found or [Comparison(row, None, None, None, ("not run in this profile",))]


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]


def _is_variant(dataset: str, published: str) -> bool:
    """Whether `dataset` is the published one, or its name with something added, as `name-jpeg` is of `name`."""
    words = _words(published)
    return _words(dataset)[: len(words)] == words


def _reasons(row: Published, run: RunRecord) -> tuple[str, ...]:
    """Why a published number and a run do not measure the same thing."""
    reasons = []
    if _words(run.dataset) != _words(row.dataset):
        reasons.append(f"other images: {run.dataset_title}")
    backbone = "".join(_words(row.backbone))
    if not backbone:
        reasons.append("published backbone not stated")
    elif backbone not in "".join(_words(run.backbone)) and backbone not in "".join(_words(run.backbone_title)):
        reasons.append(f"other backbone: {row.backbone} against {run.backbone_title}")
    reasons += _protocol_reasons(row, run)
    k = "all" if run.k is None else str(run.k)
    if row.k == "?":
        reasons.append("published cutoff not stated")
    elif row.k != k:
        reasons.append(f"other cutoff: {row.k} against {k}")
    return tuple(reasons)


def _protocol_reasons(row: Published, run: RunRecord) -> list[str]:
    counts = _counts(row.protocol)
    ours = (run.n_query, run.n_train, run.n_database)
    if any(count not in ("?", str(own)) for count, own in zip(counts, ours, strict=True)):
        return [f"other split: {row.protocol} against {'/'.join(map(str, ours))} (query/train/database)"]
    return ["published split not fully stated"] if "?" in counts else []


COMPARISON_FIELDS = (*FIELDS[:7], "reproduced", "spread", "difference", "comparable", "why_not", *FIELDS[7:])


def comparison_rows(comparisons: Sequence[Comparison]) -> list[dict[str, str]]:
    """The comparisons as text, one dict of `COMPARISON_FIELDS` each."""
    return [_comparison_row(comparison) for comparison in comparisons]


def _comparison_row(comparison: Comparison) -> dict[str, str]:
    row = comparison.published
    return {
        "method": row.method,
        "dataset": comparison.setting.dataset if comparison.setting else row.dataset,
        "protocol": row.protocol,
        "backbone": row.backbone,
        "k": row.k,
        "bits": "" if row.bits is None else str(row.bits),
        "value": repr(row.value),
        "reproduced": "" if comparison.reproduced is None else f"{comparison.reproduced:.4f}",
        "spread": "" if comparison.spread is None else f"{comparison.spread:.4f}",
        "difference": "" if comparison.difference is None else f"{comparison.difference:+.4f}",
        "comparable": "no" if comparison.reasons else "yes",
        "why_not": "; ".join(comparison.reasons),
        "source": row.source,
        "verified": "yes" if row.verified else "no",
        "note": row.note,
    }


def comparison_csv(comparisons: Sequence[Comparison]) -> str:
    """The comparisons as CSV."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COMPARISON_FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(comparison_rows(comparisons))
    return buffer.getvalue()


def comparison_markdown(comparisons: Sequence[Comparison]) -> str:
    """The comparisons of methods that ran, as Markdown, and how many published numbers have no run."""
    ran = [comparison for comparison in comparisons if comparison.setting]
    head = (
        "method",
        "dataset",
        "bits",
        "value",
        "reproduced",
        "spread",
        "difference",
        "comparable",
        "why_not",
        "source",
    )
    lines = [
        "**Published against reproduced.** mAP as public sources print it, beside the runs of this profile. The two "
        "are comparable only where the row says so; published numbers enter no other table.",
        "",
    ]
    if ran:
        lines += [_pipe(head), _pipe(["---"] * len(head))]
        lines += [_pipe([_escaped(row[name]) for name in head]) for row in comparison_rows(ran)]
    else:
        lines.append("No published number is of a method, data set and code length that this profile ran.")
    without = len(comparisons) - len(ran)
    return "\n".join(
        [*lines, "", f"{without} published numbers have no run in this profile; the CSV file lists them.", ""]
    )


def _pipe(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
