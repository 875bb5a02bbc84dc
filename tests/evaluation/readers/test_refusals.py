"""Every wrong or ambiguous file gets one sentence that names what, where, and what decides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from code_files import write_csv, write_mat, write_mat73, write_npz, write_parquet, write_pt
from scipy import sparse

from hashbench.errors import HashbenchError

RNG = np.random.default_rng(0)
QUERY, DATABASE = RNG.integers(0, 2, (6, 16), np.uint8), RNG.integers(0, 2, (40, 16), np.uint8)
QUERY_LABELS, DATABASE_LABELS = np.arange(6) % 4, np.arange(40) % 4
BYTES = {"query_codes": np.packbits(QUERY, axis=1), "db_codes": np.packbits(DATABASE, axis=1)}
ONE_BIT_BYTES = {"query_codes": QUERY[:, :2], "db_codes": DATABASE[:, :2]}
TEXTS = np.array([f"{row:04x}" for row in range(40)])


def arrays(**changes: Any) -> dict[str, Any]:
    """A good file's arrays with some replaced; one that is None is left out."""
    good = {"query_codes": QUERY, "db_codes": DATABASE, "query_labels": QUERY_LABELS, "db_labels": DATABASE_LABELS}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def with_value(array: np.ndarray, place: Any, value: Any) -> np.ndarray:
    changed = array.astype(float)
    changed[place] = value
    return changed


def hot(numbers: np.ndarray, classes: int = 4) -> np.ndarray:
    return np.eye(classes, dtype=np.uint8)[numbers]


