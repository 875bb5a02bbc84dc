"""Arrays are found by the names that people give them, and what was found is told."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from code_files import write_h5, write_mat, write_npz

from hashbench.errors import HashbenchError
from hashbench.evaluation.readers import Sources, read_items
from hashbench.evaluation.readers.names import USUAL
from hashbench.evaluation.readers.request import ROLES

QUERY, DATABASE = np.eye(4, 6, dtype=np.uint8), np.eye(5, 6, dtype=np.uint8)
VALUES = (QUERY, DATABASE, np.arange(4), np.arange(5))


@pytest.mark.parametrize(
    "names",
    [
        ("query_codes", "database_codes", "query_labels", "database_labels"),
        ("query_codes", "db_codes", "query_labels", "db_labels"),
        ("qB", "rB", "qL", "rL"),
        ("queryB", "retrievalB", "queryL", "retrievalL"),
        ("query_B", "retrieval_B", "query_L", "retrieval_L"),
        ("B_te", "B_db", "L_te", "L_db"),
        ("tst_binary", "database_binary", "tst_label", "database_label"),
        ("test_codes", "db_codes", "test_labels", "db_labels"),
        ("B_test", "B_base", "y_test", "y_base"),
        ("QueryHash", "GalleryHash", "QueryTargets", "GalleryTargets"),
        ("q_b", "re_B", "q_l", "re_L"),
    ],
)
def test_usual_names(tmp_path: Path, names: tuple[str, ...]) -> None:
    write_npz(tmp_path / "codes.npz", dict(zip(names, VALUES, strict=True)))
    items = read_items(str(tmp_path / "codes.npz"))
    assert (items.query_codes.unpack() == QUERY).all()
    assert (items.database_codes.unpack() == DATABASE).all()
    assert items.query_labels.tolist() == [0, 1, 2, 3]
    assert items.database_labels.tolist() == [0, 1, 2, 3, 4]
    for name, told in zip(names, items.told.values(), strict=True):
        assert told.startswith(f"codes.npz:{name} (")


def test_no_name_is_usual_for_two_arrays() -> None:
    for one, other in combinations(ROLES, 2):
        assert not USUAL[one] & USUAL[other]


def test_a_struct_and_a_group_are_looked_into(tmp_path: Path) -> None:
    write_mat(tmp_path / "codes.mat", {"out": np.zeros(1), "qB": QUERY, "rB": DATABASE, "qL": VALUES[2]})
    from scipy import io

    io.savemat(tmp_path / "struct.mat", {"out": {"qB": QUERY, "rB": DATABASE, "qL": [[0, 1, 2, 3]], "rL": VALUES[3]}})
    write_h5(tmp_path / "codes.h5", dict(zip(("qB", "rB", "qL", "rL"), VALUES, strict=True)))
    for file, place in (("struct.mat", "out.qB"), ("codes.h5", "out/qB")):
        items = read_items(str(tmp_path / file))
        assert items.told["query_codes"].startswith(f"{file}:{place} (")
        assert items.query_labels.tolist() == [0, 1, 2, 3]


def test_keys_that_say_nothing_are_named_by_options(tmp_path: Path, called: Callable[..., str]) -> None:
    write_npz(tmp_path / "a:b.npz", {"x": QUERY, "y": DATABASE, "u": VALUES[2]})
    np.save(tmp_path / "labels.npy", VALUES[3])
    file = str(tmp_path / "a:b.npz")
    options = ["--query-codes", ":x", "--database-codes", f"{file}:y", "--query-labels", ":u"]
    printed = called(file, *options, "--database-labels", str(tmp_path / "labels.npy"))
    assert "database codes   a:b.npz:y (5, 6), 0 and 1" in printed
    assert "database labels  labels.npy (5,), class numbers" in printed


def test_where_an_option_says_the_part_the_content_is_name_enough(tmp_path: Path) -> None:
    write_npz(tmp_path / "q.npz", {"B": QUERY, "L": VALUES[2], "features": QUERY * 0.3})
    write_npz(tmp_path / "db.npz", {"B": DATABASE, "L": VALUES[3], "features": DATABASE * 0.3})
    query, database = str(tmp_path / "q.npz"), str(tmp_path / "db.npz")
    named = dict(zip(ROLES, (query, database, query, database), strict=True))
    assert (read_items(Sources(None, named)).query_codes.unpack() == QUERY).all()


def test_one_set_may_be_queries_and_database(tmp_path: Path) -> None:
    write_npz(tmp_path / "all.npz", {"B": DATABASE, "L": VALUES[3]})
    items = read_items(Sources(None, dict.fromkeys(ROLES, str(tmp_path / "all.npz"))))
    assert (items.query_codes.packed == items.database_codes.packed).all()


def test_a_key_with_control_characters_is_printed_without_them(tmp_path: Path) -> None:
    write_npz(tmp_path / "codes.npz", {"\x1b[2Jkey": QUERY})
    with pytest.raises(HashbenchError, match="usual name") as error:
        read_items(str(tmp_path / "codes.npz"))
    assert str(error.value).isprintable()
