"""The leaderboards of the documentation: the numbers of the committed results, and a table that sorts and filters."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from html import unescape
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import yaml
from browser import audit
from helpers import ROOT

from hashbench.artefacts.layout import Layout
from hashbench.config.params import load_params
from hashbench.results import load

PROBE = """<script>
const form = document.querySelector("form"), table = document.querySelector("table");
const names = () => [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => row.cells[0].textContent);
const press = (column) => table.tHead.rows[0].cells[column].querySelector("button").click();
const choose = (name, value) => {
  form.elements[name].value = value;
  form.dispatchEvent(new Event("change"));
};
const said = {written: names()};
press(1);
said.descending = names();
said.state = table.tHead.rows[0].cells[1].getAttribute("aria-sort");
press(1);
said.ascending = names();
press(0);
said.byName = names();
choose("madeBy", "submitted");
said.submitted = names();
said.count = form.querySelector("output").textContent;
choose("madeBy", "");
choose("bits", "32");
said.shown = [...table.querySelectorAll("thead [data-bits]")].filter((cell) => !cell.hidden).map((c) => c.dataset.bits);
const out = document.createElement("pre");
out.id = "said";
out.textContent = JSON.stringify(said);
document.body.append(out);
</script>"""


@pytest.fixture(scope="module")
def site() -> ModuleType:
    """tools/leaderboards.py, which is part of no package."""
    spec = importlib.util.spec_from_file_location("leaderboards", ROOT / "tools" / "leaderboards.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["leaderboards"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def boards(site: ModuleType) -> list:
    """The leaderboards of the profile quick."""
    return list(site.of_profile(load_params(ROOT / "params.yaml"), Layout("quick", root=ROOT)))


@pytest.fixture(scope="module")
def page(site: ModuleType, boards: list) -> str:
    """The first leaderboard, with one submission more, as a browser is given it."""
    board = boards[0]
    mine = site.Row("Mine", "A paper", "", "ViT", "quick", "submitted", "files/r", "files/c", {})
    mine.values[32] = site.Value(0.5, float("nan"), 1, 0)
    text = site.page(site.Board(board.dataset, board.title, board.said, board.bits, [*board.rows, mine], board.tables))
    body = text[text.index("<form") : text.rindex("</div>") + 6] + text[text.index("<details") :]
    style, script = ((ROOT / "docs" / "assets" / f"leaderboard.{kind}").read_text() for kind in ("css", "js"))
    return (
        f'<!DOCTYPE html><html lang="en"><head><title>Board</title><style>{style}</style></head><body><main><h1>Board'
        f"</h1>{body}</main><script>{script}</script></body></html>"
    )


def test_a_leaderboard_has_the_means_of_the_committed_records(boards: list) -> None:
    runs = load(ROOT / "results" / "quick")
    assert {board.dataset for board in boards} == set(runs.dataset)
    for board in boards:
        shown = sorted((bits, *value[:3]) for row in board.rows for bits, value in row.values.items())
        cells = runs[runs.dataset == board.dataset].groupby(["method", "bits"])["map"]
        expected = sorted((bits, run.mean(), run.std(), len(run)) for (_, bits), run in cells)
        np.testing.assert_allclose(shown, expected)


def test_group_1_is_what_table_1_prints_in_bold(boards: list) -> None:
    table = pd.read_csv(ROOT / "results" / "quick" / "table1.csv")
    bold = table[table.marks.fillna("").str.contains("best") & ~table.metric.str.startswith("asymmetric")]
    for board in boards:
        for bits in board.bits:
            groups = {row.title: row.values[bits].group for row in board.rows}
            first = [name for name, group in groups.items() if group == 1]
            assert len(first) == len(bold[(bold.dataset == board.dataset) & (bold.bits == bits)])
            assert set(groups.values()) == set(range(1, max(groups.values()) + 1))


def test_files_and_digests_are_those_of_the_repository(boards: list) -> None:
    for board in boards:
        for place in {place for row in board.rows for place in (row.records, row.codes)}:
            assert (ROOT / place.removeprefix("files/")).is_file()
        for profile, name, digest, bib in board.tables:
            folders = [ROOT / "results" / profile / part for part in ("", "ablations", "cost")]
            (path,) = [folder / f"{name}.md" for folder in folders if (folder / f"{name}.md").is_file()]
            assert digest in path.read_text()
            assert f"-{digest}," in bib


def test_a_click_on_a_heading_sorts_and_a_choice_filters(page: str, chromium) -> None:
    dom, console = chromium(page.replace("</body>", PROBE + "</body>"))
    assert console == []
    found = re.search(r'<pre id="said">(.*?)</pre>', dom, re.DOTALL)
    assert found
    said = json.loads(unescape(found[1]))
    values = dict(re.findall(r"<th scope=\"row\">(.*?)</th>\s*<td[^>]*?(?:data-value=\"([\d.]+)\")?>", page))
    values = {unescape(re.sub("<.*?>", "", name)): float(value or -1) for name, value in values.items()}
    assert said["state"] == "descending"
    assert [values[name] for name in said["descending"]] == sorted(values.values(), reverse=True)
    assert said["ascending"][:-1] == said["descending"][:-1][::-1]
    assert said["ascending"][-1] == "Mine"  # which has no value at 16 bits
    assert sorted(said["byName"]) == sorted(said["written"])
    assert (said["submitted"], said["count"]) == (["Mine"], f"1 of {len(values)} rows")
    assert said["shown"] == ["32"]


@pytest.mark.parametrize("window", ["1280,900", "390,800"])
def test_axe_finds_nothing_on_a_leaderboard(page: str, chromium, window: str) -> None:
    assert audit(page, chromium, f"--window-size={window}")["violations"] == []


def test_nothing_is_loaded_from_another_host(page: str) -> None:
    assert not re.search(r"<(?:script|img|link|iframe)[^>]*(?:src|href)=", page)
    assert "fetch(" not in page


def test_what_archives_read_says_the_same_as_what_people_cite() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    archived = json.loads((ROOT / ".zenodo.json").read_text())
    assert cited["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "version", "date-released", "license", "type"} <= cited.keys()
    assert archived["upload_type"] == cited["type"] == "software"
    for name in ("title", "version", "keywords"):
        assert archived[name] == cited[name]
    assert archived["license"] == cited["license"]
    assert [creator["name"] for creator in archived["creators"]] == [author["name"] for author in cited["authors"]]
    version = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    assert version[1] == cited["version"]
    assert f"## [{version[1]}]" in (ROOT / "CHANGELOG.md").read_text()
    assert Path(ROOT / "CONTRIBUTING.md").is_file()
