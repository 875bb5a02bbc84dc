"""Splits as lists: what is written is read again, and what was changed is refused."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hashbench.artefacts.listed_split import read_listed
from hashbench.artefacts.split import write_split
from hashbench.artefacts.split_lists import FORMATS, header_of, write_lists
from hashbench.data.base import Dataset
from hashbench.errors import HashbenchError
from hashbench.types import Split

FOLDERS = ("txt", "hashnet")


def a_split(seed=0, n=40, c=4, *, leave_out=5):
    rng = np.random.default_rng(seed)
    rows = rng.permutation(n)[leave_out:].astype(np.int64)
    return Split("per_class_5_7_without_train", rows[:5], rows[12:], rows[5:12], rng.random((n, c)) < 0.4)


def files_of(n):
    return [f"part{row % 2}/im {row:03d}.jpg".replace(" ", "_") for row in range(n)]


def a_dataset(split, files):
    n, c = split.labels.shape
    images, fold = np.zeros((n, 2, 2, 3), np.uint8), np.zeros(n, np.int8)
    names = tuple(f"class{number}" for number in range(c))
    return Dataset("tiny", "Tiny", split.labels, names, fold, images, tuple(files))


def write(folder, split, files, form):
    target = folder / (form if form in FOLDERS else f"split.{form}")
    write_lists(target, split, files, form)
    return target


@given(seed=st.integers(0, 10**6), c=st.integers(1, 20), leave_out=st.integers(0, 20), with_files=st.booleans())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_format_is_read_as_the_split_that_was_written(tmp_path_factory, seed, c, leave_out, with_files):
    folder, split = tmp_path_factory.mktemp("lists"), a_split(seed, c=c, leave_out=leave_out)
    files = files_of(40) if with_files else []
    for form in FORMATS:
        found = read_listed(write(folder, split, files, form), a_dataset(split, files))
        assert found.digest == split.digest
        if form != "hashnet":
            assert read_listed(write(folder, split, files, form)).digest == split.digest
            assert found.name == split.name


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_says_the_digest(tmp_path, form):
    split = a_split()
    target = write(tmp_path, split, [], form)
    said = {"txt": target / "query.txt", "hashnet": target / "SPLIT.txt"}.get(form, target)
    text = str(np.load(said)["header"]) if form == "npz" else said.read_text().splitlines()[0]
    assert header_of(split) in text
    assert split.digest in text


def test_lines_are_what_other_programs_expect(tmp_path):
    split, files = a_split(), files_of(40)
    for form in FORMATS:
        write(tmp_path, split, files, form)
    first = split.query[0]
    shown = np.flatnonzero(split.labels[first]).tolist()
    name, *labels = (tmp_path / "hashnet" / "test.txt").read_text().splitlines()[0].split()
    assert name == files[first]
    assert [int(label) for label in labels] == split.labels[first].astype(int).tolist()
    row, classes, name = (tmp_path / "txt" / "query.txt").read_text().splitlines()[1].split("\t")
    assert (int(row), [int(each) for each in classes.split()], name) == (first, shown, files[first])
    lines = (tmp_path / "split.csv").read_text().splitlines()[1:]
    (line, *_) = csv.DictReader(lines)
    assert (line["part"], int(line["row"]), line["file"]) == ("query", first, files[first])
    assert np.load(tmp_path / "split.npz")["query"].tolist() == split.query.tolist()


@pytest.mark.parametrize("form", ["txt", "csv"])
def test_a_list_that_was_changed_is_not_the_split_that_it_names(tmp_path, form):
    target = write(tmp_path, a_split(), [], form)
    path = target / "train.txt" if form == "txt" else target
    lines = path.read_text().splitlines()
    lines[2], lines[3] = lines[3], lines[2]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(HashbenchError, match=r"says that it is the split of digest .*: it was changed"):
        read_listed(target)


def test_an_npz_that_was_changed_is_refused(tmp_path):
    target = write(tmp_path, a_split(), [], "npz")
    arrays = dict(np.load(target))
    arrays["labels"][3] ^= True
    np.savez(target, **arrays)
    with pytest.raises(HashbenchError, match="it was changed"):
        read_listed(target)


def test_lists_alone_number_their_items_by_first_appearance_and_keep_their_order(tmp_path):
    (tmp_path / "test.txt").write_text("b.jpg 1 0\na.jpg 0 1\n")
    (tmp_path / "train.txt").write_text("c.jpg 1 1\n")
    (tmp_path / "database.txt").write_text("d.jpg 0 1\nc.jpg 1 1\n")
    split = read_listed(tmp_path)
    assert (split.query.tolist(), split.train.tolist(), split.database.tolist()) == ([0, 1], [3], [2, 3])
    assert split.labels.tolist() == [[1, 0], [0, 1], [0, 1], [1, 1]]


def test_a_missing_database_list_is_all_but_the_queries_of_a_data_set(tmp_path):
    split, files = a_split(), files_of(40)
    target = write(tmp_path, split, files, "hashnet")
    (target / "database.txt").unlink()
    found = read_listed(target, a_dataset(split, files))
    assert sorted([*found.query, *found.database]) == list(range(40))
    with pytest.raises(HashbenchError, match=r"database\.txt is missing: name the data set by --dataset"):
        read_listed(target)


def test_a_split_file_is_read_as_it_is(tmp_path):
    write_split(tmp_path / "s.safetensors", a_split())
    assert read_listed(tmp_path / "s.safetensors").digest == a_split().digest


def spoil(text):
    def write_to(folder):
        (folder / "test.txt").write_text("a.jpg 1 0\n")
        (folder / "database.txt").write_text("b.jpg 1 0\n")
        (folder / "train.txt").write_text(text)

    return write_to


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("c.jpg 1 2\n", "train.txt, line 1: after an item's name come labels of 0 and 1"),
        ("3\tx\n", "train.txt, line 1: a row number, class numbers and a file"),
        ("3\t0\n", "names some items by row number and others by file"),
        ("c.jpg 1 0\nc.jpg 1 0\n", "train names a row twice"),
        ("b.jpg 0 1\n", "gives the item b.jpg other labels in one list than in another"),
        ("\n", "the list of the part train names no item"),
        ("a.jpg 1 0\n", "1 rows are both query and train"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, text, said):
    spoil(text)(tmp_path)
    with pytest.raises(HashbenchError) as error:
        read_listed(tmp_path)
    assert said in str(error.value)


@pytest.mark.parametrize("name", ["nothing", "x.csv", "x.npz", "x.txt"])
def test_what_is_no_list_is_refused_in_one_sentence(tmp_path, name):
    (tmp_path / "x.csv").write_text("part,row\nquery,1\n")
    (tmp_path / "x.npz").write_text("nothing")
    (tmp_path / "x.txt").write_text("a.jpg 1 0\n")
    with pytest.raises(HashbenchError) as error:
        read_listed(tmp_path / name)
    assert "\n" not in str(error.value)


def test_labels_and_items_must_be_those_of_the_data_set(tmp_path):
    split, files = a_split(), files_of(40)
    target = write(tmp_path, split, files, "hashnet")
    other = Split(split.name, split.query, split.database, split.train, ~split.labels)
    with pytest.raises(HashbenchError, match="query list: its labels are not those of the data set"):
        read_listed(target, a_dataset(other, files))
    with pytest.raises(HashbenchError, match="data set tiny has no item part"):
        read_listed(target, a_dataset(split, [f"z{row}.jpg" for row in range(40)]))


def said_of(path):
    """The sentence by which lists are refused, if they are."""
    try:
        return read_listed(path).name
    except HashbenchError as error:
        return str(error)


LINES = st.text(alphabet="0123456789 \t,#abq.jpg\n\rx/é\x00", max_size=60)


@given(texts=st.tuples(LINES, LINES, LINES))
@settings(max_examples=150, deadline=None)
def test_whatever_stands_in_a_list_ends_in_a_split_or_a_sentence(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("lists")
    for name, text in zip(("test", "train", "database"), texts, strict=True):
        (folder / f"{name}.txt").write_text(text, encoding="utf-8", newline="")
    (folder / "s.csv").write_text("part,row,labels\n" + "".join(texts), encoding="utf-8", newline="")
    for path in (folder, folder / "s.csv"):
        assert "\n" not in said_of(path)


def test_an_archive_cannot_ask_for_all_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("hashbench.artefacts.listed_split._MOST_BYTES", 1000)
    target = write(tmp_path, a_split(n=400), [], "npz")
    with pytest.raises(HashbenchError, match="refused as a bomb"):
        read_listed(target)


def test_a_list_cannot_ask_for_all_memory(tmp_path):
    spoil("999999999\t999999999\n")(tmp_path)
    for name in ("test", "database"):
        (tmp_path / f"{name}.txt").write_text(f"{len(name)}\t0\n")
    with pytest.raises(HashbenchError, match="no data set has as many of both"):
        read_listed(tmp_path)
