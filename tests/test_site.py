"""The built documentation: leaderboards that say what the results say, lead where they say, and need no network."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import sys
from html import unescape
from html.parser import HTMLParser

import pytest
from helpers import ROOT, audit, run

from hashbench import results

BOARDS = [
    ("cifar10_6000", "quick"),
    ("cifar10_mosaic", "quick"),
    ("cifar10_jpeg", "cifar10-jpeg"),
    ("cifar10_jpeg", "cifar10-jpeg-finetuned"),
]
NO_WAY_OUT = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
needs_mkdocs = pytest.mark.skipif(
    importlib.util.find_spec("mkdocs") is None, reason="needs the group docs: uv sync --group docs"
)


class Page(HTMLParser):
    """What a page of the site loads, links to and names, and the cells of the rows of its leaderboard."""

    def __init__(self, path):
        super().__init__()
        self.path, self.loads, self.links, self.ids, self.heads, self.rows = path, [], [], set(), [], []
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids |= {found["id"]} if "id" in found else set()
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag in ("script", "img", "iframe", "source") or found.get("rel") in ("stylesheet", "icon"):
            self.loads += [found[name] for name in ("src", "href") if name in found]
        if tag == "th":
            self.heads.append(found)
        if tag == "tr" and "data-backbone" in found:
            self.rows.append({"scores": {}, "made_by": found["data-made"]})
        elif tag == "td" and "data-bits" in found:
            self.rows[-1]["scores"][int(found["data-bits"])] = found
        elif tag == "a" and "download" in found:
            self.rows[-1]["codes" if "/codes" in found["href"] else "records"] = self.target(found["href"])
        elif tag == "th" and found.get("scope") == "row" and self.rows:
            self.rows[-1]["title"] = None

    def handle_data(self, data):
        if self.rows and self.rows[-1].get("title", "") is None:
            self.rows[-1]["title"] = data

    def target(self, link):
        return (self.path.parent / link).resolve()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built where no other host can be reached."""
    folder = tmp_path_factory.mktemp("site") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    path = os.pathsep.join(each for each in (str(ROOT / "src"), os.environ.get("PYTHONPATH", "")) if each)
    run(ROOT, *command, timeout=250, OMP_NUM_THREADS="1", NO_MKDOCS_2_WARNING="1", PYTHONPATH=path, **NO_WAY_OUT)
    return folder.resolve()


def board_of(site, dataset):
    return Page(site / "leaderboard" / f"{dataset}.html")


def rows_of(page, profile):
    """Those of its rows that are of the table of a profile."""
    return [row for row in page.rows if profile in row["records"].parts]


@needs_mkdocs
@pytest.mark.parametrize(("dataset", "profile"), BOARDS)
def test_a_leaderboard_has_the_numbers_of_the_records(site, dataset, profile):
    runs = results.load(ROOT / "results" / profile)
    runs = runs[runs["dataset"] == dataset]
    lines = (ROOT / "results" / profile / "records.jsonl").read_text(encoding="utf-8").splitlines()
    page, seen = board_of(site, dataset), set()
    rows = rows_of(page, profile)
    for row in rows:
        records = row["records"].read_text(encoding="utf-8").splitlines()
        assert set(records) <= set(lines)
        ((method, made_by),) = {(record["method"], record["made_by"]) for record in map(json.loads, records)}
        column = "asymmetric_map" if row["title"].endswith(" (asymmetric)") else "map"
        cells = runs[runs["method"] == method].groupby("bits")[column].agg(["mean", "std", "count"])
        assert len(records) == cells["count"].sum()
        assert row["made_by"] == made_by
        assert {bits: float(cell["data-value"]) for bits, cell in row["scores"].items()} == pytest.approx(
            cells["mean"].to_dict(), rel=1e-12
        )
        assert all(f"± {spread:.3f}" in page.text for spread in cells["std"])
        seen.add((method, column))
    told = runs.dropna(subset="asymmetric_map")["method"]
    assert seen == {(m, "map") for m in runs["method"]} | {(m, "asymmetric_map") for m in told}
    assert len(rows) == len(seen)


