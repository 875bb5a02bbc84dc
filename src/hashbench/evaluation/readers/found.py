"""An array as a file holds it, and the words in which errors speak of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.evaluation.readers.request import Role, flag_of

_ROWS_NAMED = 5
_KEYS_NAMED = 12


@dataclass(frozen=True)
class Found:
    """One of the four arrays as it was found: a NumPy array, a scipy.sparse matrix, or a list with one list a row.

    `key`: its name in `file`, "" where the file holds a single array without a name; `keys`: all names there.
    """

    role: Role
    file: Path
    key: str
    keys: tuple[str, ...]
    value: Any

    def __str__(self) -> str:
        others = [key for key in self.keys if key != self.key]
        beside = f", beside {some(others)}" if others else ""
        return f"{self.role} ({self.place}, {' x '.join(map(str, self.shape))}{beside})"

    @property
    def place(self) -> str:
        """The file and the key, as the options take them."""
        return f"{shown(self.file.name)}:{shown(self.key)}" if self.key else shown(self.file.name)

    @property
    def flag(self) -> str:
        """The option that names this array."""
        return flag_of(self.role)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of rows of different lengths, their number alone."""
        return (len(self.value),) if isinstance(self.value, list) else tuple(self.value.shape)

    def with_value(self, value: Any) -> Found:
        """The same place with another value."""
        return replace(self, value=value)

    def refuse(self, what: str) -> HashbenchError:
        """An error that begins with this array's name and place."""
        return HashbenchError(f"{self} {what}")


def some(names: Sequence[Any], most: int = _KEYS_NAMED) -> str:
    """The first names of a list and how many more there are: 'a, b and 3 more'."""
    first = ", ".join(shown(name) for name in names[:most])
    return f"{first} and {len(names) - most} more" if len(names) > most else first


def shown(name: Any, most: int = 60) -> str:
    """A name or a text from a file as an error may print it: its beginning, without what would move the cursor."""
    text = f"{name!s:.{most}}"
    return text if text.isprintable() else ascii(text)


def rows_where(bad: Any) -> str:
    """Which rows of a bool array (n, ...) hold a True: '3 rows, the first 2, 7, 9' (counted from 0)."""
    rows = np.flatnonzero(np.reshape(bad, (len(bad), -1)).any(axis=1))
    first = ", ".join(map(str, rows[:_ROWS_NAMED]))
    return f"row {first}" if len(rows) == 1 else f"{len(rows):,} rows, the first {first}"