def names(count: int, *places: tuple[int, str]) -> np.ndarray:
    texts = ["cat", "dog"] * (count // 2)
    for row, text in places:
        texts[row] = text
    return np.array(texts)


# What is wrong: the arrays of an .npz, the options, and what the sentence must say.
ARRAYS: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    "no database labels": (
        arrays(db_labels=None),
        [],
        ["codes.npz has no array with a usual name for database_labels", "query_codes, db_codes, query_labels",
         "--database-labels codes.npz:KEY"],
    ),
    "two names for one array": (
        arrays(retrieval_B=DATABASE),
        [],
        ["2 arrays with a usual name for database_codes, db_codes, retrieval_B", "--database-codes codes.npz:KEY"],
    ),
    "names that say nothing": (arrays(query_codes=None, arr_0=QUERY), [], ["arr_0", "--query-codes codes.npz:KEY"]),
    "train rows are no database by name": (
        arrays(db_codes=None, train_codes=DATABASE), [], ["usual name for database_codes", "train_codes"],
    ),
    "a key that is not there": (
        arrays(), ["--query-codes", ":qB"], ["no array 'qB' for --query-codes", "it has query_codes, db_codes"],
    ),
    "one array for codes and labels": (
        arrays(), ["--query-labels", ":query_codes"], ["query_codes and query_labels are both codes.npz:query_codes"],
    ),
    "codes exchanged": (
        arrays(query_codes=DATABASE, db_codes=QUERY),
        [],
        ["has 40 items as database_labels has", "6 items as query_labels has", "exchanged", "--query-codes"],
    ),
    "labels of the other file": (
        arrays(query_codes=DATABASE), [], ["(40, 16)", "its 40 items fit database_labels", "--query-codes"],
    ),
    "codes as columns": (
        arrays(query_codes=QUERY.T), [], ["(16, 6)", "its items are columns", "--transpose query-codes"],
    ),
    "labels as columns": (
        arrays(db_labels=hot(DATABASE_LABELS).T), [], ["(4, 40)", "columns", "--transpose database-labels"],
    ),
    "codes and labels as columns": (
        arrays(db_codes=DATABASE.T, db_labels=hot(DATABASE_LABELS).T, query_labels=hot(QUERY_LABELS)),
        [],
        ["the items of both are columns", "--transpose database-codes --transpose database-labels"],
    ),
    "everything as columns, as many bits as classes": (
        arrays(query_codes=QUERY.T[:4], db_codes=DATABASE.T[:4], query_labels=hot(QUERY_LABELS).T,
               db_labels=hot(DATABASE_LABELS).T),
        [],
        ["has 6 bits and database_codes", "40", "--transpose query-codes --transpose database-codes"],
    ),
    "transposing a vector": (
        arrays(), ["--transpose", "query-labels"], ["query_labels", "(6,)", "--transpose cannot turn it"],
    ),
    "a label too few": (arrays(db_labels=DATABASE_LABELS[1:]), [], ["40 items and 39 labels", "--database-labels"]),
    "bits differ": (arrays(query_codes=QUERY[:, :12]), [], ["has 12 bits and database_codes", "16", "--query-codes"]),
    "alphabets differ": (
        arrays(query_codes=QUERY * 2.0 - 1),
        [],
        ["holds -1 and +1, database_codes (codes.npz:db_codes) 0 and 1", "--binarize sign"],
    ),
    "zeros among -1 and +1": (
        arrays(query_codes=with_value(QUERY * 2.0 - 1, ([2, 4], [0, 1]), 0)),
        [],
        ["-1, +1 and 2 zeros, in 2 rows, the first 2, 4", "--binarize sign"],
    ),
    "real values": (
        arrays(query_codes=with_value(QUERY, (3, 0), 0.25)), [], ["holds 0.25", "row 3", "--binarize sign"],
    ),
    "0 and 255": (arrays(query_codes=QUERY * 255), [], ["holds 255", "0 and 1, or -1 and +1"]),
    "1 and 2": (arrays(query_codes=QUERY.astype(int) + 1), [], ["holds 2", "--packed BITS"]),
    "NaN": (arrays(query_codes=with_value(QUERY, 5, np.nan)), [], ["NaN or an infinity in row 5"]),
    "NaN under a sign": (
        arrays(query_codes=with_value(QUERY, 5, np.nan)), ["--binarize", "sign"], ["NaN or an infinity in row 5"],
    ),
    "outputs of a sigmoid": (
        arrays(query_codes=QUERY * 0.5 + 0.25), ["--binarize", "sign"], ["nothing below 0, 0.25 to 0.75", "sigmoid"],
    ),
    "bytes without a word": (arrays(**BYTES), [], ["packed bytes", "--packed BITS, 9 to 16"]),
    "bytes of another length": (arrays(**BYTES), ["--packed", "32"], ["2 numbers of uint8", "--packed 32", "4 bytes"]),
    "bytes with ones beyond": (
        arrays(**{name: value | 1 for name, value in BYTES.items()}),
        ["--packed", "12"],
        ["ones after the last of 12 bits in 6 rows, the first 0, 1", "--packed"],
    ),
    "bytes or bits": (
        arrays(**ONE_BIT_BYTES),
        ["--packed", "16"],
        ["holds 0 and 1 alone, 2 an item: unpacked bits, or bytes of --packed 16?"],
    ),
    "unpacked codes called packed": (arrays(), ["--packed", "16"], ["16 numbers of uint8", "leave --packed out"]),
    "packed fractions": (
        arrays(query_codes=BYTES["query_codes"] / 3, db_codes=BYTES["db_codes"]),
        ["--packed", "16"],
        ["packed codes must be whole numbers"],
    ),
    "packed real values": (arrays(), ["--packed", "16", "--binarize", "sign"], ["--packed and --binarize at once"]),
    "one number an item": (
        arrays(query_codes=np.arange(6), db_codes=np.arange(40)), [], ["one number an item", "--packed BITS"],
    ),
    "texts that are no hex": (
        arrays(query_codes=np.array(["12g4"] * 6), db_codes=TEXTS), [], ["no hex digits in 6 rows", "'12g4'"],
    ),
    "hex of two lengths": (
        arrays(query_codes=np.array(["1234"] * 5 + ["12"]), db_codes=TEXTS),
        [],
        ["2, 4 digits", "row 5", "leading zeros"],
    ),
    "hex or bits": (
        arrays(query_codes=np.array(["0101"] * 6), db_codes=np.array(["0011"] * 40)),
        [],
        ["texts of 0 and 1 alone, 4 an item, the first '0101'", "--packed 4 for 4 bits or --packed 16 for hex"],
    ),
    "hex of another length": (
        arrays(query_codes=TEXTS[:6], db_codes=TEXTS), ["--packed", "32"], ["4 hex digits", "13 to 16"],
    ),
    "hex with ones beyond": (
        arrays(query_codes=TEXTS[:6], db_codes=TEXTS), ["--packed", "15"], ["ones after the last of 15 bits in 3 rows"],
    ),
    "hex and bits": (arrays(query_codes=TEXTS[:6]), [], ["holds hex digits, database_codes", "0 and 1"]),
    "complex codes": (arrays(query_codes=QUERY * 1j), [], ["array of complex128"]),
    "three axes": (arrays(query_codes=QUERY[..., None]), [], ["(6, 16, 1)", "(items, columns)"]),
    "no query": (arrays(query_codes=QUERY[:0]), [], ["is empty, of shape (0, 16)"]),
    "too many bits": (
        arrays(query_codes=np.tile(QUERY, 65), db_codes=np.tile(DATABASE, 65)), [], ["1040 bits: 1 to 1024"],
    ),
    "one class or class numbers": (
        arrays(query_labels=QUERY_LABELS[:, None] % 2, db_labels=DATABASE_LABELS[:, None] % 2),
        [],
        ["(6, 1) holds 0 and 1 alone, the first [0], [1]", "--label-form class-numbers or one-hot"],
    ),
    "a form that cannot be": (
        arrays(), ["--label-form", "one-hot"], ["query_labels", "cannot be read as --label-form one-hot"],
    ),
    "one-hot beside class numbers": (
        arrays(query_labels=hot(QUERY_LABELS)), [], ["is one-hot, shape (6, 4)", "is class numbers", "--query-labels"],
    ),
    "other classes": (
        arrays(query_labels=hot(QUERY_LABELS, 5), db_labels=hot(DATABASE_LABELS)), [], ["has 5 classes", "columns"],
    ),
    "soft labels": (
        arrays(query_labels=with_value(hot(QUERY_LABELS), (3, 0), 0.5), db_labels=hot(DATABASE_LABELS)),
        [],
        ["holds 0.5 and other values in row 3", "one- or multi-hot"],
    ),
    "negative classes": (
        arrays(query_labels=QUERY_LABELS - 1), [], ["negative class numbers in 2 rows, the first 0, 4"],
    ),
    "classes that are no whole numbers": (
        arrays(db_labels=with_value(DATABASE_LABELS, 7, 2.5)), [], ["holds 2.5 and other fractions in row 7"],
    ),
    "class numbers beyond all": (
        arrays(db_labels=np.full(40, 2**63, np.uint64)), [], ["2**63", "40 rows, the first 0", "number them from 0"],
    ),
    "a label that is NaN": (arrays(db_labels=with_value(DATABASE_LABELS, 7, np.nan)), [], ["NaN", "row 7"]),
    "names beside numbers": (arrays(query_labels=names(6)), [], ["holds names and database_labels", "numbers"]),
    "an empty name": (arrays(query_labels=names(6, (2, " ")), db_labels=names(40)), [], ["no text in row 2"]),
    "a name with a separator": (
        arrays(query_labels=names(6, (2, "cat;dog")), db_labels=names(40)),
        [],
        ["several labels in row 2, the first 'cat;dog'", "--separator ';'", "--separator none"],
    ),
    "numbers with spaces": (
        arrays(query_labels=names(6, (4, "1 3")), db_labels=names(40)), [], ["row 4, the first '1 3'", "--separator"],
    ),
    "complex labels": (arrays(query_labels=QUERY_LABELS * 1j), [], ["labels must be bool, numbers or texts"]),
    "a radius beyond the bits": (arrays(), ["--radius", "17"], ["--radius 17 is beyond the 16 bits"]),
    "rows that are not the queries'": (
        arrays(rows=np.arange(6)), ["--query-rows", ":rows"], ["codes are not the query's, in 6 rows", "subtract 1"],
    ),
    "rows that count from 1": (
        arrays(query_codes=DATABASE[34:], rows=np.arange(35, 41)),
        ["--query-rows", ":rows"],
        ["outside 0 to 39 of the database in row 5", "subtract 1"],
    ),
    "too few rows": (arrays(rows=np.arange(5)), ["--query-rows", ":rows"], ["6 whole numbers, one a query, got 5"]),
    "rows without a key": (arrays(), ["--query-rows", "codes.npz"], ["say which holds the rows by --query-rows"]),
}  # fmt: skip


