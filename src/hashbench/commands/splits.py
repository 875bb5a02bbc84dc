"""`hashbench splits diff A B`: where two splits differ."""

from __future__ import annotations

from pathlib import Path

from hashbench.data.splits import diff_splits
from hashbench.store import read_split


def diff(a: str, b: str) -> None:
    """Print how the split files `a` and `b` differ."""
    print(diff_splits(read_split(Path(a)), read_split(Path(b))))
