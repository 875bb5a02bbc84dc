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
  const found = await axe.run(document, {preload: false, resultTypes: ["violations", "incomplete"]});
  const brief = (rules) => rules.map((rule) => ({
    id: rule.id, impact: rule.impact, help: rule.help, nodes: rule.nodes.map((node) => node.html.slice(0, 160))}));
  const out = document.createElement("pre");
  out.id = "axe";
  out.textContent = JSON.stringify({passes: found.passes.length, violations: brief(found.violations)});
  document.body.append(out);
});
</script>"""


def audit(text, chromium, *flags):
    """What axe-core says of a page: how many rules hold, and the violated ones."""
    dom, _ = chromium(text.replace("</body>", f"<script>{AXE}</script>{PROBE}</body>"), *flags)
    return json.loads(unescape(re.search(r'<pre id="axe">(.*?)</pre>', dom, re.DOTALL)[1]))


def serious(result):
    return [rule for rule in result["violations"] if rule["impact"] in ("serious", "critical")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("window", ["1280,900", "390,800"], ids=["desk", "phone"])
def test_axe_finds_nothing_serious(page, chromium, scheme, window):
    if scheme == "dark":
        page = page.replace("(prefers-color-scheme: dark)", "screen")
    result = audit(page, chromium, f"--window-size={window}")
    print(result)
    assert result["passes"] >= 20
    assert serious(result) == []


def test_the_audit_sees_violations(page, chromium):
    spoilt = page.replace("<html lang=\"en\">", "<html>").replace("</main>", '<p style="color:#bbb">pale</p></main>')
    assert {rule["id"] for rule in serious(audit(spoilt, chromium))} == {"html-has-lang", "color-contrast"}
