"""`hashbench explain`: files, runs and numbers against each other, and what is refused."""

from __future__ import annotations

import argparse
import json
import re

import numpy as np
import pytest
from helpers import ROOT

from hashbench.artefacts.records import read_kept_codes, read_records
from hashbench.artefacts.split import read_split
from hashbench.commands import explain
from hashbench.errors import HashbenchError
from hashbench.evaluation import evaluate
from hashbench.evaluation.command import Asked
from hashbench.evaluation.command import run as evaluate_file
from hashbench.evaluation.readers import Reading, Sources

QUICK = ROOT / "results" / "quick"
RUN = "cifar10_6000-tf_efficientnet_lite0_96px-lsh-16-0"


def explained(capsys, *arguments):
    parser = argparse.ArgumentParser()
    explain.add_arguments(parser)
    explain.run(parser.parse_args([str(each) for each in arguments]))
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def kept():
    """The arrays of a committed run's codes file, as plain NumPy has them, and its record."""
    splits = {path.stem: read_split(path) for path in (QUICK / "splits").glob("*.safetensors")}
    record = next(each for each in read_records(QUICK / "records.jsonl") if each.cell.name == RUN)
    query, database = read_kept_codes(QUICK / "codes" / "lsh.safetensors", splits)[record.cell]
    split = splits["cifar10_6000"]
    return {
        "query_codes": query.unpack(),
        "db_codes": database.unpack(),
        "query_labels": split.labels[split.query],
        "db_labels": split.labels[split.database],
    }, record


@pytest.fixture
def file(kept, tmp_path):
    np.savez(tmp_path / "mine.npz", **kept[0])
    return tmp_path / "mine.npz"


def test_the_toy_of_the_page_is_explained_value_by_value(tmp_path, capsys):
    database = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [1, 1]])
    labels = {"query_labels": np.array([7]), "db_labels": np.array([7, 8, 7, 8, 7])}
    np.savez(tmp_path / "toy.npz", query_codes=np.array([[0, 0]]), db_codes=database, **labels)
    for number, convention in {
        "0.836111": r"all +the suite's own",
        "0.916667": r"all +order optimistic",
        "0.755556": r"all +order pessimistic",
        "0.75": r"2 +denominator min_k_relevant",
        "0.5": r"2 +denominator relevant",
    }.items():
        printed = explained(capsys, "--number", number, tmp_path / "toy.npz")
        assert f"these give {number}:" in printed
        assert re.search(rf"^{float(number):.6f}  {convention}$", printed, re.MULTILINE), printed
        assert explained(capsys, tmp_path / "toy.npz", number) == printed


def test_a_file_and_the_run_that_it_is(kept, file, capsys):
    said = json.loads(explained(capsys, file, f"{QUICK}:{RUN}", "--json"))
    arrays, record = kept
    assert [step["setting"] for step in said["steps"]] == ["k"]
    assert said["start"] == pytest.approx(evaluate(*(arrays[n] for n in ORDER)).map)
    assert said["end"] == record.evaluation.map
    assert said["unexplained"] == pytest.approx(0, abs=1e-12)
    assert {each["setting"] for each in said["untried"]} >= {"backbone", "epoch"}
    assert "split" not in {each["setting"] for each in said["untried"]}


ORDER = ("query_codes", "db_codes", "query_labels", "db_labels")


def test_a_file_with_other_codes_differs_by_them_and_by_nothing_else(kept, tmp_path, capsys):
    arrays = dict(kept[0])
    arrays["db_codes"] = arrays["db_codes"].copy()
    arrays["db_codes"][5] ^= True
    np.savez(tmp_path / "other.npz", **arrays)
    printed = explained(capsys, f"{tmp_path / 'other.npz'}@k=100", f"{QUICK}:{RUN}")
    assert "database codes" in printed
    assert "16 of 80,000 bits differ" in printed
    assert "unexplained: +0.0000" in printed


def test_rules_follow_the_name_of_a_file(file, capsys):
    printed = explained(capsys, f"{file}@k=100,order=database", f"{file}@k=50,order=argsort,area=trapezoids")
    assert [line.split()[0] for line in printed.splitlines()[4:7]] == ["k", "order", "area"]


def test_the_json_of_evaluate_is_a_side(kept, file, tmp_path, capsys):
    (tmp_path / "said.json").write_text(evaluate_file(Sources(str(file)), Reading(), Asked(ks=(100,), form="json")))
    said = json.loads(explained(capsys, f"{file}@k=20", tmp_path / "said.json", "--json"))
    assert [step["setting"] for step in said["steps"]] == ["k"]
    assert said["unexplained"] == pytest.approx(0, abs=1e-12)


def test_a_number_that_nothing_gives_has_its_nearest(file, capsys):
    printed = explained(capsys, file, "0.99999@k=100")
    assert "none gives 0.99999; the nearest:" in printed
    assert "What codes cannot show" in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mine.npz"], "explain takes two"),
        (["mine.npz", "a", "b"], "explain takes two"),
        (["0.5", "mine.npz"], "give the file first"),
        (["mine.npz", "nowhere.npz"], "nowhere.npz' is missing"),
        (["mine.npz", "nowhere.json"], "nowhere.json is missing"),
        (["mine.npz", "70.4"], "give it as a share"),
        (["mine.npz@kk=5", "0.5"], "a rule after @ must be one of k, labels"),
        (["mine.npz@k=x", "0.5"], "k must be a whole number of at least 1, or all, got 'x'"),
        (["mine.npz@order=sorted", "0.5"], "order must be one of"),
        (["mine.npz@area=trapezoids", "mine.npz"], "area=trapezoids is a rule for one ranking"),
        (["mine.npz", f"{QUICK}:digits-lsh"], "digits-lsh"),
    ],
)
def test_mistakes_are_told_in_one_sentence(file, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(file.parent)
    with pytest.raises(HashbenchError) as error:
        explained(capsys, *arguments)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
