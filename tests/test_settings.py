"""The environment variables: read when asked for, typed, and told in one table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from hashbench.errors import HashbenchError
from hashbench.settings import PREFIX, Settings, settings

ROOT = Path(__file__).resolve().parents[1]
FOR_TESTS = {"HASHBENCH_REQUIRE_CHROMIUM", "HASHBENCH_ROBUSTNESS"}


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(PREFIX + name.upper(), raising=False)


def test_the_environment_is_read_at_the_time_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings().executor == "local"
    monkeypatch.setenv("HASHBENCH_EXECUTOR", "ray")
    assert settings().executor == "ray"


def test_values_have_their_types(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {"DATA": "/srv/data", "OFFLINE": "1", "CORES": "3", "LOG": "quiet"}.items():
        monkeypatch.setenv(PREFIX + name, text)
    assert settings() == Settings(data=Path("/srv/data"), offline=True, cores=3, log="quiet")


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    before = settings()
    for name in Settings.model_fields:
        monkeypatch.setenv(PREFIX + name.upper(), "")
    assert settings() == before
    assert not before.offline


@pytest.mark.parametrize(("text", "offline"), [("0", False), ("1", True), ("true", True), ("no", False)])
def test_a_flag_may_be_said_in_words(monkeypatch: pytest.MonkeyPatch, text: str, offline: bool) -> None:
    monkeypatch.setenv("HASHBENCH_OFFLINE", text)
    assert settings().offline is offline


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("OFFLINE", "perhaps", "HASHBENCH_OFFLINE must be 0 or 1, got 'perhaps'; mend or unset it"),
        ("CORES", "0", "HASHBENCH_CORES must be a whole number of at least 1, got '0'; mend or unset it"),
        ("CORES", "two", "HASHBENCH_CORES must be a whole number of at least 1, got 'two'; mend or unset it"),
        ("EXECUTOR", "rya", "HASHBENCH_EXECUTOR must be 'local' or 'ray', got 'rya'; mend or unset it"),
        ("LOG", "loud", "HASHBENCH_LOG must be 'quiet', 'normal' or 'verbose', got 'loud'; mend or unset it"),
    ],
)
def test_a_wrong_value_is_told_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, told: str
) -> None:
    monkeypatch.setenv(PREFIX + name, text)
    with pytest.raises(HashbenchError) as caught:
        settings()
    assert str(caught.value) == told


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        settings().offline = True  # type: ignore[misc]


def test_the_page_has_the_table_of_the_class() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(HASHBENCH_\w+)` \| (.*?) \| (.*?) \|$", page, re.MULTILINE)
    expected = [
        (PREFIX + name.upper(), "none" if field.default in (None, False) else f"`{field.default}`", field.description)
        for name, field in Settings.model_fields.items()
    ]
    assert [row for row in rows if row[0] not in FOR_TESTS] == expected


def test_nothing_else_reads_a_variable_of_hashbench() -> None:
    for path in (ROOT / "src").rglob("*.py"):
        read = re.findall(r"""(?:environ(?:\.get\(|\[)|getenv\()["']HASHBENCH_\w+""", path.read_text(encoding="utf-8"))
        assert not read, f"{path} reads {read}"