@needs_mkdocs
@pytest.mark.parametrize(("dataset", "profile"), BOARDS)
def test_rank_groups_are_the_marks_of_table_1(site, dataset, profile):
    table = (ROOT / "results" / profile / "table1.csv").read_text(encoding="utf-8").splitlines()[1:]
    lines = [line.split(",") for line in table]
    marks = {(line[5], line[8]) for line in lines if line[0] == dataset and line[8]}
    cells = [cell for row in rows_of(board_of(site, dataset), profile) for cell in row["scores"].values()]
    named = {"A": "best", "B": "second"}
    assert {(c["data-value"], named[c["data-group"]]) for c in cells if c["data-group"]} == marks


@needs_mkdocs
def test_a_leaderboard_cites_the_table_that_it_shows(site):
    for dataset, profile in BOARDS:
        bib = (ROOT / "results" / profile / "table1.bib").read_text(encoding="utf-8")
        digest = re.search("content digest ([0-9a-f]{12})", bib)[1]
        page = board_of(site, dataset)
        assert f"<code>{digest}</code>" in page.text
        assert f"hashbench-{profile}-table1-{digest}" in page.text
        assert f"Provenance, content digest {digest}" in page.text
        assert digest in (site / "leaderboards.html").read_text(encoding="utf-8")


@needs_mkdocs
def test_links_lead_to_files_of_the_site(site):
    for path in [site / "leaderboards.html", site / "index.html", *(site / "leaderboard").glob("*.html")]:
        page = Page(path)
        for link in page.links:
            file, _, anchor = link.partition("#")
            if not re.match("[a-z]+:", link):
                target = page.target(file) if file else path
                assert target.is_file(), f"{path.name}: {link}"
                assert target.is_relative_to(site)
                assert not anchor or anchor in Page(target).ids | {"__skip"}, f"{path.name}: {link}"


@needs_mkdocs
def test_downloads_are_the_committed_files(site):
    pages = [board_of(site, dataset) for dataset in dict(BOARDS)]
    codes = {row["codes"] for page in pages for row in page.rows}
    assert len(codes) > 40
    for copy in [*codes, *(site / "results").glob("*/*.*")]:
        assert copy.read_bytes() == (ROOT / copy.relative_to(site)).read_bytes()


@needs_mkdocs
def test_no_page_loads_anything_from_another_host(site):
    for path in site.rglob("*.html"):
        loads = Page(path).loads
        assert not [load for load in loads if re.match("(https?:)?//", load)], path
        assert "/results/" in path.as_posix() or loads
    for path in (ROOT / "docs" / "assets").iterdir():
        assert not re.search(r"https?:|@import|url\(|fetch\(", path.read_text(encoding="utf-8"))


@needs_mkdocs
def test_the_findings_are_those_of_the_methods_page(site):
    findings = Page(site / "leaderboards.html")
    methods = Page(site / "methods.html")
    wanted = {"what-the-ladder-says", "newer-methods", "wch-and-nsh-against-the-control-on-cifar-10-jpeg"}
    assert wanted <= findings.ids & methods.ids
    assert "known-limits-of-these-settings" not in findings.ids
    assert "8&lt;" not in findings.text


@needs_mkdocs
def test_a_leaderboard_is_whole_without_scripts_and_well_formed(site):
    page = board_of(site, "cifar10_6000")
    assert '<form class="board-filter" hidden aria-label' in page.text
    assert page.text.count("<caption") == 1
    assert all(head.get("scope") in ("col", "row", "rowgroup") for head in page.heads)
    heads = [head for head in page.heads if head["scope"] == "col"]
    assert [head["aria-sort"] for head in heads].count("descending") == 1
    values = [float(row["scores"][64]["data-value"]) for row in page.rows if "asymmetric" not in row["title"]]
    assert values == sorted(values, reverse=True)


