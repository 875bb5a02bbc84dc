"""What `hashbench explain` is given: FILE, FILE@k=1000,order=database, or NUMBER@k=1000, read into a `Side`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from hashbench.errors import HashbenchError
from hashbench.evaluation.conventions import ALLOWED, Convention
from hashbench.evaluation.explanation import Side
from hashbench.evaluation.given import read_given
from hashbench.evaluation.rules import check_choice

_RULES = {field.name: getattr(Convention(), field.name) for field in fields(Convention)}


def split_operand(text: str) -> tuple[str, dict[str, Any]]:
    """The part before the last @, and the rules after it; no rules where a file has this very name.

    Raises HashbenchError where a rule or its value is none of `Convention`.
    """
    what, at, rules = text.rpartition("@")
    if not at or "=" not in rules or Path(text).is_file():
        return text, {}
    return what, dict(_rule(each) for each in rules.split(","))


def _rule(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    check_choice("a rule after @", name, ("k", *ALLOWED))
    if name != "k":
        check_choice(name, value, ALLOWED[name])
        return name, value
    if value == "all":
        return name, None
    if not value.isascii() or not value.isdigit() or int(value) == 0:
        raise HashbenchError(f"k must be a whole number of at least 1, or all, got '{value}'")
    return name, int(value)


def is_number(text: str) -> bool:
    """Whether an operand is a number, not a file."""
    try:
        float(text)
    except ValueError:
        return False
    return not Path(text).is_file()


def side_of_file(text: str) -> Side:
    """A file of codes by the rules after its @, or what `hashbench evaluate --format json` printed, in a .json file."""
    what, stated = split_operand(text)
    path = Path(what)
    if path.suffix == ".json":
        return _side_of_json(path, stated)
    codes = read_given(path)
    own = {"self_matches": "kept" if codes.query_rows is None else "left_out"}
    convention = {**_RULES, **own, **stated}
    return Side(what, None, convention, codes, facts={"bits": str(codes.n_bits)})


def side_of_number(text: str) -> Side:
    """A number that somebody reports, and the rules that are known of it."""
    number, stated = split_operand(text)
    return Side(number, float(number), stated)


def _side_of_json(path: Path, stated: Mapping[str, Any]) -> Side:
    if stated:
        raise HashbenchError(f"{path} says itself by which rules it was made: leave them out after the @")
    try:
        (said,) = json.loads(path.read_text(encoding="utf-8"))["evaluations"]
        convention = {name: said[name] for name in ("k", "denominator", "empty")}
        number, bits = float(said["map"]), str(said["n_bits"])
    except FileNotFoundError:
        raise HashbenchError(f"{path} is missing: give codes, a .json of `hashbench evaluate`, or a run") from None
    except (ValueError, KeyError, TypeError):
        raise HashbenchError(f"{path} is not what `hashbench evaluate --format json` prints at one k") from None
    return Side(str(path), number, {**_RULES, **convention}, facts={"bits": bits})
