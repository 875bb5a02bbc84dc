"""report.html: one quiet file that loads, sorts and can be read."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from hashbench.report.bundle import HyperparameterNote

CSS = (files("hashbench.report") / "templates" / "report.css").read_text(encoding="utf-8")

PROBE = """<script>
window.addEventListener("load", () => {
  const rows = (table) => [...table.tBodies].map((body) =>
    [...body.rows].filter((row) => !row.classList.contains("section")).map((row) => row.cells[0].textContent));
  const table = document.querySelector("#table1 table"), heads = [...table.tHead.rows[1].cells];
  const seen = [];
  for (const [column, clicks] of [[0, 1], [0, 1], [1, 1], [1, 1]]) {
    for (let i = 0; i < clicks; i++) heads[column].querySelector("button").click();
    seen.push([heads[column].getAttribute("aria-sort"), rows(table)[0]]);
  }
  const sections = document.querySelector("#table2 table");
  [...sections.tHead.rows[1].cells][1].querySelector("button").click();
  const images = [...document.images];
  const result = {
    seen, sections: rows(sections), first: [...sections.tBodies].map((body) => body.rows[0].className),
    broken: images.filter((image) => !image.complete || image.naturalWidth === 0).length, images: images.length,
    wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    status: document.getElementById("status").textContent,
  };
  const out = document.createElement("pre");
  out.id = "probe"; out.textContent = JSON.stringify(result);
  document.body.append(out);
});
</script>"""


class Outline(HTMLParser):
    """What a page loads, names and nests."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.ids, self.images, self.headings, self.targets, self.labels = [], [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if tag != "a":
            self.loads += [found[name] for name in ("src", "href", "srcset", "data") if name in found]
        elif found["href"].startswith("#"):
            self.targets.append(found["href"][1:])
        self.ids += [found["id"]] if "id" in found else []
        self.labels += [found["aria-labelledby"]] if "aria-labelledby" in found else []
        if tag == "img":
            self.images.append(found)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))


def test_the_page_loads_nothing_from_outside_and_is_small(page):
    outline = Outline(page)
    assert outline.loads
    assert all(source.startswith("data:") for source in outline.loads)
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest", page)
    assert "default-src 'none'" in page
    assert len(page.encode()) < 5_000_000


def test_the_page_is_well_formed_for_assistive_tools(page):
    outline = Outline(page)
    assert len(outline.ids) == len(set(outline.ids))
    assert set(outline.targets) | set(outline.labels) <= set(outline.ids)
    assert all(image.get("alt") for image in outline.images)
    assert outline.headings[0] == 1
    assert outline.headings.count(1) == 1
    steps = [b - a for a, b in zip(outline.headings, outline.headings[1:], strict=False)]
    assert max(steps) <= 1


def test_the_page_shows_the_value_that_ran_and_the_source_of_that_value_alone(small_bundle, files_of):
    stated = (HyperparameterNote("rate", 0.5, "code", "a later value"), HyperparameterNote("layers", 0, "ours", "few"))
    card = replace(small_bundle.methods["alpha"], hyperparameters=stated)
    page = files_of(replace(small_bundle, methods={**small_bundle.methods, "alpha": card}))["report.html"]
    row = '<tr><th scope="row"><code>{}</code></th><td>{}</td><td>{}</td><td>{}</td></tr>'
    assert row.format("layers", "0", "ours", "few") in page
    assert row.format("rate", "0.001", "", "params.yaml now says 0.5") in page
    assert "a later value" not in page


def test_the_page_tells_what_a_reader_needs(page):
    for words in ("Section 4", "Views are extracted beforehand", "content digest", "@misc{hashbench-tiny-table1",
                  "nox -s reproduce_table1 -- --profile tiny", "Alpha has the highest mAP@100", "mAP by class",
                  "a &lt;note&gt;", "Gamma &amp; Co"):  # fmt: skip
        assert words in page


def test_the_short_pages_load_nothing_and_are_well_formed(short_pages):
    for text in short_pages.values():
        outline = Outline(text)
        assert all(source.startswith("data:") for source in outline.loads)
        assert len(outline.ids) == len(set(outline.ids))
        assert set(outline.targets) | set(outline.labels) <= set(outline.ids)
        assert all(image.get("alt") for image in outline.images)
        assert outline.headings == sorted(outline.headings)
        assert outline.headings[0] == 1


@pytest.mark.slow
def test_a_large_report_stays_under_five_megabytes(make_bundle, files_of):
    assert len(files_of(make_bundle(20))["report.html"].encode()) < 5_000_000


def luminance(rgb):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (value / 255 for value in rgb)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_has_enough_contrast(scheme):
    block = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)[scheme]
    colours = {n: tuple(bytes.fromhex(v)) for n, v in re.findall(r"--(\w+): #([0-9a-f]{6})", block)}
    for text in ("ink", "soft", "accent"):
        for ground in ("paper", "card"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for frame in ("right", "wrong"):
        assert contrast(colours[frame], colours["paper"]) >= 3
    heat = tuple(int(v) for v in re.search(r"--heat: ([\d, ]+)", block)[1].split(","))
    hottest = tuple(0.38 * h + 0.62 * p for h, p in zip(heat, colours["paper"], strict=True))
    assert contrast(colours["ink"], hottest) >= 4.5


def probe(dom):
    return json.loads(unescape(re.search(r'<pre id="probe">(.*?)</pre>', dom, re.DOTALL)[1]))


def test_the_page_works_in_a_browser(page, chromium):
    dom, console = chromium(page.replace("</body>", PROBE + "</body>"), "--window-size=1280,900")
    assert console == []
    result = probe(dom)
    names = ["Alpha", "Beta_2", "Gamma & Co"]
    assert result["seen"] == [
        ["ascending", names],
        ["descending", names[::-1]],
        ["descending", names],
        ["ascending", names[::-1]],
    ]
    assert result["sections"] == [names] * 2
    assert result["first"] == ["section"] * 2
    assert result["broken"] == 0
    assert result["images"] == 9 + 5 * 11
    assert result["status"].startswith("Sorted by at 10")


def test_the_browser_test_sees_errors(page, chromium):
    _, console = chromium(page.replace("</body>", "<script>missing()</script></body>"))
    assert any("missing" in line for line in console)


def test_the_page_does_not_scroll_sideways_on_a_phone(page, chromium):
    dom, _ = chromium(page.replace("</body>", PROBE + "</body>"), "--window-size=390,800")
    assert probe(dom)["wide"] <= 0


def test_published_numbers_stand_by_source_and_what_is_not_comparable_is_folded(small_bundle, files_of):
    (row,) = small_bundle.published
    other = replace(row, method="beta", backbone="Big ViT", source="https://example.org/other")
    published = (row, other, replace(row, bits=32, value=0.8), replace(other, bits=32))
    page = files_of(replace(small_bundle, published=published))["report.html"]
    section = page[page.index('id="published"') : page.index('id="methods"')]
    open_part, folded = section.split("<details>")
    assert re.findall(r'rowspan="(\d)">(\w+)', open_part) == [("2", "Alpha"), ("2", "Toys"), ("2", "https")]
    assert re.findall(r"<td class=\"number\">(0\.\d)</td>", open_part) == ["0.7", "0.8"]
    assert "Not comparable" not in open_part
    assert "<summary>2 published numbers of other images" in folded
    assert folded.count("Not comparable: other backbone: Big ViT against") == 1
