"""`hashbench table`: the part of a table that a paper needs, on the terminal."""

from __future__ import annotations

import argparse

import pytest

from hashbench.commands import table as command
from hashbench.report.excerpt import excerpt
from hashbench.report.tables.rendering import RENDERERS


@pytest.fixture
def parse():
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return lambda *arguments: parser.parse_args(arguments)


@pytest.fixture
def bundle(make_bundle, monkeypatch):
    """What the command finds: four methods on two data sets."""
    found = make_bundle(4)
    monkeypatch.setattr("hashbench.artefacts.manifest.read_manifest", lambda layout: argparse.Namespace(datasets={}))
    monkeypatch.setattr("hashbench.reporting.tables_bundle_of", lambda *given: found)
    return found


@pytest.mark.parametrize("ending", ["tex", "md", "csv", "html"])
def test_an_excerpt_is_printed_in_the_format_asked_for(parse, bundle, capsys, ending):
    options = ["--methods", "beta,alpha", "--bits", "16,32", "--no-std", "--transpose", "--format", ending]
    assert command.run(parse("table1", *options)) is None
    wanted = excerpt(bundle, "table1", ["beta", "alpha"], [16, 32], with_spread=False, transpose=True)
    assert capsys.readouterr().out == RENDERERS[ending](wanted)


def test_the_whole_table_is_printed_as_markdown_where_nothing_is_asked(parse, bundle, capsys):
    command.run(parse("table2"))
    assert capsys.readouterr().out == RENDERERS["md"](excerpt(bundle, "table2"))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--bits", "16,x"], "'16,x' is not a list of code lengths such as 16,32"),
        (["--bits", "0"], "'0' is not a list of code lengths such as 16,32"),
        (["--bits", "²"], "'²' is not a list of code lengths such as 16,32"),
        (["--methods", "wch,"], "'wch,' is not a list of names such as wch,nsh"),
        (["--format", "pdf"], "invalid choice: 'pdf'"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(parse, capsys, options, sentence):
    with pytest.raises(SystemExit) as end:
        parse("table1", *options)
    assert end.value.code == 2
    assert sentence in capsys.readouterr().err
