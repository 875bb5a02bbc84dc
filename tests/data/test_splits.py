from __future__ import annotations

import argparse

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashbench.artefacts.split import write_split
from hashbench.commands import splits
from hashbench.data.base import one_hot
from hashbench.data.lists import published
from hashbench.data.splits import PROTOCOLS, Protocol, diff_splits, protocol
from hashbench.errors import HashbenchError


@pytest.fixture(scope="module")
def balanced(labelled):
    """60,000 rows of ten classes, stored class by class, the last 1,000 of each as test part: CIFAR-10's counts."""
    classes = np.repeat(np.arange(10), 6000)
    return labelled(one_hot(classes, 10), np.tile(np.arange(6000) >= 5000, 10))


def of_class(split, part):
    return split.labels[getattr(split, part)].sum(axis=0).tolist()


def includes_train(split):
    return bool(np.isin(split.train, split.database).all())


@pytest.mark.parametrize(
    ("name", "query", "train", "database", "train_in_database"),
    [
        ("cifar10_1000_5000_54000", 100, 500, 5400, False),
        ("cifar10_1000_5000_59000", 100, 500, 5900, True),
        ("cifar10_10000_50000_50000", 1000, 5000, 5000, True),
        ("cifar10_10000_5000_50000", 1000, 500, 5000, True),
        ("cifar10_official_10000_50000_50000", 1000, 5000, 5000, True),
        ("cifar10_official_5000_5000_50000", 500, 500, 5000, True),
    ],
)
def test_the_cifar10_protocols_have_their_counts_in_every_class(
    balanced, name, query, train, database, train_in_database
):
    split = protocol(name)(balanced, 0)
    assert split.name == name
    assert of_class(split, "query") == [query] * 10
    assert of_class(split, "train") == [train] * 10
    assert of_class(split, "database") == [database] * 10
    assert includes_train(split) == train_in_database
    if "official" in name:
        assert balanced.fold[split.query].all()
        assert not balanced.fold[split.database].any()


@pytest.mark.parametrize(
    "name", [name for name in PROTOCOLS if name.startswith("cifar10") and name != "cifar10_200_1000_4800"]
)
def test_the_same_seed_gives_the_same_rows_and_positions_say_nothing_of_labels(balanced, name):
    first, again, other = (protocol(name)(balanced, seed) for seed in (0, 0, 1))
    assert first.digest == again.digest != other.digest
    for part in ("query", "train", "database"):
        classes = first.labels[getattr(first, part)].argmax(axis=1)
        correlation = np.corrcoef(classes, np.arange(len(classes)))[0, 1]
        assert abs(correlation) < 5 / np.sqrt(len(classes))


def test_protocols_of_one_seed_draw_different_queries(balanced):
    a, b = (protocol(f"cifar10_1000_5000_{count}")(balanced, 0) for count in (54000, 59000))
    assert len(np.intersect1d(a.query, b.query)) < 100


def test_a_protocol_refuses_a_data_set_of_other_counts(balanced, labelled):
    with pytest.raises(HashbenchError, match=r"protocol digits_200_500_1097 on data set made: got 200 / 500 / 59,300"):
        protocol("digits_200_500_1097")(balanced, 0)
    short = labelled(one_hot(np.repeat([0, 1], [6000, 90]), 2))
    with pytest.raises(HashbenchError, match=r"needs 600 rows of class 'class 1', and there are 90"):
        protocol("cifar10_1000_5000_54000")(short, 0)
    several = labelled(np.ones((60000, 10), np.bool_))
    with pytest.raises(HashbenchError, match="one label a row"):
        protocol("cifar10_1000_5000_54000")(several, 0)
    with pytest.raises(HashbenchError, match="needs 15,000 rows, and there are 60"):
        protocol("mscoco_5000_10000_117218")(labelled(np.ones((60, 3), np.bool_)), 0)
    with pytest.raises(HashbenchError, match="query must be a non-empty"):
        protocol("official")(short, 0)


