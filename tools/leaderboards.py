"""What mkdocs.yml adds to the site: a leaderboard a data set, made from the committed results, and their files.

A page has a row a method, backbone and maker of codes, from every profile with results of the data set, and what others
submitted. Rank groups are those of the profile's figure.
"""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hashbench.artefacts.layout import Layout
from hashbench.config.params import Params, load_params
from hashbench.config.selection import report_params
from hashbench.report.bundle import MethodCard
from hashbench.reporting import cards_of, submissions_of
from hashbench.results import load

ROOT = Path(__file__).resolve().parents[1]
FOLDER = "leaderboards"
DIGEST = re.compile(r"content digest (\w{12})")

log = logging.getLogger("mkdocs.plugins.leaderboards")


class Value(NamedTuple):
    """mAP, mean and standard deviation over seeds, and the rank group; `group` 0: not ranked."""

    mean: float
    spread: float
    seeds: int
    group: int


@dataclass
class Row:
    """A method on a backbone, by whoever made its codes; `values` by code length."""

    title: str
    paper: str
    url: str
    backbone: str
    profile: str
    made_by: str
    records: str
    codes: str
    values: dict[int, Value] = field(default_factory=dict)


@dataclass
class Board:
    """The page of a data set; `tables`: of each profile its tables, as (profile, name, digest, BibTeX)."""

    dataset: str
    title: str
    said: list[str]
    bits: list[int]
    rows: list[Row]
    tables: list[tuple[str, str, str, str]]


@cache
def boards() -> list[Board]:
    """The leaderboard of every data set that has committed results."""
    params, found = load_params(ROOT / "params.yaml"), {}
    for path in sorted((ROOT / "results").glob("*/records.jsonl")):
        if path.parent.name in params.profiles:
            for board in of_profile(params, Layout(path.parent.name, root=ROOT)):
                mine = found.setdefault(board.dataset, board)
                if mine is not board:
                    mine.said += board.said
                    mine.bits = sorted({*mine.bits, *board.bits})
                    mine.rows += board.rows
                    mine.tables += board.tables
    for board in found.values():
        board.rows.sort(key=lambda row: (row.made_by, -max(row.values.items())[1].mean))
    return list(found.values())


def of_profile(params: Params, layout: Layout) -> Iterator[Board]:
    """What one profile says of each of its data sets."""
    chosen = report_params(params, layout.profile, "methods")
    cards, runs, groups = cards_of(chosen), load(layout.results), rank_groups(layout)
    for dataset, of_dataset in runs.groupby("dataset", sort=False):
        first = of_dataset.iloc[0]
        rows: dict[tuple[str, str], Row] = {}
        for (backbone, bits), column in of_dataset.groupby(["backbone", "bits"], sort=False):
            for method, cells in column.groupby("method", sort=False):
                row = rows.setdefault(
                    (method, backbone),
                    row_of(layout, method, cards[method], chosen.backbone_titles[backbone]),
                )
                group = groups[dataset, backbone, bits].get(method, 0)
                row.values[bits] = Value(cells["map"].mean(), cells["map"].std(ddof=1), len(cells), group)
        k = "all" if np.isnan(first.k) else f"{first.k:,.0f}"
        said = (
            f"Profile `{layout.profile}`: {first.n_query:,} query, {first.n_train:,} train and {first.n_database:,} "
            f"database images (split `{first.split}`, digest `{first.split_digest}`), mAP@{k}."
        )
        yield Board(
            dataset,
            chosen.dataset_titles[dataset],
            [said],
            sorted(of_dataset.bits.unique().tolist()),
            [*rows.values(), *submitted(layout, dataset)],
            list(tables_of(layout)),
        )


def rank_groups(layout: Layout) -> dict[tuple[str, str, int], dict[str, int]]:
    """By data set, backbone and code length, the rank group of each method that is ranked."""
    found: dict[tuple[str, str, int], dict[str, int]] = {}
    with (layout.results / "figures" / "rank_groups.csv").open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            key = (line["dataset"], line["backbone"], int(line["bits"]))
            found.setdefault(key, {})[line["method"]] = int(line["group"])
    return found


def row_of(layout: Layout, method: str, card: MethodCard, backbone: str) -> Row:
    """A row without its values."""
    kept, paper = layout.kept_codes(method), card.paper
    return Row(
        card.title,
        f"{paper.title} ({paper.venue} {paper.year})" if paper else "",
        paper.url if paper else "",
        backbone,
        layout.profile,
        "reproduced",
        download(layout.records),
        download(kept) if kept.is_file() else "",
    )


def submitted(layout: Layout, dataset: str) -> Iterator[Row]:
    """The rows of what others submitted to this profile."""
    for submission in submissions_of(layout):
        folder = ROOT / "submissions" / submission.name
        files = (download(folder / "records.jsonl"), download(folder / "codes.safetensors"))
        runs = [run for run in submission.runs if run.dataset == dataset]
        for backbone in dict.fromkeys(run.backbone for run in runs):
            row = Row(submission.title, submission.paper, "", backbone, layout.profile, "submitted", *files)
            for bits in sorted({run.bits for run in runs}):
                values = [run.evaluation.map for run in runs if (run.backbone, run.bits) == (backbone, bits)]
                spread = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
                row.values[bits] = Value(float(np.mean(values)), spread, len(values), 0)
            yield row


def tables_of(layout: Layout) -> Iterator[tuple[str, str, str, str]]:
    """Each committed table of a profile with its digest and BibTeX."""
    for path in sorted([*layout.results.glob("table?.md"), *layout.results.glob("ablations/ablation.md")]):
        digest = DIGEST.search(path.read_text(encoding="utf-8"))
        bib = path.with_suffix(".bib").read_text(encoding="utf-8")
        yield layout.profile, path.stem, digest[1] if digest else "", bib.partition("\n\n")[0]


def download(path: Path) -> str:
    """Where the site has a copy of a file of the repository, seen from a leaderboard."""
    return f"files/{path.relative_to(ROOT).as_posix()}"


def page(board: Board) -> str:
    """A leaderboard, Markdown with a table in HTML."""
    loader = FileSystemLoader(ROOT / "tools")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.get_template("leaderboard.md.j2").render(board=board)


def on_files(files: Any, *, config: Any) -> Any:
    """Add the pages to the site and its navigation, and copies of the files that they lead to."""
    from mkdocs.structure.files import File

    places = {}
    for board in boards():
        name = f"{FOLDER}/{board.dataset}.md"
        files.append(File.generated(config, name, content=page(board)))
        places[board.title] = name
        for row in board.rows:
            for place in filter(None, (row.records, row.codes)):
                if (uri := f"{FOLDER}/{place}") not in files.src_uris:
                    files.append(File.generated(config, uri, abs_src_path=str(ROOT / place.removeprefix("files/"))))
    config.nav.insert(2, {"Leaderboards": [{title: name} for title, name in places.items()]})
    log.info("leaderboards: %s", ", ".join(places))
    return files
