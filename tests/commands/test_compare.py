"""`hashbench compare` and `hashbench plot`: what they print, draw and refuse."""

from __future__ import annotations

import argparse
import csv
import json

import numpy as np
import pytest

from hashbench.commands import compare, plot
from hashbench.commands.options import named_files
from hashbench.errors import HashbenchError
from hashbench.evaluation import evaluate

LABELS = np.arange(12) % 3, np.arange(60) % 3


def parsed(command, *arguments):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args([str(each) for each in arguments])


def codes(seed, bits=16):
    """Codes that say the class with some noise."""
    rng = np.random.default_rng(seed)
    words = np.random.default_rng(9).integers(0, 2, (3, bits))
    return [words[labels] ^ (rng.random((len(labels), bits)) < 0.25 + 0.05 * seed) for labels in LABELS]


@pytest.fixture
def files(tmp_path):
    for seed in range(3):
        query, database = codes(seed)
        labels = {"query_labels": LABELS[0], "db_labels": LABELS[1]}
        np.savez(tmp_path / f"run{seed}.npz", query_codes=query, db_codes=database, **labels)
    return [tmp_path / f"run{seed}.npz" for seed in range(3)]


def test_json_holds_the_numbers_of_evaluate(files, capsys):
    compare.run(parsed(compare, files[0], files[1], "--k", "20", "--json"))
    said = json.loads(capsys.readouterr().out)
    ap = [evaluate(*codes(seed), *LABELS, k=20).ap for seed in range(2)]
    (pair,) = said["comparisons"]
    assert (pair["a"], pair["b"]) == ("run0", "run1")
    assert pair["difference"] == pytest.approx(float((ap[0] - ap[1]).mean()))
    assert pair["ci95"][0] <= pair["difference"] <= pair["ci95"][1]
    lead = np.sign(pair["difference"])
    assert sorted(pair["flips"]) == np.flatnonzero((ap[0] - ap[1]) * lead < -1e-12).tolist()
    for each in pair["classes"]:
        of_class = LABELS[0] == int(each["name"])
        assert each["map_a"] == pytest.approx(float(ap[0][of_class].mean()))
    assert said["methods"]["run1"]["map"] == pytest.approx(float(ap[1].mean()))


def test_files_of_one_name_are_repetitions(files, capsys):
    compare.run(parsed(compare, f"mine={files[0]}", f"mine={files[1]}", f"theirs={files[2]}", "--json"))
    said = json.loads(capsys.readouterr().out)
    maps = [evaluate(*codes(seed), *LABELS).map for seed in range(3)]
    assert said["methods"]["mine"]["map"] == pytest.approx(np.mean(maps[:2]))
    assert said["comparisons"][0]["difference"] == pytest.approx(np.mean(maps[:2]) - maps[2])


def test_the_table_says_the_difference_the_classes_and_the_flips(files, capsys):
    compare.run(parsed(compare, *files))
    text = capsys.readouterr().out
    for pair in ("run0 - run1", "run0 - run2", "run1 - run2"):
        assert f"{pair}: " in text
    assert "corrected for all pairs (Holm)" in text
    assert "queries  difference" in text
    assert "better on" in text


def test_mistakes_are_told_in_one_sentence(files, tmp_path):
    with pytest.raises(HashbenchError, match="there is one method, mine: compare takes"):
        compare.run(parsed(compare, f"mine={files[0]}", f"mine={files[1]}"))
    with pytest.raises(HashbenchError, match="stands twice"):
        named_files([str(files[0]), f"again={files[0]}"])
    with pytest.raises(HashbenchError, match="have the same name; tell them apart by NAME=FILE"):
        named_files(["one/run.npz", "other/run.npz"])


def test_a_file_with_an_equals_sign_in_its_name_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bits=16.npz").touch()
    assert list(named_files(["bits=16.npz"])) == ["bits=16"]


@pytest.mark.parametrize(("ending", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_plot_draws_the_same_picture_every_time(files, tmp_path, ending, start, capsys):
    pictures = [tmp_path / f"{number}.{ending}" for number in (1, 2)]
    for picture in pictures:
        plot.run(parsed(plot, *files, "--out", picture))
    assert pictures[0].read_bytes().startswith(start)
    assert pictures[0].read_bytes() == pictures[1].read_bytes()
    assert capsys.readouterr().out.splitlines() == [str(picture) for picture in pictures]


def test_the_points_are_those_of_evaluate_and_the_mean_of_repetitions(files, tmp_path):
    plot.run(parsed(plot, f"a={files[0]}", f"a={files[1]}", "--out", tmp_path / "points.csv"))
    lines = list(csv.DictReader((tmp_path / "points.csv").read_text().splitlines()))
    found = [evaluate(*codes(seed), *LABELS, ranks=[1, 60]) for seed in range(2)]
    at = {float(line["x"]): float(line["y"]) for line in lines if line["panel"] == "precision_at_k"}
    for place, rank in enumerate((1, 60)):
        assert at[rank] == pytest.approx(np.mean([each.precision_at[place] for each in found]))
    by_radius = [float(line["y"]) for line in lines if line["panel"] == "pr_by_radius"]
    assert by_radius == pytest.approx(np.mean([each.radius_precision for each in found], axis=0).tolist())


def test_curves_of_another_split_are_drawn_with_a_note_and_never_averaged(files, tmp_path, capsys):
    arrays = dict(np.load(files[1]))
    np.savez(files[1], **(arrays | {"query_labels": arrays["query_labels"][::-1]}))
    plot.run(parsed(plot, *files[:2], "--out", tmp_path / "c.csv"))
    assert "note: run0 and run1 are of different splits (queries whose labels differ" in capsys.readouterr().out
    with pytest.raises(HashbenchError, match="are of different splits"):
        plot.run(parsed(plot, f"a={files[0]}", f"a={files[1]}", "--out", tmp_path / "c.csv"))
    with pytest.raises(HashbenchError, match="are of different splits"):
        compare.run(parsed(compare, *files[:2]))


def test_a_picture_of_another_kind_is_refused(files, capsys):
    with pytest.raises(SystemExit):
        parsed(plot, files[0], "--out", "curves.gif")
    assert "'curves.gif' must end in .svg, .png, .pdf or .csv" in capsys.readouterr().err
