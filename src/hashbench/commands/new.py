"""`hashbench new profile NAME`: a profile of one's own, with its pipeline."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import yaml

HELP = "make a profile of your own: a block of params.yaml and a pipeline"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("what", choices=["profile"])
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--like", metavar="PROFILE", default="quick", help="the profile to start from (default: quick)")
    parser.add_argument("--datasets", metavar="NAME", nargs="+", help="data sets of params.yaml (default: those of it)")


def run(arguments: argparse.Namespace) -> None:
    """Add a profile to params.yaml, leaving all other lines as they are, and make its pipeline.

    A block that is there already, without a pipeline, gets one.
    """
    from hashbench.artefacts import store
    from hashbench.config.params import known, load_params, params_path
    from hashbench.errors import HashbenchError
    from hashbench.execution.pipelines import PIPELINE, create_pipeline, pipeline_of

    params, name = load_params(), _checked(arguments.name)
    if name in params.profiles and pipeline_of(name).exists():
        raise HashbenchError(f"the profile {name} exists already; choose another name, or edit it in params.yaml")
    known("profile", arguments.like, params.profiles)
    for dataset in arguments.datasets or ():
        known("data set", dataset, params.datasets)
    create_pipeline(name, pipeline_of(name), PIPELINE)
    if name not in params.profiles:
        path = params_path()
        text = path.read_text(encoding="utf-8")
        store.write_text(path, with_profile(text, name, arguments.like, arguments.datasets))
        print(f"{path}: the profile {name} is added; change there what it shall compute")
    print(f"{pipeline_of(name).parent}: made")
    print(f"next: `hashbench check {name}`, then `nox -s reproduce_table1 -- --profile {name}`")


def _checked(name: str) -> str:
    """The name, where it can be one. Raises HashbenchError where it cannot."""
    from pydantic import TypeAdapter, ValidationError

    from hashbench.config.params import ProfileName
    from hashbench.errors import HashbenchError

    try:
        TypeAdapter(ProfileName).validate_python(name)
        if _scalar(name) == name:
            return name
    except ValidationError:
        pass
    raise HashbenchError(
        f"a profile cannot be called {name[:80]!a}: give at most 64 small letters, digits, _ and -, a letter or digit "
        "first, that YAML reads as a text"
    )


def _scalar(text: str) -> str:
    """A text as YAML must have it written: in quotes where it would read a number or a truth value."""
    import yaml

    return text if yaml.safe_load(text) == text else f"'{text}'"


def with_profile(text: str, name: str, like: str, datasets: Sequence[str] | None) -> str:
    """params.yaml with one more profile after the last: the lines of `like` with another name, title and data sets."""
    import yaml

    profiles = _entries(_entries(yaml.compose(text, yaml.SafeLoader))["profiles"][1])
    key, block = profiles[like]
    start, end = key.start_mark.index - key.start_mark.column, _end(block)
    title, chosen = _entries(block)["title"][1], _entries(block)["datasets"][1]
    changes = [(key, name), (title, f"{name} (like {like})")]
    names = [_scalar(each) for each in datasets or ()]
    if names and _is_inline(chosen):
        changes.append((chosen, f"[{', '.join(names)}]"))
    elif names:
        indent = " " * chosen.start_mark.column
        changes.append((chosen, f"\n{indent}".join(f"- {each}" for each in names)))

    lines = text[start:end]
    for node, value in sorted(changes, key=lambda change: -change[0].start_mark.index):
        lines = lines[: node.start_mark.index - start] + value + lines[_end(node) - start :]
    place = max(_end(value) for _, value in profiles.values())
    rest_of_line, line_break, after = text[place:].partition("\n")
    return f"{text[:place]}{rest_of_line}\n{lines}{line_break}{after}"


def _entries(mapping: yaml.Node | None) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    """The nodes of each key and its value."""
    return {key.value: (key, value) for key, value in mapping.value} if mapping else {}


def _end(node: yaml.Node) -> int:
    """Where a node's text ends. The mark of a block stands at what follows it, so a block ends with its last value."""
    while not isinstance(node.value, str) and not _is_inline(node):
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    return int(node.end_mark.index)


def _is_inline(node: yaml.Node) -> bool:
    return bool(getattr(node, "flow_style", False))
