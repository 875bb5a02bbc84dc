"""What is wrong with a value, as one sentence: which key, what it is, what is allowed, what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from hashbench.errors import HashbenchError

T = TypeVar("T")
Schema = Mapping[str, Any]


def known(where: str, name: str, table: Mapping[str, T]) -> T:
    """`table[name]`. Raises HashbenchError that says what is allowed and what was probably meant."""
    if name in table:
        return table[name]
    raise HashbenchError(f"{where}: unknown name '{shown(name)}'{did_you_mean(name, table)}")


def did_you_mean(name: str, allowed: Iterable[str]) -> str:
    """The end of a sentence that turns an unknown name down."""
    names = sorted(allowed)
    near = difflib.get_close_matches(name[:80], names, n=1)
    guess = f"; did you mean '{near[0]}'?" if near else ""
    return f"{guess} (allowed: {', '.join(names) or 'none'})"


def shown(value: Any) -> str:
    """A value as a sentence may show it: printable, on one line, and not long."""
    text = one_line(str(value)[:200])
    return text if len(text) <= 80 else text[:77] + "..."


def one_line(text: str) -> str:
    """A text as one line of printable letters."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in " ".join(text.split()))


def first_error(error: ValidationError, root: Schema | None = None, where: Sequence[str | int] = ()) -> str:
    """The first of pydantic's complaints as one sentence.

    `root`: the JSON schema of what was validated, to say what it allows; `where`: the keys under which the value stands
    in its file.
    """
    detail = _first(error.errors(include_url=False))
    schema = _Schemas(root or {})
    keys, place, parent = schema.at(detail["loc"])
    key = ".".join(shown(part) for part in (*where, *keys))
    named = f"key '{key}'" if key else "the file"
    if detail["type"] == "missing":
        properties, others = parent.get("properties", {}), detail["input"]
        unknown = [name for name in others if isinstance(name, str) and properties and name not in properties]
        for name in difflib.get_close_matches(str(keys[-1]), unknown, n=1):
            return _unknown_key((*where, *keys[:-1], name), others[name], properties)
        return f"key '{key}' is missing; it must be {schema.in_words(place)}"
    if detail["type"] == "extra_forbidden":
        return _unknown_key((*where, *keys), detail["input"], parent.get("properties", ()))
    given = shown(repr(detail["input"]))
    if detail["type"] in ("value_error", "assertion_error") or not place:
        message = detail["msg"].removeprefix("Value error, ")
        name, _, rest = message.partition(" ")
        if name in place.get("properties", ()):  # a check of a whole block begins with the key that it is about
            return f"key '{key}.{name}' {shown(rest)}"
        return f"{named} is {given}: {shown(message[0].lower() + message[1:])}"
    choices = list(schema.choices(place))
    if choices and isinstance(detail["input"], str):
        return f"{named} is {given}{did_you_mean(detail['input'], choices)}"
    return f"{named} is {given}; it must be {schema.in_words(place)}"


def _unknown_key(keys: Sequence[str | int], value: Any, allowed: Iterable[str]) -> str:
    key = ".".join(map(shown, keys))
    return f"unknown key '{key}' with the value {shown(repr(value))}{did_you_mean(str(keys[-1]), allowed)}"


def _first(details: Sequence[Any]) -> Any:
    """The first complaint; of the members of a union, the first of the one that complains least."""
    for place, label in enumerate(details[0]["loc"]):
        before = details[0]["loc"][:place]
        others = [detail for detail in details if detail["loc"][:place] == before and len(detail["loc"]) > place]
        labels = list(dict.fromkeys(detail["loc"][place] for detail in others))
        if _is_word(label) and len(labels) > 1:  # a word or a block: what is wrong within a block says more
            return next((detail for detail in others if len(detail["loc"]) > place + 1), details[0])
        if "function-" in str(label) and len(labels) > 1:
            least = min(labels, key=lambda label: sum(detail["loc"][place] == label for detail in others))
            return next(detail for detail in others if detail["loc"][place] == least)
    return details[0]


def _is_word(label: str | int) -> bool:
    """Whether pydantic calls a member of a union so because it is a fixed word."""
    return str(label).startswith("literal[")


class _Schemas:
    """A JSON schema, walked along keys and put into words."""

    def __init__(self, root: Schema) -> None:
        self._root = root

    def at(self, location: Sequence[str | int]) -> tuple[list[str | int], Schema, Schema]:
        """The keys of a pydantic location, the schema that stands there, and that of what holds it."""
        keys: list[str | int] = []
        here, parent = self._followed(self._root), self._root
        for part in location:
            if "anyOf" in here and self._member(here, part) is not None:
                here = self._member(here, part) or here
                continue
            keys.append(part)
            parent, here = here, self._followed(self._inside(here, part))
        return keys, here, parent

    def _followed(self, schema: Schema) -> Schema:
        while "$ref" in schema:
            schema = self._root["$defs"][schema["$ref"].rpartition("/")[2]]
        return schema

    def _inside(self, schema: Schema, part: str | int) -> Schema:
        if "anyOf" in schema:
            schema = next((s for s in map(self._followed, schema["anyOf"]) if {"properties", "items"} & set(s)), {})
        if isinstance(part, int):
            prefix = schema.get("prefixItems", ())
            found = prefix[part] if part < len(prefix) else schema.get("items", {})
        else:
            more = schema.get("additionalProperties", schema.get("patternProperties", {}))
            patterns = list(schema.get("patternProperties", {}).values())
            found = schema.get("properties", {}).get(part, patterns[0] if patterns else more)
        return found if isinstance(found, dict) else {}

    def _member(self, union: Schema, label: str | int) -> Schema | None:
        """The member of a union that pydantic calls `label`; the union itself for a plain type; None for a key."""
        members = [self._followed(member) for member in union["anyOf"]]
        titled = next((member for member in members if "title" in member and member["title"] in str(label)), None)
        return titled or (union if label in ("bool", "int", "float", "str") or _is_word(label) else None)

    def choices(self, schema: Schema) -> Iterable[str]:
        """The texts that are allowed, where they are few and named."""
        return [str(choice) for choice in schema.get("enum", [schema["const"]] if "const" in schema else [])]

    def in_words(self, schema: Schema) -> str:
        """What a schema allows."""
        schema = self._followed(schema)
        if "anyOf" in schema:
            return " or ".join(dict.fromkeys(map(self.in_words, schema["anyOf"])))
        if choices := self.choices(schema):
            return " or ".join(choices)
        match schema.get("type"):
            case "integer" | "number" as kind:
                return ("a whole number" if kind == "integer" else "a finite number") + _range(schema)
            case "boolean":
                return "true or false"
            case "null":
                return "null"
            case "string":
                return str(schema.get("description", "a text"))
            case "array" if "prefixItems" in schema:
                inner = {self.in_words(each) for each in schema["prefixItems"]}
                return f"a list of {len(schema['prefixItems'])}, each {' or '.join(sorted(inner))}"
            case "array":
                filled = "a list of at least one entry" if schema.get("minItems") else "a list"
                return f"{filled}, each {self.in_words(schema.get('items', {}))}"
            case "object" if schema.get("properties"):
                return f"a block with the keys {', '.join(schema['properties'])}"
            case "object":
                return "a block"
        return "something else"


def _range(schema: Schema) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if least is not None and most is not None:
        return f" from {least:g} to {most:g}"
    limits = {"of at least": least, "of at most": most, "above": above, "below": below}
    words = [f"{words} {limit:g}" for words, limit in limits.items() if limit is not None]
    return f" {' and '.join(words)}" if words else ""
