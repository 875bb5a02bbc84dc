"""The leaderboards of the site: the committed Tables 1, a data set at a time, and what stands behind each row.

Numbers and marks are those of `results/<profile>/table1.csv`, so a page shows what the digest beside it stands for.
"""

from __future__ import annotations

import csv
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from safetensors import safe_open

from hashbench.artefacts.submissions import read_notes, submission_folders
from hashbench.config.params import load_params
from hashbench.config.selection import report_params
from hashbench.errors import HashbenchError
from hashbench.report.bundle import MethodCard
from hashbench.report.tables.retrieval import ASYMMETRIC, EXTERNAL_TEXT
from hashbench.report.tables.submitted import HEADING as SUBMITTED
from hashbench.reporting import cards_of

TRAINED = "With the backbone trained along by each method that trains a network"
TIED, NEXT = "A", "B"
_GROUPS = {"best": TIED, "second": NEXT}
_SERVED = ("records.jsonl", "table1.csv", "table1.tex", "table1.bib", "report.html", "MANIFEST.json")
_PROVENANCE = re.compile(r'<details class="provenance">.*?</details>', re.DOTALL)
_DIGEST = re.compile(r"content digest ([0-9a-f]{12})")

Line = Mapping[str, str]  # of table1.csv
Run = tuple[str, str, str]  # data set, backbone, method


class SiteFile(NamedTuple):
    """A file of the site: its place, and its text or the file that it is a copy of."""

    uri: str
    content: str | Path


@dataclass(frozen=True)
class Score:
    """mAP at one code length: mean and spread over `seeds` runs, and the rank group, empty where it is in none."""

    value: float
    spread: float | None
    seeds: int
    group: str


@dataclass(frozen=True)
class Reference:
    """Where a method was published: for the eye, in words, and where to read it."""

    year: str
    title: str
    url: str


@dataclass(frozen=True)
class Row:
    """A method on a backbone, by whom it was run. `section`: rows of different ones are not compared.

    `records` and `codes` are the files with its `n_records` run records and the codes of `n_codes` runs.
    """

    section: str
    protocol: str
    profile: str
    method: str
    title: str
    backbone: str
    made_by: str
    paper: Reference
    scores: Mapping[int, Score]
    records: SiteFile
    n_records: int
    codes: SiteFile | None
    n_codes: int


@dataclass(frozen=True)
class Source:
    """A committed Table 1: how to cite it, what made it, and the files of its profile that the site serves."""

    profile: str
    digest: str
    bibtex: str
    provenance: str
    files: tuple[SiteFile, ...]


@dataclass
class Board:
    """The rows of a data set, from the tables of all profiles that have it."""

    dataset: str
    title: str
    rows: list[Row] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)

    @cached_property
    def lengths(self) -> list[int]:
        """The code lengths of its columns."""
        return sorted({bits for row in self.rows for bits in row.scores})

    @cached_property
    def protocols(self) -> list[str]:
        """Measures and splits of its rows."""
        return list(dict.fromkeys(row.protocol for row in self.rows))

    @property
    def measures(self) -> list[str]:
        """What its numbers are: mAP@k."""
        return list(dict.fromkeys(protocol.partition(" ")[0] for protocol in self.protocols))

    def choices(self, column: str) -> list[tuple[str, str]]:
        """What a filter of rows offers: value and words."""
        if column == "bits":
            return [(str(bits), f"{bits} bits") for bits in self.lengths]
        return [(name, name) for name in dict.fromkeys(getattr(row, column) for row in self.rows)]

    @property
    def sections(self) -> list[tuple[str, list[Row]]]:
        """The rows that may be compared with each other, the best at the longest codes first, with their heading."""
        found: dict[str, list[Row]] = defaultdict(list)
        for row in sorted(self.rows, key=lambda row: (self.protocols.index(row.protocol), bool(row.section))):
            several = row.protocol if len(self.protocols) > 1 else ""
            found[". ".join(filter(None, (several, row.section)))].append(row)
        return [(heading, sorted(rows, key=self._worse)) for heading, rows in found.items()]

    def leaders(self, bits: int) -> list[Row]:
        """The rows in the first rank group of the first of its tables at a code length, the best first."""
        ranked = [row for row in self.rows if row.profile == self.rows[0].profile and bits in row.scores]
        tied = [row for row in ranked if row.scores[bits].group == TIED]
        return sorted(tied, key=lambda row: -row.scores[bits].value)

    def _worse(self, row: Row) -> tuple[float, str]:
        last = row.scores.get(self.lengths[-1])
        return (-last.value if last else 0.0, row.title)


def boards_of(root: Path) -> list[Board]:
    """A leaderboard of each data set that has a row in the Table 1 of some profile, in the order of params.yaml."""
    params = load_params(root / "params.yaml")
    boards: dict[str, Board] = {}
    for profile in params.profiles:
        if (root / "results" / profile / "table1.csv").is_file():
            words = report_params(params, profile, "methods")
            apart = "" if params.profile(profile).backbone_training == "frozen" else TRAINED
            table = _Table(root, profile, cards_of(words), words.backbone_titles, apart)
            for row, dataset in table.rows():
                board = boards.setdefault(dataset, Board(dataset, params.datasets[dataset].title))
                board.rows.append(row)
                if table.source not in board.sources:
                    board.sources.append(table.source)
    return list(boards.values())