@pytest.mark.parametrize(
    ("name", "n"),
    [
        ("mscoco_5000_10000_117218", 122_218),
        ("mirflickr25k_2000_5000_23000", 25_000),
        ("mirflickr25k_1000_4000_20000", 25_000),
        ("mirflickr25k_2000_10000_18015", 20_015),
        ("nuswide10_5000_5000_181577", 186_577),
        ("nuswide10_5000_10500_181577", 186_577),
        ("nuswide81_5000_10000_218496", 223_496),
    ],
)
def test_random_protocols_have_the_published_counts(labelled, name, n):
    split = protocol(name)(labelled(np.ones((n, 1), np.bool_)), 0)
    query, train, database = (int(count) for count in name.split("_")[1:])
    assert (len(split.query), len(split.train), len(split.database)) == (query, train, database)
    assert includes_train(split) == (query + database == n)


@pytest.fixture(scope="module")
def nuswide21(labelled):
    """As many rows as NUS-WIDE-21, each with one to three concepts of very unequal frequency."""
    generator = np.random.default_rng(0)
    labels = generator.random((195_834, 21)) < np.geomspace(0.4, 0.02, 21)
    labels[np.arange(len(labels)), generator.integers(0, 21, len(labels))] = True
    return labelled(labels)


def test_nuswide21_fills_every_concepts_quota(nuswide21):
    split = protocol("nuswide21_2100_10500_193734")(nuswide21, 0)
    assert min(of_class(split, "query")) >= 100
    assert min(of_class(split, "train")) >= 500
    assert includes_train(split)
    assert split.digest == protocol("nuswide21_2100_10500_193734")(nuswide21, 0).digest


def test_nuswide21_names_a_concept_that_is_too_rare(nuswide21, labelled):
    labels = nuswide21.labels.copy()
    labels[300:, 7] = False
    with pytest.raises(HashbenchError, match="too few rows show 'class 7'"):
        protocol("nuswide21_2100_10500_193734")(labelled(labels), 0)


def test_imagenet100_takes_the_validation_images_as_queries(labelled):
    classes = np.concatenate([np.arange(128_503) % 100, np.arange(5000) % 100])
    dataset = labelled(one_hot(classes, 100), np.arange(133_503) >= 128_503)
    for name, train in (("imagenet100_5000_13000_128503", 130), ("imagenet100_5000_10000_128503", 100)):
        split = protocol(name)(dataset, 0)
        assert of_class(split, "query") == [50] * 100
        assert of_class(split, "train") == [train] * 100
        assert dataset.fold[split.query].all()
        assert includes_train(split)


def test_digit_mosaics_keep_their_query_part_apart(labelled):
    dataset = labelled(np.ones((1800, 10), np.bool_), np.arange(1800) >= 1500)
    split = protocol("digits_mosaic_200_500_1000")(dataset, 0)
    assert dataset.fold[split.query].all()
    assert not dataset.fold[split.database].any()
    assert not includes_train(split)


@given(
    sizes=st.lists(st.integers(9, 30), min_size=2, max_size=5),
    query=st.integers(1, 4),
    train=st.integers(1, 4),
    within=st.sampled_from(["with", "without"]),
    seed=st.integers(0, 100),
)
def test_counts_per_class_hold_for_any_sizes(labelled, sizes, query, train, within, seed):
    dataset = labelled(one_hot(np.repeat(np.arange(len(sizes)), sizes), len(sizes)))
    split = protocol(f"per_class_{query}_{train}_{within}_train")(dataset, seed)
    assert of_class(split, "query") == [query] * len(sizes)
    assert of_class(split, "train") == [train] * len(sizes)
    held_out = query if within == "with" else query + train
    assert of_class(split, "database") == [size - held_out for size in sizes]
    assert split.name.endswith(f"_{len(split.query)}_{len(split.train)}_{len(split.database)}")


def test_counts_of_rows_for_any_data_set(labelled):
    split = protocol("at_random_5_20_without_train")(labelled(np.ones((50, 2), np.bool_)), 0)
    assert split.name == "at_random_5_20_without_train_5_20_25"
    assert not includes_train(split)


def test_an_unknown_protocol_is_answered_with_the_known_ones():
    with pytest.raises(
        HashbenchError, match=r"unknown protocol 'cifar10_1' \(allowed: digits_200.*per_class_<query>_<train>"
    ):
        protocol("cifar10_1")


# Published lists


