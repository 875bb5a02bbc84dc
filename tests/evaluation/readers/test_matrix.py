"""The same four queries through every format, alphabet and form of labels: the same numbers to 1e-12."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from code_files import FORMATS, write_items
from scipy import sparse

from hashbench.commands import evaluate as subcommand
from hashbench.evaluation import evaluate

N_QUERY, N_DATABASE, BITS, CLASSES = 4, 9, 12, 4
RNG = np.random.default_rng(3)
CODES = {"query": RNG.random((N_QUERY, BITS)) < 0.5, "database": RNG.random((N_DATABASE, BITS)) < 0.5}
NUMBERS = {"query": np.array([0, 1, 2, 3]), "database": np.array([0, 1, 2, 0, 1, 2, 0, 3, 2])}
# Each item has the class of its number, and every third item another one too.
SETS = {
    part: [sorted({int(number), *([(int(number) + 1) % CLASSES] if row % 3 == 0 else [])})
           for row, number in enumerate(numbers)]
    for part, numbers in NUMBERS.items()
}  # fmt: skip
NAMES = np.array(["polar bear", "cat", "Straße", "dog"])


def multi_hot(part: str) -> np.ndarray:
    return np.array([[label in labels for label in range(CLASSES)] for labels in SETS[part]])


def packed(bits: np.ndarray) -> np.ndarray:
    return np.packbits(bits, axis=1)


def hexadecimal(bits: np.ndarray) -> np.ndarray:
    return np.array([row.tobytes().hex()[: BITS // 4] for row in packed(bits)])


def real(bits: np.ndarray) -> np.ndarray:
    return np.where(bits, 0.25, -1.5)


ALPHABETS: dict[str, tuple[Any, list[str]]] = {
    "bool": (lambda bits: bits, []),
    "uint8": (lambda bits: bits.astype(np.uint8), []),
    "int64": (lambda bits: bits.astype(np.int64), []),
    "float32": (lambda bits: bits.astype(np.float32), []),
    "int8 of -1 and +1": (lambda bits: np.where(bits, 1, -1).astype(np.int8), []),
    "float64 of -1 and +1": (lambda bits: np.where(bits, 1.0, -1.0), []),
    "real": (real, ["--binarize", "sign"]),
    "float32 real": (lambda bits: real(bits).astype(np.float32), ["--binarize", "sign"]),
    "packed": (packed, ["--packed", str(BITS)]),
    "hex": (hexadecimal, []),
}
SINGLE: dict[str, tuple[Any, list[str]]] = {
    **{
        dtype: (lambda part, dtype=dtype: NUMBERS[part].astype(dtype), [])
        for dtype in ("uint8", "int16", "int32", "uint64", "int64", "float32", "float64")
    },
    "column": (lambda part: NUMBERS[part][:, np.newaxis], []),
    "one-hot uint8": (lambda part: np.eye(CLASSES, dtype=np.uint8)[NUMBERS[part]], []),
    "one-hot bool": (lambda part: np.eye(CLASSES, dtype=np.bool_)[NUMBERS[part]], []),
    "one-hot float": (lambda part: np.eye(CLASSES)[NUMBERS[part]], []),
    "sparse": (lambda part: sparse.csr_matrix(np.eye(CLASSES)[NUMBERS[part]]), []),
    "names": (lambda part: NAMES[NUMBERS[part]], []),
}
MULTI: dict[str, tuple[Any, list[str]]] = {
    "multi-hot": (lambda part: multi_hot(part).astype(np.int32), []),
    "multi-hot float": (lambda part: multi_hot(part).astype(np.float64), []),
    "sparse": (lambda part: sparse.csc_matrix(multi_hot(part).astype(float)), []),
    "lists": (lambda part: SETS[part], []),
    "texts": (lambda part: np.array(["; ".join(NAMES[labels]) for labels in SETS[part]]), ["--separator", ";"]),
}
TEXT = set(FORMATS) - {"safetensors"}
SPARSE = {"mat", "mat73", "pt"}
LISTS = {"mat", "mat73", "pt", "parquet"}


def numbers_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    subcommand.add_arguments(parser)
    subcommand.run(parser.parse_args([*arguments, "--k", "5", "--format", "json"]))
    (numbers,) = json.loads(capsys.readouterr().out)["evaluations"]
    return numbers


def check(folder: Path, how: str, codes: Any, labels: Any, options: list[str], expected: Any, capsys: Any) -> None:
    arrays = {f"{part}_codes": codes(CODES[part]) for part in CODES} | {
        f"{part}_labels": labels(part) for part in CODES
    }
    order = ("query_codes", "database_codes", "query_labels", "database_labels")
    found = numbers_of([*write_items(folder, how, {name: arrays[name] for name in order}), *options], capsys)
    for name in ("map", "map_optimistic", "map_pessimistic"):
        assert found[name] == pytest.approx(getattr(expected, name), abs=1e-12)
    assert found["ndcg"] == pytest.approx(expected.mean_ndcg, abs=1e-12)
    for name in ("precision_at", "recall_at", "radius_precision", "radius_recall"):
        assert found[name] == pytest.approx(getattr(expected, name).tolist(), abs=1e-12)
    assert found["n_bits"] == BITS
    assert found["relevant_histogram"] == expected.relevant_histogram.tolist()


def expected_of(labels: Any) -> Any:
    return evaluate(CODES["query"], CODES["database"], labels("query"), labels("database"), k=5)


def test_the_toy_is_not_one_of_those_that_any_reading_gets_right(brute_force: Any) -> None:
    distance = (CODES["query"][:, np.newaxis] != CODES["database"]).sum(axis=2)
    relevant = NUMBERS["query"][:, np.newaxis] == NUMBERS["database"]
    by_hand = [brute_force(d, r).ap(5, "relevant_in_top_k") for d, r in zip(distance, relevant, strict=True)]
    assert expected_of(NUMBERS.get).ap == pytest.approx(by_hand, abs=1e-12)
    assert expected_of(NUMBERS.get).map != pytest.approx(expected_of(multi_hot).map, abs=1e-3)


def formats_of(kinds: Any) -> list[Any]:
    """(format, kind) of all that a format can hold."""
    holds = {"hex": TEXT, "names": TEXT, "texts": TEXT, "sparse": SPARSE, "lists": LISTS}
    return [(how, kind) for kind in kinds for how in FORMATS if how in holds.get(kind, FORMATS)]


@pytest.mark.parametrize(("how", "alphabet"), formats_of(ALPHABETS))
def test_alphabets(tmp_path: Path, how: str, alphabet: str, capsys: pytest.CaptureFixture[str]) -> None:
    codes, options = ALPHABETS[alphabet]
    check(tmp_path, how, codes, NUMBERS.get, options, expected_of(NUMBERS.get), capsys)


@pytest.mark.parametrize(("how", "form"), formats_of(SINGLE))
def test_one_label_an_item(tmp_path: Path, how: str, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    labels, options = SINGLE[form]
    check(tmp_path, how, ALPHABETS["uint8"][0], labels, options, expected_of(NUMBERS.get), capsys)


@pytest.mark.parametrize(("how", "form"), formats_of(MULTI))
def test_several_labels_an_item(tmp_path: Path, how: str, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    labels, options = MULTI[form]
    check(tmp_path, how, ALPHABETS["uint8"][0], labels, options, expected_of(multi_hot), capsys)
