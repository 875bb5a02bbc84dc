"""What tests do with a page in Chromium, beside looking at its DOM."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import unescape
from importlib.resources import files
from typing import Any

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


def audit(text: str, chromium: Callable[..., tuple[str, list[str]]], *flags: str) -> dict[str, Any]:
    """What axe-core says of a page: how many rules hold, and the violated ones."""
    dom, _ = chromium(text.replace("</body>", f"<script>{AXE}</script>{PROBE}</body>"), *flags)
    said = re.search(r'<pre id="axe">(.*?)</pre>', dom, re.DOTALL)
    assert said is not None
    found: dict[str, Any] = json.loads(unescape(said[1]))
    return found