@pytest.fixture
def listed(labelled, tmp_path):
    files = ("train/cat/1.png", "train/dog/1.png", "test/cat/1.png", "test/dog/1.png", "test/dog/2.png")
    dataset = labelled(one_hot(np.array([0, 1, 0, 1, 1]), 2), files=files)

    def write(**lists: str) -> object:
        for name, content in lists.items():
            (tmp_path / f"{name}.txt").write_text(content)
        return protocol(f"lists:{tmp_path}")(dataset, 0)

    return write


def test_lists_name_rows_by_as_many_parts_of_the_path_as_needed(listed):
    split = listed(test="/a/b/test/cat/1.png 1 0\n", train="/a/train/cat/1.png\n", database="train/dog/1.png 0 1\n\n")
    assert (split.query.tolist(), split.train.tolist(), split.database.tolist()) == ([2], [0], [1])
    assert split.name.endswith("_1_1_1")


def test_labels_of_a_list_may_have_another_order_of_classes_but_must_agree(listed):
    train = "train/cat/1.png 0 1\ntrain/dog/1.png 1 0\n"
    assert len(listed(test="test/dog/2.png\n", train=train).train) == 2
    with pytest.raises(HashbenchError, match=r"train\.txt: its labels are not those of the data set"):
        listed(test="test/dog/2.png\n", train="train/cat/1.png 0 1\ntrain/dog/1.png 0 1\n")
    with pytest.raises(HashbenchError, match="a path and 2 labels of 0 or 1"):
        listed(test="test/dog/2.png\n", train="train/cat/1.png 0 1 1\n")


def test_a_list_that_names_an_unknown_file_or_is_missing_is_an_error(listed):
    with pytest.raises(HashbenchError, match=r"test\.txt line 2: the data set has no file x/cat/9\.png"):
        listed(test="test/dog/2.png\nx/cat/9.png\n", train="train/cat/1.png\n")
    with pytest.raises(HashbenchError, match=r"on data set made: 1 rows are both query and train|both query and"):
        listed(test="test/dog/2.png\n", train="test/dog/2.png\n", database="train/cat/1.png\n")


def test_lists_need_a_data_set_with_file_names(labelled, tmp_path):
    with pytest.raises(HashbenchError, match="this data set has none"):
        protocol(f"lists:{tmp_path}")(labelled(np.ones((5, 1), np.bool_)), 0)


@pytest.fixture
def authors(server, monkeypatch, tmp_path):
    """Two authors' lists on a server in place of GitHub; the data folder is empty."""
    monkeypatch.setattr("hashbench.data.lists._GITHUB", server.url)
    monkeypatch.setenv("HASHBENCH_DATA", str(tmp_path / "data"))
    server.add("thuml/Hash/c0ffee/data/coco/test.txt", b"/home/x/val2014/2.jpg 0 1\n")
    server.add("thuml/Hash/c0ffee/data/coco/train.txt", b"/home/x/train2014/0.jpg 1 0\n")
    server.add("thuml/Hash/c0ffee/data/coco/rest%20of%20it.txt", b"/home/x/train2014/1.jpg 1 1\n")
    return server


@pytest.mark.parametrize(("lists", "database"), [({}, [0, 1]), ({"database": "rest of it.txt"}, [1])])
def test_lists_that_authors_published_are_fetched_once_and_found_offline(
    authors, labelled, monkeypatch, lists, database
):
    files = ("train2014/0.jpg", "train2014/1.jpg", "val2014/2.jpg")
    dataset = labelled(np.array([[1, 0], [1, 1], [0, 1]], np.bool_), files=files)
    draw = published("thuml/Hash", "c0ffee", "data/coco", test="test.txt", train="train.txt", **lists)
    query, train, rest = draw(dataset, np.random.default_rng(0))
    assert (query.tolist(), train.tolist(), sorted(rest.tolist())) == ([2], [0], database)
    monkeypatch.setenv("HASHBENCH_OFFLINE", "1")
    asked = len(authors.requests)
    assert draw(dataset, np.random.default_rng(0))[0].tolist() == [2]
    assert len(authors.requests) == asked
    with pytest.raises(HashbenchError, match=r"(?s)lists/other/coco/test\.txt .*is missing .*train\.txt .*is missing"):
        published("thuml/Other", "c0ffee", "data/coco", test="test.txt", train="train.txt")(dataset, None)


