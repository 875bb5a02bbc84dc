"""What the README and the documentation name exists: links, commands, parameters; their code is code."""

from __future__ import annotations

import argparse
import ast
import datetime
import doctest
import json
import re
import shlex
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
import yaml
from dvc.cli.parser import get_main_parser

import hashbench.data
from hashbench.cli import build_parser
from hashbench.config.params import Params
from hashbench.data.base import Source
from hashbench.data.registry import load_dataset
from hashbench.data.splits import protocol

ROOT = Path(__file__).resolve().parents[1]
OF_THE_SITE = sorted((ROOT / "docs").glob("*.md"))
PAGES = [*(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG")), *OF_THE_SITE]
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
    for page in OF_THE_SITE:
        for link in LINK.findall(prose(page)):
            assert not link.startswith(".."), f"{page.name}: {link}"


def test_the_site_shows_every_page():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    assert sorted(re.findall(r": (\S+\.md)$", navigation, re.MULTILINE)) == sorted(page.name for page in OF_THE_SITE)


def subcommands():
    """Name -> parser of every subcommand of `hashbench`."""
    actions = build_parser()._actions
    return next(action.choices for action in actions if isinstance(action, argparse._SubParsersAction))


def options(name):
    """Every option of a subcommand and of its actions."""
    parsers = [subcommands()[name]]
    for action in parsers[0]._actions:
        parsers += action.choices.values() if isinstance(action, argparse._SubParsersAction) else []
    return {option for each in parsers for option in each._option_string_actions}


def sessions():
    """The functions of noxfile.py that are sessions."""
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and any("session" in ast.unparse(each) for each in node.decorator_list)
    }


def commands_of(page, program):
    """The arguments of every call of a program in a page's shell blocks."""
    lines = "".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    calls = [re.search(rf"(?:^|uv run |&& ){program} ([^&;|]*)", line) for line in lines]
    return [shlex.split(call[1], comments=True) for call in calls if call]


@every_page
def test_dvc_understands_the_commands_for_it(page):
    parser, params = get_main_parser(), yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for arguments in commands_of(page, "dvc"):
        parsed = parser.parse_args(arguments)
        for override in getattr(parsed, "set_param", None) or ():
            block = params
            for key in override.partition("=")[0].split("."):
                assert key in block, f"{page.name}: {override}"
                block = block[key]


@every_page
def test_commands_exist(page):
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r"nox -s (\w+)", text)) <= sessions()
    commands = re.findall(r"(?:`|uv run |^\$ )hashbench ([a-z]\w*)(.*?)(?:`|#|$)", text, re.MULTILINE)
    for name, arguments in commands:
        assert name in subcommands(), f"{page.name}: hashbench {name}"
        assert set(re.findall(r"--[\w-]+", arguments)) <= options(name)


def test_the_command_line_page_names_everything():
    text = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `hashbench (\w+)", text, re.MULTILINE)) == set(subcommands())
    assert set(re.findall(r"^\| `nox -s (\w+)", text, re.MULTILINE)) == sessions()
    for line in re.findall(r"^\| `hashbench .*", text, re.MULTILINE):
        name = line.split()[2].strip("`")
        assert set(re.findall(r"--[\w-]+", line)) <= options(name), line


ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
SOURCE = ("src", "baselines", "params.yaml", "dvc.yaml", "pipelines/ablations.yaml", "noxfile.py")
MOST_PLACES = {"method": 4, "data set": 4, "backbone": 1, "metric": 4, "figure": 2, "sorter": 3}


def places():
    """(what, name of one that is there, files) of each row of the table of places to touch."""
    table = ARCHITECTURE.partition("\n## Places to touch\n")[2].partition("\n## ")[0]
    rows = [row.split("|")[1:4] for row in table.splitlines() if row.startswith("| ")][1:]
    return [(what.strip(), like.strip(" `"), re.findall(r"`([^`]+)`", files)) for what, like, files in rows]


