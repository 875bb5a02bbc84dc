"""Published numbers beside reproduced ones, in a table of their own: never among measured numbers."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from hashbench.records import RunRecord
from hashbench.report.published import FIELDS, Published
from hashbench.report.results import Results, Setting
from hashbench.report.tables.model import cell_of
from hashbench.report.templating import template


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


def compare(published: Sequence[Published], results: Results) -> list[Comparison]:
    """Every published number beside each setting in which its method, data set (or a variant of it) and bits ran."""
    return [comparison for row in published for comparison in _compare(row, results)]


def _compare(row: Published, results: Results) -> list[Comparison]:
    found = []
    for setting in results.settings:
        if row.bits is None or not _is_variant(setting.dataset, row.dataset):
            continue
        if runs := results.runs(setting, row.method, row.bits):
            cell = cell_of(results, setting, row.method, row.bits, "mAP", "map")
            found.append(Comparison(row, setting, cell.value, cell.spread, _reasons(row, runs[0], setting, results)))
    return found or [Comparison(row, None, None, None, ("not run in this profile",))]


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]


def _is_variant(dataset: str, published: str) -> bool:
    """Whether `dataset` is the published one, or its name with something added, as `name-jpeg` is of `name`."""
    words = _words(published)
    return _words(dataset)[: len(words)] == words


def _reasons(row: Published, run: RunRecord, setting: Setting, results: Results) -> tuple[str, ...]:
    """Why a published number and a run do not measure the same thing."""
    reasons = []
    if _words(run.dataset) != _words(row.dataset):
        reasons.append(f"other images: {results.dataset_title(setting)}")
    backbone, title = "".join(_words(row.backbone)), results.backbone_title(setting)
    if not backbone:
        reasons.append("published backbone not stated")
    elif backbone not in "".join(_words(run.backbone)) and backbone not in "".join(_words(title)):
        reasons.append(f"other backbone: {row.backbone} against {title}")
    reasons += _protocol_reasons(row, run)
    k = "all" if run.evaluation.k is None else str(run.evaluation.k)
    if row.k == "?":
        reasons.append("published cutoff not stated")
    elif row.k != k:
        reasons.append(f"other cutoff: {row.k} against {k}")
    return tuple(reasons)


def _protocol_reasons(row: Published, run: RunRecord) -> list[str]:
    counts = row.protocol.split("/")
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
    columns = [name for name in COMPARISON_FIELDS if name not in _ONLY_IN_CSV]
    rows = [[row[name] for name in columns] for row in comparison_rows(ran)]
    return template("published.md.j2").render(columns=columns, rows=rows, without=len(comparisons) - len(ran))


_ONLY_IN_CSV = ("protocol", "backbone", "k", "verified", "note")