def test_a_photograph_that_is_there_twice_is_not_guessed(labelled, tmp_path):
    files = ("sea/0001_77.jpg", "sky/0002_77.jpg", "zoo/0003_5.jpg", "zoo/0004_6.jpg")
    dataset = labelled(np.ones((4, 1), np.bool_), files=files)
    (tmp_path / "test.txt").write_text("images/9_5_0a1b2c_m.jpg\n")
    (tmp_path / "train.txt").write_text("images/8_77_0a1b2c_m.jpg\n")
    with pytest.raises(HashbenchError, match=r"train\.txt line 1: the data set has no file images/8_77"):
        protocol(f"lists:{tmp_path}")(dataset, 0)


# What holds for every split


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_protocol_that_leaves_rows_in_the_order_of_their_labels_is_refused(labelled, part):
    dataset = labelled(one_hot(np.repeat(np.arange(10), 300), 10))

    def draw(_, generator):
        rows = [generator.permutation(np.arange(start, 3000, 3)) for start in range(3)]
        rows[part] = np.sort(rows[part])
        return rows[0], rows[1], rows[2]

    with pytest.raises(HashbenchError, match="protocol mine_1000_1000_1000: rows lie in the order of their labels"):
        Protocol("mine", "mine", None, draw)(dataset, 0)


def test_a_draw_that_misses_a_count_per_class_is_refused(labelled, monkeypatch):
    dataset = labelled(one_hot(np.repeat(np.arange(3), 30), 3))
    monkeypatch.setattr(
        "hashbench.data.drawing._shuffled_classes", lambda *_: [np.arange(9), np.arange(9, 20), np.arange(60, 70)]
    )
    with pytest.raises(HashbenchError, match="drew other than 4 rows of each class"):
        protocol("per_class_4_5_with_train")(dataset, 0)


# diff


def test_diff_of_equal_splits_says_so(balanced):
    split = protocol("cifar10_1000_5000_54000")(balanced, 0)
    assert "equal: same rows, same order, same labels" in diff_splits(split, split)


def test_diff_counts_the_rows_that_differ_part_by_part(labelled):
    from hashbench.types import Split

    labels = np.eye(6, 2, dtype=np.bool_)
    rows = {"query": [0, 1], "train": [2, 3], "database": [2, 3, 4]}
    a = Split("a", labels=labels, **{part: np.array(value) for part, value in rows.items()})
    changed = {**rows, "train": [3, 2], "database": [2, 4, 5]}
    other_labels = labels.copy()
    other_labels[5] = True
    b = Split("b", labels=other_labels, **{part: np.array(value) for part, value in changed.items()})
    text = diff_splits(a, b)
    assert "query: equal" in text
    assert "train: same rows in another order" in text
    assert "database: 2 rows in both, 1 only in a, 1 only in b" in text
    assert "labels: differ in 1 of 6 rows" in text
    assert "2 / 2 / 3 query / train / database, all of train in the database" in text
    assert "50.0% of train in the database" in text
    c = Split("c", labels=np.ones((6, 3), np.bool_), **{part: np.array(value) for part, value in rows.items()})
    assert "6 rows of 2 classes in a, 6 rows of 3 classes in b" in diff_splits(a, c)


def test_the_command_compares_split_files(balanced, tmp_path, capsys):
    paths = []
    for seed in (0, 1):
        paths.append(tmp_path / f"{seed}.safetensors")
        write_split(paths[-1], protocol("cifar10_1000_5000_54000")(balanced, seed))
    compare(paths[0], paths[0])
    assert "equal: same rows, same order, same labels" in capsys.readouterr().out
    compare(paths[0], paths[1])
    out = capsys.readouterr().out
    assert "a: cifar10_1000_5000_54000, digest" in out
    assert "only in a" in out
    assert "labels: equal" in out
    with pytest.raises(HashbenchError, match=r"nowhere\.safetensors"):
        compare(paths[0], tmp_path / "nowhere.safetensors")


def compare(a, b):
    splits.run(argparse.Namespace(action="diff", a=a, b=b))