PROBE = """<script>
window.addEventListener("load", () => {
  const table = document.querySelector(".board table"), form = document.querySelector(".board-filter");
  const heads = [...table.tHead.rows[0].cells], bodies = [...table.tBodies];
  const shown = (cells) => [...cells].filter((cell) => cell.checkVisibility());
  const names = (body) => shown(body.rows).filter((row) => !row.className).map((row) => row.cells[0].textContent);
  const seen = {};
  const sort = (name, column) => {
    const button = heads[column].querySelector("button");
    button.focus();
    seen[name] = {focused: document.activeElement === button, first: (button.click(), names(bodies[0])),
      direction: heads[column].getAttribute("aria-sort"), sorted: heads.filter((h) => h.ariaSort !== "none").length,
      status: document.getElementById("status").textContent, apart: names(bodies[1])};
  };
  const filter = (name, values) => {
    for (const select of form.querySelectorAll("select")) select.value = values[select.name] || "";
    form.dispatchEvent(new Event("input", {bubbles: true}));
    seen[name] = {rows: bodies.map(names), said: form.querySelector("output").textContent,
      columns: shown(heads).map((head) => head.textContent)};
  };
  sort("name", 0); sort("again", 0); sort("bits", 1); sort("papers", 7);
  filter("length", {bits: "32"}); filter("tied", {group: "A", bits: "16"}); filter("others", {made: "reproduced"});
  const out = document.createElement("pre");
  out.id = "probe"; out.textContent = JSON.stringify(seen);
  document.body.append(out);
});
</script>"""


@needs_mkdocs
def test_rows_are_sorted_and_filtered_in_a_browser(site, chromium):
    page = board_of(site, "cifar10_6000")
    text = page.text.replace("</body>", PROBE + "</body>")
    dom, console = chromium(text, "--window-size=1280,900", folder=page.path.parent)
    assert console == []
    seen = json.loads(unescape(re.search(r'<pre id="probe">(.*?)</pre>', dom, re.DOTALL)[1]))
    rows = [row for row in page.rows if "asymmetric" not in row["title"]]

    def value(row, bits):
        return float(row["scores"][bits]["data-value"])

    assert seen["name"]["first"] == seen["again"]["first"][::-1] != []
    assert (seen["name"]["direction"], seen["again"]["direction"]) == ("ascending", "descending")
    assert seen["bits"]["first"] == [row["title"] for row in sorted(rows, key=lambda row: -value(row, 16))]
    assert seen["bits"]["direction"] == "descending"
    assert all(each["focused"] and each["sorted"] == 1 for each in list(seen.values())[:4])
    assert seen["papers"]["status"] == "Sorted by Paper, descending."
    assert all("asymmetric" in name for name in seen["bits"]["apart"])
    assert [label for label in seen["length"]["columns"] if "bits" in label] == ["32 bits"]
    tied = {row["title"] for row in rows if row["scores"][16]["data-group"] == "A"}
    assert set(seen["tied"]["rows"][0]) == tied
    assert seen["tied"]["rows"][1] == []
    assert seen["tied"]["said"] == f"{len(tied)} of {len(page.rows)} rows"
    assert seen["others"]["said"] == f"{len(page.rows)} of {len(page.rows)} rows"


@needs_mkdocs
@pytest.mark.parametrize(("name", "flags"), [
    ("leaderboard/cifar10_6000.html", ["--window-size=1280,900"]),
    ("leaderboard/cifar10_6000.html", ["--window-size=390,800", "--blink-settings=preferredColorScheme=0"]),
    ("leaderboards.html", ["--window-size=390,800"]),
], ids=["light", "dark on a phone", "page of all"])  # fmt: skip
def test_axe_finds_nothing(site, chromium, name, flags):
    path = site / name
    result = audit(path.read_text(encoding="utf-8"), chromium, *flags, folder=path.parent)
    assert result["passes"] >= 20
    assert result["violations"] == []