def refused(called: Callable[..., str], *arguments: str) -> str:
    with pytest.raises(HashbenchError) as error:
        called(*arguments)
    message = str(error.value)
    assert message.isprintable()
    assert len(message) < 600
    return message


@pytest.mark.parametrize("case", ARRAYS)
def test_arrays(case: str, tmp_path: Path, called: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    content, options, said = ARRAYS[case]
    write_npz(Path("codes.npz"), content)
    message = refused(called, "codes.npz", *options)
    for part in said:
        assert part in message


def test_there_are_as_many_kinds_as_promised() -> None:
    assert len(ARRAYS) + len(FILES) >= 40


def sparse_of_numbers(path: Path) -> None:
    labels = sparse.csr_matrix(hot(QUERY_LABELS) * 3.0)
    write_mat(path, arrays(query_labels=labels, db_labels=sparse.csr_matrix(hot(DATABASE_LABELS))))


def lists_of_both(path: Path) -> None:
    mixed = [[1], ["cat"]] * 3
    write_pt(path, arrays(query_labels=mixed, db_labels=[[1]] * 40))


def short_lists_of_0_and_1(path: Path) -> None:
    write_pt(path, arrays(query_labels=[[0, 1], [1, 0]] * 3, db_labels=[[0, 1], [1, 0]] * 20))


def ragged_codes(path: Path) -> None:
    write_pt(path, arrays(query_codes=[[0, 1], [1, 0, 1]] * 3))


def nothing(path: Path) -> None:
    pass


def text(path: Path) -> None:
    path.write_text("these are not the codes that you look for")


def empty_archive(path: Path) -> None:
    write_npz(path, {})


def pickled(path: Path) -> None:
    write_npz(path, arrays(db_codes=np.array([{}], dtype=object)))


def code_in_pt(path: Path) -> None:
    import torch

    torch.save({"query_codes": Path("x")}, path)


def missing_value(path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({"query_codes": pa.array(["ab", None])}), path)


def empty_cell(path: Path) -> None:
    path.write_text("0,1\n1,\n")


def column_twice(path: Path) -> None:
    path.write_text("codes,codes\n1,2\n")


def cut(write: Callable[[Path, Any], None]) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        write(path, arrays())
        path.write_bytes(path.read_bytes()[:-400])

    return make


FILES: dict[str, tuple[str, Callable[[Path], None], list[str]]] = {
    "not there": ("codes.npz", nothing, ["codes.npz", "is missing", ".safetensors"]),
    "a format that nobody knows": ("codes.xyz", text, ["codes.xyz", "of no known format", ".mat"]),
    "no archive": ("codes.npz", text, ["is no .npz file", "numpy.savez"]),
    "an archive of nothing": ("codes.npz", empty_archive, ["codes.npz"]),
    "pickled objects": ("codes.npz", pickled, ["cannot be read as plain arrays"]),
    "no MATLAB file": ("codes.mat", text, ["codes.mat cannot be read"]),
    "half a MATLAB file": ("codes.mat", cut(write_mat), ["codes.mat cannot be read"]),
    "half an HDF5 file": ("codes.mat", cut(write_mat73), ["codes.mat cannot be read"]),
    "no HDF5 file": ("codes.h5", text, ["codes.h5 cannot be read"]),
    "code in a PyTorch file": ("codes.pt", code_in_pt, ["other things than tensors", "can run code"]),
    "no PyTorch file": ("codes.pt", text, ["codes.pt holds other things than tensors", "or is damaged"]),
    "no safetensors": ("codes.safetensors", text, ["codes.safetensors cannot be read"]),
    "no Parquet file": ("codes.parquet", text, ["codes.parquet cannot be read"]),
    "a missing value": ("codes.parquet", missing_value, ["1 values of the column query_codes are missing"]),
    "an empty cell": ("codes.csv", empty_cell, ["empty cell in line 2, column 2"]),
    "a column twice": ("codes.csv", column_twice, ["names a column twice"]),
    "sparse labels of other values": ("codes.mat", sparse_of_numbers, ["6 values beyond 0 and 1, the first 3.0"]),
    "lists of numbers and texts": ("codes.pt", lists_of_both, ["hold numbers and texts"]),
    "lists or one-hot": ("codes.pt", short_lists_of_0_and_1, ["--label-form lists or one-hot", "[0, 1], [1, 0]"]),
    "codes of different lengths": ("codes.pt", ragged_codes, ["has rows of 2, 3 values"]),
}


@pytest.mark.parametrize("case", FILES)
def test_files(case: str, tmp_path: Path, called: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name, write, said = FILES[case]
    write(Path(name))
    message = refused(called, name)
    for part in said:
        assert part in message


def test_no_file_at_all(called: Any) -> None:
    message = refused(called, "--query-codes", "q.npy")
    assert "no file is named for database_codes, query_labels, database_labels" in message
    assert "--database-codes FILE[:KEY]" in message


def test_a_key_without_a_file(called: Any, tmp_path: Path) -> None:
    others = [part for name in ("database-codes", "query-labels", "database-labels") for part in (f"--{name}", "x.npy")]
    assert "names a key and no file" in refused(called, "--query-codes", ":qB", *others)


def test_a_line_of_names_that_is_taken_for_an_item(called: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in arrays().items():
        write_csv(Path(f"{name}.csv"), value)
    Path("query_labels.csv").write_text("kind\n" + "\n".join(names(6)))
    Path("db_labels.csv").write_text("\n".join(names(40)))
    options = ["--query-codes", "query_codes.csv", "--database-codes", "db_codes.csv"]
    options += ["--query-labels", "query_labels.csv", "--database-labels", "db_labels.csv"]
    assert "6 items and 7 labels" in (message := refused(called, *options))
    assert "is the first line a name?" in message


def test_a_parquet_file_of_codes_has_no_labels(called: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    write_parquet(Path("query.parquet"), {"codes": QUERY})
    assert "usual name for query_codes: it has codes" in refused(called, "query.parquet")
