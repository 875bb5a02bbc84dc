"""report.html under axe-core, the rules of WCAG 2 as a program."""

from __future__ import annotations

import pytest
from helpers import audit


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
