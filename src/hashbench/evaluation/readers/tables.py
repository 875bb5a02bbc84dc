"""Tables: `.csv` and `.tsv`, with or without a line of names, and `.parquet`.

Columns that are called alike but for a number at the end (`bit0`, `bit1`, ...) are one array under what they share.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.evaluation.readers.bombs import refuse_bomb
from hashbench.evaluation.readers.found import shown, some
from hashbench.types import Array

if TYPE_CHECKING:
    import pandas as pd

_LARGEST_VALUE = 8  # bytes


def read(path: Path) -> dict[str, Any]:
    """The columns of a table by name, or the whole table under "" where its columns have no names."""
    return _by_name(_parquet(path)) if path.suffix.lower() == ".parquet" else _text(path)


def _parquet(path: Path) -> dict[str, Any]:
    from pyarrow import parquet  # type: ignore[import-untyped]

    about = parquet.read_metadata(path)
    refuse_bomb(path, _LARGEST_VALUE * about.num_rows * about.num_columns)
    table = parquet.read_table(path)
    return {name: _column(table[name], name, path) for name in table.column_names}


def _column(column: Any, name: str, path: Path) -> Any:
    if column.null_count:
        raise HashbenchError(
            f"{shown(path.name)}: {column.null_count:,} values of the column {shown(name)} are missing; fill them in"
        )
    values = column.to_pylist()
    return [list(row) for row in values] if values and isinstance(values[0], list) else np.array(values)


def _text(path: Path) -> dict[str, Any]:
    import pandas as pd

    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    cells = pd.read_csv(path, sep=separator, header=None, dtype=str, keep_default_na=False, skipinitialspace=True)
    if (cells == "").to_numpy().any():
        row, column = (int(place) for place in np.argwhere((cells == "").to_numpy())[0])
        raise HashbenchError(f"{shown(path.name)} has an empty cell in line {row + 1}, column {column + 1}: fill it in")
    if not _has_names(cells):
        return {"": _as_array(cells)}
    names = [str(name).strip() for name in cells.iloc[0]]
    if len(set(names)) < len(names):
        raise HashbenchError(f"{shown(path.name)} names a column twice in its first line: {some(names)}")
    body = cells.iloc[1:]
    return _by_name({name: _as_array(body.iloc[:, [place]])[:, 0] for place, name in enumerate(names)})


def _has_names(cells: pd.DataFrame) -> bool:
    """Whether the first line names columns: a column of numbers begins with a text, or a text is a usual name."""
    from hashbench.evaluation.readers.names import is_usual

    first = [str(name) for name in cells.iloc[0]]
    below = cells.iloc[1:]
    return any(
        not _is_number(name) and (is_usual(name) or (len(below) > 0 and below.iloc[:, place].map(_is_number).all()))
        for place, name in enumerate(first)
    )


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf)", text.strip(), re.I) is not None


def _as_array(cells: pd.DataFrame) -> Array:
    texts = cells.to_numpy(dtype=str)
    lower = np.char.lower(texts)
    if np.isin(lower, ["true", "false"]).all():
        return np.asarray(lower == "true")
    try:
        numbers = texts.astype(np.float64)
    except ValueError:
        return texts
    # Codes in hex that happen to have decimal digits alone: a number would lose their leading zeros or last digits.
    is_code = [re.fullmatch(r"0\d+|\d{16,}", text) is not None for text in texts.ravel()]
    return texts if any(is_code) else numbers


def _by_name(columns: dict[str, Any]) -> dict[str, Any]:
    """Columns PREFIX0, PREFIX1, ... as one array (n, columns) under PREFIX, in the order of their numbers."""
    groups: dict[str, list[tuple[int, str]]] = {}
    for name, value in columns.items():
        match = re.fullmatch(r"(.*?)[_.]?(\d+)", name)
        if match and match[1] and isinstance(value, np.ndarray):
            groups.setdefault(match[1], []).append((int(match[2]), name))
    found = dict(columns)
    for prefix, members in groups.items():
        if len(members) > 1 and prefix not in columns:
            found[prefix] = np.stack([columns[name] for _, name in sorted(members)], axis=1)
            for _, name in members:
                del found[name]
    return found