def files_that_name(name):
    """The files of code, params and pipelines that contain a name, or bear it."""
    found = [path for place in SOURCE for path in ((ROOT / place).rglob("*.*") if "." not in place else [ROOT / place])]
    word = re.compile(rf"\b{name}\b")
    return {
        path.relative_to(ROOT).as_posix()
        for path in found
        if path.suffix in (".py", ".yaml", ".j2") and (path.stem == name or word.search(path.read_text("utf-8")))
    }


@pytest.mark.parametrize(("what", "like", "files"), places(), ids=lambda value: value if isinstance(value, str) else "")
def test_one_more_of_each_takes_the_files_that_the_page_names(what, like, files):
    """Found by one that is there: no other file of the code has its name, and the page's other files have it too."""
    assert len(files) == len(set(files)) <= MOST_PLACES[what]
    told = [file for file in files if file.startswith(("docs/", "tests/"))]
    assert files_that_name(like) == set(files) - set(told)
    for file in told:
        assert like in file or re.search(rf"\b{like}\b", (ROOT / file).read_text(encoding="utf-8")), file


def test_the_page_of_the_architecture_has_every_row():
    assert [what for what, _, _ in places()] == list(MOST_PLACES)


def test_the_tree_is_that_of_the_repository():
    tree = ARCHITECTURE.partition("```text\n")[2].partition("```")[0].splitlines()
    inside = "\n".join(line.strip() for line in tree if line.startswith("  "))
    package = ROOT / "src" / "hashbench"
    files = [path for path in package.iterdir() if path.is_dir() or path.suffix == ".py"]
    ours = {path.name + "/" * path.is_dir() for path in files if not path.name.startswith("_")}
    assert ours - {"baselines/"} <= set(re.findall(r"^\w+/|\w+\.py", inside, re.MULTILINE))
    assert set(re.findall(r"^\w+(?:/|\.py)", inside, re.MULTILINE)) <= ours
    for line in tree:
        if not line.startswith("  ") and "<profile>" not in line:
            assert (ROOT / line.split()[0]).exists(), line


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
ZENODO = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))


def test_the_citation_is_valid():
    """By what the Citation File Format 1.2.0 asks for; its own validator wants versions of packages that are gone."""
    required, more = {"cff-version", "message", "title", "authors"}, {"type", "version", "date-released", "license"}
    assert required <= set(CITATION) <= required | more | {"keywords", "abstract", "doi", "url", "repository-code"}
    assert (CITATION["cff-version"], CITATION["type"]) == ("1.2.0", "software")
    assert isinstance(CITATION["date-released"], datetime.date)
    entity = {"name"}, {"family-names", "given-names"}
    assert CITATION["authors"]
    assert all(any(names <= set(author) for names in entity) for author in CITATION["authors"])
    assert all(isinstance(word, str) and word for word in CITATION["keywords"])


def test_what_zenodo_is_told_is_valid():
    """By Zenodo's schema of legacy records, as far as these keys go."""
    required = {"title", "description", "creators", "upload_type", "license", "keywords", "access_right"}
    assert required <= set(ZENODO) <= required | {"version", "language", "notes", "related_identifiers"}
    assert (ZENODO["upload_type"], ZENODO["access_right"]) == ("software", "open")
    assert ZENODO["creators"]
    assert all({"name"} <= set(each) <= {"name", "affiliation", "orcid", "gnd"} for each in ZENODO["creators"])
    assert re.fullmatch("[a-z]{3}", ZENODO["language"])


def test_citation_zenodo_project_and_changelog_agree():
    for name in ("title", "version", "license", "keywords"):
        assert CITATION[name] == ZENODO[name], name
    assert [author["name"] for author in CITATION["authors"]] == [author["name"] for author in ZENODO["creators"]]
    assert ZENODO["notes"] in CITATION["message"].replace(" (`hashbench cite table1`)", "")
    assert (CITATION["version"], CITATION["license"]) == (PROJECT["version"], PROJECT["license"])
    assert set(CITATION["keywords"]) <= set(PROJECT["keywords"])
    newest = re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest[1] == PROJECT["version"]


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
