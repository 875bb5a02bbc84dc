"""What the README and the documentation name exists: links, commands, parameters; their code is code."""

from __future__ import annotations

import argparse
import ast
import doctest
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

import hashbench.data
from hashbench.cli import build_parser
from hashbench.data.base import Source
from hashbench.data.registry import load_dataset
from hashbench.data.splits import protocol
from hashbench.params import Params

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
RUN_BY_EVALUATION_TESTS = ROOT / "docs" / "evaluation.md"

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def blocks(page, language):
    return [code for kind, code in BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language]


def prose(page):
    """A page without its code blocks."""
    return BLOCK.sub("", page.read_text(encoding="utf-8"))


def anchors(page):
    """The anchors of a page's headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.+?)\s*$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@every_page
def test_python_blocks_compile(page):
    for code in blocks(page, "python"):
        compile(code, page.name, "exec")


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if ">>> " in page.read_text(encoding="utf-8") and page != RUN_BY_EVALUATION_TESTS],
    ids=lambda page: page.name,
)
def test_examples_print_what_they_say(page):
    result = doctest.testfile(str(page), module_relative=False)
    assert result.attempted > 0
    assert result.failed == 0


def test_the_worked_example_of_a_data_set_loads(tmp_path, monkeypatch):
    (tmp_path / "stripes.py").write_text(blocks(ROOT / "docs" / "adding.md", "python")[1])
    monkeypatch.setattr(hashbench.data, "__path__", [*hashbench.data.__path__, str(tmp_path)])
    dataset = load_dataset("stripes", Source("stripes", "Stripes", ()), {"items": 60})
    steps = [np.abs(np.diff(dataset.images[..., 0].astype(int), axis=axis)).mean(axis=(1, 2)) for axis in (1, 2)]
    assert (dataset.labels[:, 1] == (steps[0] > steps[1])).all()
    protocol("per_class_2_5_without_train")(dataset, 0)


@every_page
def test_links_lead_somewhere(page):
    for link in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


def test_pages_of_the_site_link_to_pages_of_the_site():
    """The site holds docs/ alone; the README is read in the repository."""
    for page in PAGES[1:]:
        for link in LINK.findall(prose(page)):
            assert not link.startswith(".."), f"{page.name}: {link}"


def test_the_site_shows_every_page():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    assert sorted(re.findall(r": (\S+\.md)$", navigation, re.MULTILINE)) == sorted(page.name for page in PAGES[1:])


def subcommands():
    """Name -> parser of every subcommand of `hashbench`."""
    actions = build_parser()._actions
    return next(action.choices for action in actions if isinstance(action, argparse._SubParsersAction))


def sessions():
    """The functions of noxfile.py that are sessions."""
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and any("session" in ast.unparse(each) for each in node.decorator_list)
    }


@every_page
def test_commands_exist(page):
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r"nox -s (\w+)", text)) <= sessions()
    commands = re.findall(r"(?:`|uv run |^\$ )hashbench ([a-z]\w*)(.*?)(?:`|#|$)", text, re.MULTILINE)
    for name, arguments in commands:
        assert name in subcommands(), f"{page.name}: hashbench {name}"
        assert set(re.findall(r"--[\w-]+", arguments)) <= set(subcommands()[name]._option_string_actions)


def test_the_command_line_page_names_everything():
    text = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `hashbench (\w+)", text, re.MULTILINE)) == set(subcommands())
    assert set(re.findall(r"^\| `nox -s (\w+)", text, re.MULTILINE)) == sessions()
    for line in re.findall(r"^\| `hashbench .*", text, re.MULTILINE):
        name = line.split()[2].strip("`")
        assert set(re.findall(r"--[\w-]+", line)) <= set(subcommands()[name]._option_string_actions), line


def test_the_command_line_page_names_every_variable():
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    text = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    in_tests = {"HASHBENCH_REQUIRE_CHROMIUM"}
    assert set(re.findall(r"^\| `(HASHBENCH_\w+)`", text, re.MULTILINE)) == in_tests | set(
        re.findall(r"""["'](HASHBENCH_\w+)["']""", source)
    )


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout that holds the worked example of a method, where the pages say to put it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "src").symlink_to(ROOT / "src")
    shutil.copytree(ROOT / "baselines", tmp_path / "baselines", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "baselines" / "median_lsh.py").write_text(blocks(ROOT / "docs" / "adding.md", "python")[0])


@every_page
def test_yaml_blocks_are_params(page, checkout):
    """A block that shows a part of params.yaml, or data sets, is valid when laid over params.yaml."""
    for text in blocks(page, "yaml"):
        params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        part = yaml.safe_load(text)
        if not set(part) <= set(params):
            assert all("kind" in block for block in part.values()), f"neither sections nor data sets:\n{text}"
            part = {"datasets": part}
        for section, value in part.items():
            params[section] |= value
        Params.model_validate(params)
