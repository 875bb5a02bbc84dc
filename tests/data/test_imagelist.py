"""Folders and zips of images that lists describe."""

from __future__ import annotations

import numpy as np
import pytest

from hashbench.data import imagelist
from hashbench.data.images import BadImageError
from hashbench.data.splits import protocol
from hashbench.errors import HashbenchError

NUMBERED = {
    "test.txt": "../some/where/b/1.jpg 1 1\n",
    "train.txt": "../some/where/a/1.jpg 0 1\n../some/where/b/2.jpg 1 0\n",
    "database.txt": "a/3.jpg 1 0\nb/2.jpg 1 0\n",
}
NAMED = {
    "test.csv": "file,labels\nb/1.jpg,traffic light;cat\n",
    "train.csv": "file,labels\na/1.jpg,cat\nb/2.jpg,traffic light\n",
    "database.csv": 'file,labels\na/3.jpg,"traffic light"\nb/2.jpg,traffic light\n',
}


@pytest.fixture
def place(source, jpeg, zipped):
    """`place(lists)`: images in a folder and in a zip, and a folder of lists; the data folder."""
    folder = source.folders[0]
    images = {f"{part}/{n}.jpg": jpeg(n) for part in ("a", "b") for n in (1, 2, 3)}

    def put(lists):
        for name, content in images.items():
            (folder / "set/images" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "set/images" / name).write_bytes(content)
        (folder / "set/images.zip").write_bytes(zipped(images))
        for name, text in lists.items():
            (folder / "set/lists" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "set/lists" / name).write_text(text)
        return folder

    return put


def load(source, lists="set/lists", images="set/images", **options):
    return imagelist.load(source, images, lists, **options)


@pytest.mark.parametrize("images", ["set/images", "set/images.zip"])
def test_lists_of_numbers_say_what_images_show_and_which_are_the_test_part(source, place, images):
    place({name: text.replace("../some/where/", "") for name, text in NUMBERED.items()})
    dataset = load(source, images=images, classes=["cat", "traffic light"])
    assert dataset.files == ("b/1.jpg", "a/1.jpg", "b/2.jpg", "a/3.jpg")
    assert dataset.labels.astype(int).tolist() == [[1, 1], [0, 1], [1, 0], [1, 0]]
    assert dataset.fold.tolist() == [1, 0, 0, 0]
    assert dataset.class_names == ("cat", "traffic light")
    np.testing.assert_array_equal(dataset.images[0], dataset.images[1])  # 1.jpg of both folders is the same picture


def test_names_in_a_csv_say_the_same(source, place):
    place(NAMED)
    dataset = load(source)
    assert dataset.class_names == ("cat", "traffic light")
    assert dataset.labels.astype(int).tolist() == [[1, 1], [1, 0], [0, 1], [0, 1]]
    assert load(source, "set/lists/train.csv").fold.tolist() == [0, 0]


@pytest.mark.parametrize("lists", [NUMBERED, NAMED])
def test_a_listed_split_is_that_of_the_lists(source, place, lists):
    folder = place({name: text.replace("../some/where/", "") for name, text in lists.items()})
    dataset = load(source)
    split = protocol(f"lists:{folder / 'set/lists'}")(dataset, 0)
    parts = ({dataset.files[row] for row in part} for part in (split.query, split.train, split.database))
    assert list(parts) == [{"b/1.jpg"}, {"a/1.jpg", "b/2.jpg"}, {"a/3.jpg", "b/2.jpg"}]


def test_published_paths_are_found_by_their_last_parts(source, place):
    place({"train.txt": NUMBERED["train.txt"]})
    dataset = load(source, "set/lists/train.txt")
    assert dataset.class_names == ("0", "1")
    assert len(dataset) == 2


@pytest.mark.parametrize(
    ("lists", "options", "said"),
    [
        ({"train.txt": "a/1.jpg 0 1\na/2.jpg 0\n"}, {}, "train.txt line 2: expected a path and 2 labels of 0 or 1"),
        ({"train.txt": "a/1.jpg 0 2\n"}, {}, "train.txt line 1: expected a path and 2 labels of 0 or 1"),
        ({"train.txt": "a/1.jpg\n"}, {}, "its lists must all name the labels, or all have as many 0s and 1s a line"),
        ({"train.txt": "\n"}, {}, "train.txt is empty"),
        ({"train.txt": "a/1.jpg 1\n", "test.csv": "file,labels\na/2.jpg,cat\n"}, {}, "must all name the labels"),
        ({"train.txt": "a/1.jpg 1\n", "test.txt": "a/2.jpg 1 0\n"}, {}, "must all name the labels"),
        ({"train.txt": "a/1.jpg 1\n", "train.csv": "file,labels\n"}, {}, "has both train.txt and train.csv"),
        ({"train.txt": "a/1.jpg 1\n", "test.txt": "a/1.jpg 0\n"}, {}, "a/1.jpg has other labels in one list than in"),
        ({"train.txt": "a/1.jpg 1 0\n"}, {"classes": ["cat"]}, "its lines have 2 labels; `classes` must be as many"),
        ({"train.txt": "a/1.jpg 1 0\n"}, {"classes": ["a", "a"]}, "`classes` must be as many different names"),
        ({"train.csv": "file,labels\na/1.jpg,a\n"}, {"classes": ["a"]}, "leave the option `classes` out"),
        ({"train.csv": "path,labels\n"}, {}, "its first line must be 'file,labels', got 'path,labels'"),
        ({"train.csv": "file,labels\na/1.jpg,a,b\n"}, {}, "line 2: expected a file and its labels, got 3 columns"),
        ({"train.csv": ""}, {}, "its first line must be 'file,labels', got ''"),
        ({"notes.txt": "a/1.jpg 1\n"}, {}, "is no list (.txt or .csv) and no folder with lists of test, train or"),
    ],
)
def test_lists_that_leave_a_question_are_refused_in_a_sentence(source, place, lists, options, said):
    place(lists)
    with pytest.raises(HashbenchError) as error:
        load(source, **options)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_listed_image_that_is_nowhere_is_named_or_left_out(source, place):
    place({"train.txt": "a/1.jpg 1\na/9.jpg 1\n"})
    with pytest.raises(BadImageError, match=r"set/images/a/9\.jpg: image missing, one of 1"):
        load(source)
    assert load(source, on_bad_image="skip").files == ("a/1.jpg",)


def test_what_is_not_there_is_asked_for_at_once(source):
    with pytest.raises(HashbenchError, match=r"(?s)set/images is missing; put there the folder.*set/lists is missing"):
        load(source)
