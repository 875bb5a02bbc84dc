"""Render docs/reliability.md from results/robustness.json. Measures nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FIGURES = ROOT / "results" / "robustness.json"
PAGE = ROOT / "docs" / "reliability.md"

# The sections of the page.
ORDER = (
    "crash",
    "full_disk",
    "corruption",
    "hostile_files",
    "fuzzing",
    "configuration",
    "staleness",
    "determinism",
    "determinism_cuda",
    "concurrency",
    "supply_chain",
    "coverage",
    "mutation",
)

HEAD = """# Reliability

What happens to hashbench when things go wrong, as measured. `nox -s robustness` makes every figure below anew and
writes this page; a short form of each check is part of `nox -s tests`. The checks are the files of `tests/robustness/`.
"""


def page(sections: dict[str, dict[str, Any]]) -> str:
    """The page, Markdown, from the figures by name."""
    return "\n".join([HEAD, *(section(sections[name]) for name in sorted(sections, key=ORDER.index))])


def section(said: dict[str, Any]) -> str:
    """One section: what was done, its figures, remarks, and on what it ran."""
    rows = [f"| {name} | {shown(value)} |" for name, value in said["figures"].items()]
    remarks = [f"- {remark}" for remark in said["remarks"]]
    ran = f"*{said['machine']}; Python {said['versions']['python']}, torch {said['versions']['torch']}; "
    lines = [f"## {said['title']}", "", said["says"], "", "| | |", "|---|---:|", *rows, ""]
    if remarks:
        lines += [*remarks, ""]
    if head_and_rows := said.get("table"):
        head, *rest = [f"| {' | '.join(row)} |" for row in head_and_rows]
        lines += [head, "|" + "---|" * len(head_and_rows[0]), *rest, ""]
    return "\n".join([*lines, f"{ran}{duration(said['seconds'])}.*", ""])


def shown(value: float | str) -> str:
    """A figure in print."""
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else value


def duration(seconds: float) -> str:
    """A time in print."""
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"


def main() -> None:
    """Write the page."""
    found = json.loads(FIGURES.read_text(encoding="utf-8"))
    PAGE.write_text(page(found), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)}: {len(found)} sections")


if __name__ == "__main__":
    main()