def files_of(boards: Iterable[Board]) -> list[SiteFile]:
    """Every file that the leaderboards link to, once."""
    sources = [file for board in boards for source in board.sources for file in source.files]
    rows = [file for board in boards for row in board.rows for file in (row.records, row.codes) if file]
    return list({file.uri: file for file in (*sources, *rows)}.values())


def template() -> Template:
    """The template of a leaderboard's page, with the macro `index` for the list of all."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("leaderboard.md.j2")


class _Table:
    """The Table 1 of a profile, joined with records, codes and words."""

    def __init__(
        self, root: Path, profile: str, cards: Mapping[str, MethodCard], backbones: Mapping[str, str], apart: str
    ) -> None:
        self._root, self._profile, self._cards, self._backbones, self._apart = root, profile, cards, backbones, apart
        self._folder = root / "results" / profile
        self._submissions = {folder.name: folder for folder in submission_folders(root)}
        self._lines = _records_by_run(self._folder / "records.jsonl")

    @cached_property
    def source(self) -> Source:
        """The table as a whole."""
        bib, page = ((self._folder / name).read_text(encoding="utf-8") for name in ("table1.bib", "report.html"))
        provenance, digest = _PROVENANCE.search(page), _DIGEST.search(bib)
        if not (provenance and digest):
            raise HashbenchError(f"{self._folder}: report.html and table1.bib are not of one Table 1; run `dvc repro`")
        files = tuple(SiteFile(f"results/{self._profile}/{name}", self._folder / name) for name in _SERVED)
        return Source(self._profile, digest[1], bib.partition("\n\n")[0], provenance[0], files)

    def rows(self) -> Iterator[tuple[Row, str]]:
        """Each row of the table once for each data set that it has a number of, with the data set."""
        found: dict[tuple[Run, str, str], list[Line]] = defaultdict(list)
        with (self._folder / "table1.csv").open(encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file):
                if line["value"]:
                    made_by = "submitted" if "submitted" in line["marks"] else "reproduced"
                    run = line["dataset"], line["backbone"], line["method"]
                    found[run, line["metric"], made_by].append(line)
        for (run, metric, made_by), lines in found.items():
            yield self._row(run, metric, made_by, {int(line["bits"]): _score(line) for line in lines}), run[0]

    def _row(self, run: Run, metric: str, made_by: str, scores: Mapping[int, Score]) -> Row:
        _, backbone, method = run
        submitted = made_by == "submitted"
        asymmetric, _, measure = metric.rpartition(" ")
        folder = self._submissions[method] if submitted else self._folder
        lines = self._of_submission(folder)[run] if submitted else self._lines[run]
        codes = folder / "codes.safetensors" if submitted else folder / "codes" / f"{method}.safetensors"
        title, paper, section = self._submitted(folder) if submitted else self._reproduced(method)
        return Row(
            section=ASYMMETRIC if asymmetric else section,
            protocol=_protocol(json.loads(lines[0]), measure),
            profile=self._profile,
            method=method,
            title=f"{title} (asymmetric)" if asymmetric else title,
            backbone=self._backbones.get(backbone, backbone),
            made_by=made_by,
            paper=paper,
            scores=scores,
            records=SiteFile(f"results/{self._profile}/records/{'-'.join((*run, made_by))}.jsonl", "".join(lines)),
            n_records=len(lines),
            codes=SiteFile(codes.relative_to(self._root).as_posix(), codes) if codes.is_file() else None,
            n_codes=_runs_with_codes(codes, run),
        )

    def _of_submission(self, folder: Path) -> Mapping[Run, list[str]]:
        return _records_by_run(folder / "records.jsonl", self._profile)

    def _reproduced(self, method: str) -> tuple[str, Reference, str]:
        card = self._cards[method]
        paper = card.paper
        reference = Reference(str(paper.year), paper.title, paper.url) if paper else Reference("", "", "")
        return card.title, reference, EXTERNAL_TEXT if card.external_text else self._apart

    def _submitted(self, folder: Path) -> tuple[str, Reference, str]:
        notes = read_notes(folder)
        return notes.title, Reference("", notes.paper, ""), SUBMITTED


def _score(line: Line) -> Score:
    group = next((group for mark, group in _GROUPS.items() if mark in line["marks"].split()), "")
    return Score(float(line["value"]), float(line["spread"]) if line["spread"] else None, int(line["seeds"]), group)


def _records_by_run(path: Path, profile: str = "") -> Mapping[Run, list[str]]:
    """The lines of records.jsonl, as they are, by what they are records of; of one profile only where it is named."""
    found: dict[Run, list[str]] = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        record = json.loads(line)
        if not profile or record["profile"] == profile:
            found[record["dataset"], record["backbone"], record["method"]].append(line)
    return found


def _protocol(record: Mapping[str, str], measure: str) -> str:
    counts = (f"{record[f'n_{part}']:,} {part}" for part in ("query", "train", "database"))
    return f"{measure} on the split {record['split']}, {' / '.join(counts)}, digest {record['split_digest']}"


def _runs_with_codes(path: Path, run: Run) -> int:
    """How many of the runs have their codes in a file of codes."""
    if not path.is_file():
        return 0
    with safe_open(path, "np") as file:
        return sum(key.startswith(f"{'/'.join(run)}/") and key.endswith("/query") for key in file.keys())  # noqa: SIM118