@pytest.fixture
def small(tmp_path):
    """A checkout whose `quick` has one method, and a submission of its numbers."""
    lines = (ROOT / "results" / "quick" / "table1.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines[1:] if line.startswith("cifar10_6000,tf_efficientnet_lite0_96px,wch,")]
    submitted = [line.replace(",wch,", ",mine,").rpartition(",")[0] + ",submitted\n" for line in kept[:1]]
    records = (ROOT / "results" / "quick" / "records.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    ours = [line for line in records if '"dataset": "cifar10_6000"' in line and '"method": "wch"' in line]
    theirs = [line.replace('"reproduced"', '"submitted"').replace('"wch"', '"mine"') for line in ours[:3]]
    notes = "title: <My> method\npaper: A. Author, 2026\ncode: none\nnote: none\n"
    write(tmp_path / "results" / "quick", {"table1.csv": [lines[0], *kept, *submitted], "records.jsonl": ours})
    write(tmp_path / "submissions" / "mine", {"records.jsonl": theirs, "metadata.yaml": [notes]})
    shutil.copy(ROOT / "params.yaml", tmp_path)
    return tmp_path


def write(folder, files):
    folder.mkdir(parents=True)
    for name in ("report.html", "table1.bib"):
        shutil.copy(ROOT / "results" / "quick" / name, folder)
    for name, lines in files.items():
        (folder / name).write_text("".join(lines), encoding="utf-8")


@pytest.fixture
def leaderboards(monkeypatch):
    """The module, as mkdocs finds it."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    return importlib.import_module("leaderboards")


def test_submitted_rows_stand_apart_and_say_so(small, leaderboards):
    (board,) = leaderboards.boards_of(small)
    (_, (ours,)), (heading, (theirs,)) = board.sections
    assert heading.startswith("Submitted")
    assert (ours.made_by, theirs.made_by) == ("reproduced", "submitted")
    assert theirs.n_records == 3
    assert board.choices("made_by") == [("reproduced", "reproduced"), ("submitted", "submitted")]
    page = leaderboards.template().render(board=board)
    assert "&lt;My&gt; method" in page
    assert "A. Author, 2026" in page


def test_rows_of_trained_backbones_stand_apart_and_lead_nothing(small, leaderboards):
    table = shutil.copytree(small / "results" / "quick", small / "results" / "cifar10-jpeg-finetuned") / "table1.csv"
    table.write_text(table.read_text(encoding="utf-8").rpartition("cifar10_6000,")[0], encoding="utf-8")
    (board,) = leaderboards.boards_of(small)
    sections = {row.profile: heading for heading, rows in board.sections for row in rows if row.made_by == "reproduced"}
    assert sections == {"quick": "", "cifar10-jpeg-finetuned": leaderboards.TRAINED}
    assert {row.profile for bits in board.lengths for row in board.leaders(bits)} <= {"quick"}


def test_rows_of_different_splits_stand_apart(small, leaderboards):
    other = shutil.copytree(small / "results" / "quick", small / "results" / "cpu")
    records = (other / "records.jsonl").read_text(encoding="utf-8")
    (other / "records.jsonl").write_text(
        re.sub(r'(?<="split_digest": ")[0-9a-f]{12}', "0123456789ab", records), encoding="utf-8"
    )
    kept = (other / "table1.csv").read_text(encoding="utf-8").rpartition("cifar10_6000,")[0]
    (other / "table1.csv").write_text(kept, encoding="utf-8")
    (board,) = leaderboards.boards_of(small)
    headings = [heading for heading, _ in board.sections]
    assert len(headings) == len(set(headings)) == 3
    assert [("0123456789ab" in heading) for heading in headings] == [False, False, True]
    assert [source.profile for source in board.sources] == ["quick", "cpu"]
