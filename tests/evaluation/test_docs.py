"""The examples in the documentation and the docstrings run and print what they say."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "evaluation.md"


def test_examples_of_the_page(monkeypatch):
    monkeypatch.chdir(PAGE.parents[1])  # one of them reads the committed codes
    result = doctest.testfile(str(PAGE), module_relative=False)
    assert result.attempted >= 10
    assert result.failed == 0


@pytest.mark.parametrize("name", ["asymmetric", "protocol", "statistics"])
def test_docstrings(name):
    result = doctest.testmod(importlib.import_module(f"hashbench.evaluation.{name}"))
    assert result.attempted >= 1
    assert result.failed == 0
