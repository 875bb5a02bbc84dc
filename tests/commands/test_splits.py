"""`hashbench splits`: export, import and check on the committed splits and on lists that lack something."""

from __future__ import annotations

import argparse

import numpy as np
import pytest
from helpers import ROOT

from hashbench.artefacts.split import read_split
from hashbench.commands import splits
from hashbench.data.recognition import protocols_like
from hashbench.data.splits import PROTOCOLS
from hashbench.errors import HashbenchError
from hashbench.types import Split

SPLIT = ROOT / "results" / "quick" / "splits" / "cifar10_6000.safetensors"


@pytest.fixture
def call(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)

    def run(*arguments):
        parser = argparse.ArgumentParser()
        splits.add_arguments(parser)
        splits.run(parser.parse_args([str(each) for each in arguments]))
        return capsys.readouterr().out

    return run


def test_the_split_of_a_protocol_is_that_of_the_results(call, tmp_path):
    digest = read_split(SPLIT).digest
    assert f"digest {digest}" in call("export", "cifar10_200_1000_4800", "--out", tmp_path / "lists")
    printed = call("check", tmp_path / "lists")
    assert "protocols with these counts:\n  cifar10_200_1000_4800: all counts agree" in printed
    assert "the same rows, order and labels as results/quick/splits/cifar10_6000.safetensors" in printed
    assert "20 to 20 queries a class" in printed


@pytest.mark.parametrize("form", ["txt", "csv", "npz"])
def test_a_split_file_is_exported_and_imported_again(call, tmp_path, form):
    target = tmp_path / f"lists.{form}"
    call("export", SPLIT, "--format", form, "--out", target)
    call("import", target, "--out", tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == SPLIT.read_bytes()


def test_counts_that_are_short_or_over_are_told(call, tmp_path):
    call("export", SPLIT, "--format", "hashnet", "--out", tmp_path)
    path = tmp_path / "database.txt"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[3:]))
    printed = call("check", tmp_path)
    assert "no protocol has these counts; the nearest:\n  cifar10_200_1000_4800: database 3 short;" in printed


def test_a_protocol_that_no_data_set_has_needs_one(call, tmp_path):
    with pytest.raises(HashbenchError, match=r"no data set of params\.yaml has the protocol per_class_2_3_with_train"):
        call("export", "per_class_2_3_with_train", "--out", tmp_path)
    printed = call("export", "per_class_2_3_with_train", "--dataset", "digits", "--out", tmp_path / "lists")
    assert "per_class_2_3_with_train_20_30_1777" in printed
    with pytest.raises(HashbenchError, match="unknown protocol"):
        call("export", "cifar", "--out", tmp_path)


def with_counts(query, train, database):
    rows = np.arange(query + train + database, dtype=np.int64)
    parts = rows[:query], rows[query + train :], rows[query : query + train]
    return Split("lists", *parts, np.ones((len(rows), 1), bool))


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=lambda each: each.name)
def test_every_protocol_is_recognised_by_its_counts(protocol):
    query, train, database = protocol.counts
    exact = protocols_like(with_counts(query, train, database))
    assert protocol.name in [each.protocol.name for each in exact]
    assert all(each.words == "all counts agree" for each in exact)
    near = protocols_like(with_counts(query + 1, train, database - 2), most=30)
    (found,) = [each for each in near if each.protocol.name == protocol.name]
    assert found.over == (1, 0, -2)
    assert found.words == "query 1 over, database 2 short"
