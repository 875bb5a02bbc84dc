"""report.html under axe-core, the rules of WCAG 2 as a program."""

from __future__ import annotations

import json
import re
from html import unescape
from importlib.resources import files

import pytest

AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")

PROBE = """<script>
for (const details of document.querySelectorAll("details")) details.open = true;
window.addEventListener("load", async () => {
  const found = await axe.run(document, {preload: false, resultTypes: ["violations"]});
  const violations = found.violations.map((rule) => ({
    id: rule.id, impact: rule.impact, help: rule.help, nodes: rule.nodes.map((node) => node.html.slice(0, 160))}));
  const out = document.createElement("pre");
  out.id = "axe";
  out.textContent = JSON.stringify({passes: found.passes.length, violations});
  document.body.append(out);
});
</script>"""


def audit(text, chromium, *flags):
    """What axe-core says of a page: how many rules hold, and the violated ones."""
    dom, _ = chromium(text.replace("</body>", f"<script>{AXE}</script>{PROBE}</body>"), *flags)
    return json.loads(unescape(re.search(r'<pre id="axe">(.*?)</pre>', dom, re.DOTALL)[1]))


@pytest.mark.parametrize(("scheme", "window"), [("light", "1280,900"), ("dark", "390,800")], ids=["desk", "phone"])
def test_axe_finds_nothing(page, chromium, scheme, window):
    if scheme == "dark":
        page = page.replace("(prefers-color-scheme: dark)", "screen")
    result = audit(page, chromium, f"--window-size={window}")
    assert result["passes"] >= 20
    assert result["violations"] == []


@pytest.mark.parametrize("name", ["cost", "ablation"])
def test_axe_finds_nothing_on_the_short_pages(short_pages, chromium, name):
    result = audit(short_pages[name], chromium, "--window-size=1280,900")
    assert result["passes"] >= 15
    assert result["violations"] == []


def test_the_audit_sees_violations(page, chromium):
    spoilt = page.replace('<html lang="en">', "<html>").replace("</main>", '<p style="color:#bbb">pale</p></main>')
    found = {rule["id"]: rule["impact"] for rule in audit(spoilt, chromium)["violations"]}
    assert found == {"html-has-lang": "serious", "color-contrast": "serious"}
